"""A training run whose annotations go on changing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from napari_unetseg.events import Event

from .averaging import moved_towards
from .bundle import Model
from .data import LabelledRegion
from .detail import Painted
from .distillation import Teacher, rehearsal_weight, step_back
from .patch_sampler import RegionPart
from .preview import draw_preview
from .run import TrainingRun
from .scoring import HeldOutScorer


class LiveRun(TrainingRun):
    """Learns on, with a rate that rises whenever something is painted and falls afterwards.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.
    """

    @property
    def step(self) -> int:
        """Steps done."""
        return self._step

    def learn_from(
        self, regions: Sequence[LabelledRegion], newest: Sequence[RegionPart], painted: Painted
    ) -> None:
        """Learn from other annotations from the next step on.

        Parameters
        ----------
        regions : sequence of LabelledRegion
        newest : sequence of (int, tuple of slice)
            What has just been painted: see `PatchSampler.learn_from`.
        painted : Painted
            How much is painted by now.
        """
        if self._teacher is not None and self._teacher.knows_classes and self.over():
            self._begin_again_from(self._teacher)
        self._regions = regions
        self._batches.learn_from(regions, newest)
        self._statistics = []
        names = ["background", *(c.name for c in self._classes)]
        self.scorer = HeldOutScorer(regions, names, self._stepper.network, self._device)
        self._live.score_with(self.scorer)
        self._record.budget = self._record.budget.renewed(self._step)
        self._reported_at = -math.inf  # the first loss with it is worth reporting
        if self._teacher is not None:
            if self._teacher.knows_classes:
                self._teacher.step_back = step_back(painted)
            self._teacher.weigh_rehearsal(rehearsal_weight(painted))

    def _begin_again_from(self, teacher: Teacher) -> None:
        """Go on from the weights that would be kept, which have gone back towards the base."""
        for network in (self._stepper.network, self._stepper.average.network):
            moved_towards(network, teacher.network, teacher.step_back)

    def rest(self) -> Iterator[Event]:
        """Score what was learned, if anything is held out."""
        if self.scorer.n_blocks and self._step:
            yield self._score_live()

    def compare_with_start(self) -> None:
        """Score what training started from on what is held out by now, where it can be kept."""
        teacher = self._teacher
        if self.scorer.n_blocks and teacher is not None and teacher.knows_classes:
            self._compare_with(teacher.network)

    def checkpoint(self) -> tuple[Model, dict[str, Any]]:
        """Return the model as it is now, with a picture, and what `return_to` needs."""
        model = self.model()
        picture = draw_preview(self._result, self._classes, self._regions[0], self._device)
        tensors: dict[str, Tensor] = self._stepper.tensors()
        kept = {
            "tensors": tensors,
            "values": self._stepper.values(),
            "step": self._step,
            "statistics": self._statistics,
        }
        return replace(model, preview=picture), kept

    def return_to(self, kept: dict[str, Any]) -> None:
        """Go on from an earlier `checkpoint`."""
        self._stepper.restore(kept["tensors"], kept["values"])
        self._step = kept["step"]
        self._statistics = kept["statistics"]
        self._record.budget = self._record.budget.renewed(self._step)
