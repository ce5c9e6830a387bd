"""Which network of a run is kept at its end."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from napari_unetseg.networks import Network

from .resume import prefixed, under

#: The model that training started from is kept if the network at the end is worse by more than
#: this. It is one comparison; the best of many scores on a few strokes would mostly be luck.
TOLERATED_DECLINE = 0.01

#: An earlier network of this run is kept only if the one at the end has collapsed: if it scores
#: less than this share of it.
COLLAPSED = 0.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network that could be kept.

    Attributes
    ----------
    mean_iou : float
        On the blocks of the live score.
    weights : dict of str to Tensor
    """

    mean_iou: float
    weights: dict[str, Tensor]


class Guard:
    """Remembers the network that training started from, and the best one since.

    Attributes
    ----------
    start, best : Candidate or None
        None before they were scored; there is a start only where training began from a model.
    """

    def __init__(self) -> None:
        self.start: Candidate | None = None
        self.best: Candidate | None = None

    def see(self, mean_iou: float, network: Network) -> bool:
        """Remember a network if none was better; return whether it is remembered."""
        if self.best is not None and mean_iou <= self.best.mean_iou:
            return False
        self.best = Candidate(mean_iou, copy.deepcopy(network.state_dict()))
        return True

    def better_than(self, last: float) -> Candidate | None:
        """Return the earlier network to keep in place of the one at the end; None if that stays."""
        if self.start is not None and last < self.start.mean_iou - TOLERATED_DECLINE:
            return self.start
        if self.best is not None and last < COLLAPSED * self.best.mean_iou:
            return self.best
        return None

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights that are remembered, by name."""
        named = {"start": self.start, "best": self.best}
        return {
            name: tensor
            for prefix, candidate in named.items()
            if candidate is not None
            for name, tensor in prefixed(prefix, candidate.weights).items()
        }

    def values(self) -> dict[str, float | None]:
        """Return the scores that go with them, as builtins."""
        return {
            "start": None if self.start is None else self.start.mean_iou,
            "best": None if self.best is None else self.best.mean_iou,
        }

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Remember what another guard did, whose `tensors` and `values` these are."""
        self.start, self.best = (
            None if values[name] is None else Candidate(values[name], under(name, tensors))
            for name in ("start", "best")
        )
