"""When a training run is scored, and what its scores decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from napari_unetseg.networks import Network

from .guard import Guard
from .schedule import Budget
from .scoring import HeldOutScorer, mean_iou

#: A live score is taken no more often than this, and so rarely that it costs a twentieth of the
#: time.
EVERY_S = 3.0
EVERY_FRACTION = 0.05
COST = 0.05

_NO_BETTER = (
    "Training did not help: mean IoU on held-out annotations fell from {before:.3f} to "
    "{after:.3f}, so the model from before stays."
)

#: What is made of builtins and goes into the state of a run as it is.
_PLAIN = ("scored_fraction", "risen_at", "score_s", "live_s")


class LiveScores:
    """Scores of a run on held-out annotations: some blocks as it goes on, all of them at its end.

    Parameters
    ----------
    scorer : HeldOutScorer
    budget : Budget
        Of the run.
    """

    def __init__(self, scorer: HeldOutScorer, budget: Budget) -> None:
        self._by_steps = budget.deadline is None and not budget.open
        self.score_with(scorer)
        self._scored_at = time.time()
        self._scored_fraction = 0.0
        self._risen_at = 0.0  # fraction of the budget when the score was best
        self._score_s = 0.0  # of the score alone
        self._live_s = 0.0  # with what is done for it

    def score_with(self, scorer: HeldOutScorer) -> None:
        """Score on other blocks from now on, with which no earlier score compares."""
        self._scorer = scorer
        self._guard = Guard()

    def due(self, fraction: float) -> bool:
        """Return whether it is time for a live score, with that much of the budget used up."""
        if not self._scorer.n_blocks:
            return False
        if self._by_steps:  # so that a run by steps does the same every time
            return fraction - self._scored_fraction >= EVERY_FRACTION
        return time.time() - self._scored_at >= max(EVERY_S, self._live_s / COST)

    def take(
        self, network: Network, began: float, fraction: Callable[[], float]
    ) -> dict[str, float]:
        """Score a network on the live blocks, and remember it if none was better.

        Parameters
        ----------
        network : Network
            Averaged, on the device.
        began : float
            When making it ready for the score began.
        fraction : callable
            Returns how much of the budget is used up.

        Returns
        -------
        dict of str to float
            IoU by class name.
        """
        ready = time.time()
        iou = self._scorer.score(network, self._scorer.n_live)
        self._scored_at, self._scored_fraction = time.time(), fraction()
        self._score_s = self._scored_at - ready
        self._live_s = self._scored_at - began
        if self._guard.see(mean_iou(iou), network):
            self._risen_at = self._scored_fraction
        return iou

    def compare_with_best(self) -> None:
        """Take the best network so far as the one that training starts from."""
        self._guard.start = self._guard.best

    def not_risen_for(self) -> float:
        """Return the share of the budget since the best live score."""
        return self._scored_fraction - self._risen_at

    def last_s(self, more: int = 0) -> float:
        """Estimate how long `last` takes, with some more scores of the live blocks before it."""
        return self._score_s * (1 + more + self._scorer.n_blocks / max(self._scorer.n_live, 1))

    def last(self, network: Network) -> tuple[dict[str, float], str | None]:
        """Score all blocks; where an earlier network is to be kept, its weights are loaded before.

        Returns
        -------
        iou : dict of str to float
            By class name.
        sentence : str or None
            What a person should know.
        """
        iou, sentence = self._scorer.score(network, self._scorer.n_live), None
        tells = self._scorer.has_all_classes
        earlier = self._guard.better_than(mean_iou(iou)) if tells else None
        if earlier is not None:
            network.load_state_dict(earlier.weights)
            if earlier is self._guard.start:
                sentence = _NO_BETTER.format(before=earlier.mean_iou, after=mean_iou(iou))
        if earlier is not None or self._scorer.n_blocks > self._scorer.n_live:
            iou = self._scorer.score(network)
        return iou, sentence

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights that are remembered, by name."""
        return self._guard.tensors()

    def values(self) -> dict[str, Any]:
        """Return all that goes with `tensors` and is none, as builtins."""
        plain = {name: getattr(self, f"_{name}") for name in _PLAIN}
        return {"guard": self._guard.values(), **plain}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Go on from what `tensors` and `values` returned."""
        self._guard.restore(tensors, values["guard"])
        for name in _PLAIN:
            setattr(self, f"_{name}", values[name])
