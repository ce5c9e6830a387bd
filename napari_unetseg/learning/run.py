"""What lives from the first step of a training run to the last."""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_unetseg.config import AugmentationConfig, ModelInfo
from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, HeldOutScored, TrainingStep, Warned
from napari_unetseg.networks import Network
from napari_unetseg.wording import counted

from .augmentation import Patch, augment, crop_px
from .averaging import measure_batch_statistics
from .bundle import Model
from .data import LabelledRegion, PatchSampler
from .patches import fitting_shape
from .placement import AT_REST, Device, autocast, place_image, place_network
from .preview import draw_preview, segmented_slice
from .schedule import Budget, learning_rate
from .scoring import HeldOutScorer
from .stepper import Stepper

#: Seconds between reported steps.
REPORT_EVERY_S = 0.25

#: A live score is taken no more often than this, and so rarely that it costs a twentieth of the
#: time.
LIVE_EVERY_S = 3.0
LIVE_EVERY_FRACTION = 0.05
LIVE_COST = 0.05

#: The model that training started from is kept if the network at the end is worse by more than
#: this. It is one comparison; the best of many scores on a few strokes would mostly be luck.
TOLERATED_DECLINE = 0.01

#: An earlier network of this run is kept only if the one at the end has collapsed: if it scores
#: less than this share of it.
COLLAPSED = 0.5

#: Failed steps after which training gives up.
MAX_FAILURES = 8

#: Patches from which the statistics of the averaged network are measured. Their grey values are
#: left as they are: on EM membranes mean IoU was 0.849, with changed ones 0.840, and 0.844 with
#: the running statistics of training; with 8 patches it was another 0.01 lower.
STATISTICS_PATCHES = 32

#: Steps whose patches give the statistics while training goes on. Those of the network that learns
#: lag behind it: as long as its steps are large, the averaged one would answer nonsense with them.
LIVE_STATISTICS_STEPS = 4

#: Seconds kept for writing the model.
SAVING_S = 0.5

#: Share of a patch that the labelled pixel it was drawn for may lie from the middle.
JITTER = 0.35

#: Steps below which a network has learned next to nothing.
FEW_STEPS = 20

_FEW_STEPS = "Only {steps} fitted into the time, too few to learn much; give training more time."
_NO_BETTER = (
    "Training did not help: mean IoU on held-out annotations fell from {before:.3f} to "
    "{after:.3f}, so the model from before stays."
)

_NOT_FINITE = (
    "Training failed with numbers that are not finite; check the image for extreme values, or "
    "lower learning_rate in the config."
)


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


class TrainingRun:
    """Steps, scores and the end of a training run.

    Parameters
    ----------
    regions : sequence of LabelledRegion
    network : Network
        On the device, with the weights to start from.
    info : ModelInfo
        What is known of the model before its first step.
    budget : Budget
    device : Device
    """

    def __init__(
        self,
        regions: Sequence[LabelledRegion],
        network: Network,
        info: ModelInfo,
        budget: Budget,
        device: Device,
    ) -> None:
        self._training = info.recipe.training
        self._regions = regions
        self._info = info
        self._budget = budget
        self._device = device
        names = ["background", *(c.name for c in info.classes)]
        self.scorer = HeldOutScorer(regions, names, network, device)
        self._stepper = Stepper(network, self._training, device)
        shape = fitting_shape(self._training.patch_px, regions, network)
        self._patch = Patch(shape, network.anisotropy, network.neighbours)
        # Weights have a generator of their own, so that patches do not depend on the network.
        self._generator = torch.Generator().manual_seed(self._training.seed + 1)
        self._sampler = PatchSampler(
            regions,
            crop_px(self._patch, self._training.augmentation),
            [int(n * JITTER) for n in shape],
            self._generator,
        )
        self._recent: deque[Tensor] = deque(maxlen=LIVE_STATISTICS_STEPS)
        self._finished = False
        self._n_statistics_batches = -(-STATISTICS_PATCHES // self._training.batch)
        self._step = 0
        self._rows: list[dict[str, float]] = []
        self._scores: dict[str, Any] = {}
        self._best: Candidate | None = None
        self._start: Candidate | None = None
        self._preview: npt.NDArray[np.uint8] | None = None
        self._reported_at = -math.inf
        self._scored_at = time.time()
        self._scored_fraction = 0.0
        self._score_s = 0.0  # of the score alone
        self._live_s = 0.0  # with the statistics that it needs
        self._step_s = 0.0

    def over(self) -> bool:
        """Return whether the budget is used up; one step is always taken."""
        return self._step > 0 and self._fraction() >= 1.0

    def score_start(self) -> Iterator[Event]:
        """Score the network that training starts from: what comes after is compared with it."""
        if self.scorer.n_blocks:
            average = self._stepper.average.network
            self._score_live()
            self._start = self._best
            yield self._scored(self.scorer.score(average))

    def advance(self) -> Iterator[Event]:
        """Take one step, and a score when it is time."""
        began = time.time()
        rate = learning_rate(self._training, self._step, self._fraction())
        pixels, codes = self._draw(self._training.augmentation)
        self._recent.append(pixels)
        loss = self._stepper.step(pixels, codes, rate)
        if not math.isfinite(loss):
            yield self._failed()
            return
        self._step += 1
        now = time.time()
        # The first step is slow; slow ones later are forgotten gradually.
        self._step_s = now - began if self._step <= 2 else max(now - began, 0.9 * self._step_s)
        if now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            yield self._report(loss, rate, now)
        if self._score_due(time.time()) and not self.over():
            yield self._score_live()

    def finish(self) -> Iterator[Event]:
        """Make the network to keep ready for use, and score it on everything held out."""
        average = self._stepper.average.network
        if self._step > 0:
            as_they_are = self._training.augmentation.without_grey_values()
            batches = [self._draw(as_they_are)[0] for _ in range(self._n_statistics_batches)]
            self._measure_statistics(batches)
            if not all(bool(t.isfinite().all()) for t in average.state_dict().values()):
                raise UserError(_NOT_FINITE)
            if self._budget.steps is None and self._step < FEW_STEPS:
                yield Warned(_FEW_STEPS.format(steps=counted(self._step, "step")))
        if self.scorer.n_blocks:
            iou = self.scorer.score(average, live=True)
            earlier = self._better_than(_mean(iou))
            if earlier is not None:
                average.load_state_dict(earlier.weights)
                if earlier is self._start:
                    yield Warned(_NO_BETTER.format(before=earlier.mean_iou, after=_mean(iou)))
            if earlier is not None or self.scorer.n_blocks > self.scorer.n_live:
                iou = self.scorer.score(average)
            yield self._scored(iou)
        self._preview = self._draw_preview()
        self._finished = True

    def _measure_statistics(self, batches: Iterable[Tensor]) -> None:
        with autocast(self._device):
            measure_batch_statistics(self._stepper.average.network, batches)

    def _better_than(self, last: float) -> Candidate | None:
        """Return the earlier network to keep in place of the one at the end; None if that stays."""
        if self._start is not None and last < self._start.mean_iou - TOLERATED_DECLINE:
            return self._start
        if self._best is not None and last < COLLAPSED * self._best.mean_iou:
            return self._best
        return None

    def model(self) -> Model:
        """Return a copy of the averaged network with what is known about it."""
        if self._recent and not self._finished:
            self._measure_statistics(self._recent)
        network = place_network(copy.deepcopy(self._stepper.average.network), AT_REST)
        history = {
            **self._info.history,
            "steps": self._step,
            "seconds": round(time.time() - self._budget.began, 2),
        }
        info = self._info.replace(history=history, scores=self._scores)
        return Model(info, network, tuple(self._rows), self._preview)

    def _draw(self, augmentation: AugmentationConfig) -> tuple[Tensor, Tensor]:
        pixels, codes = self._sampler.draw(self._training.batch)
        pixels, codes = augment(
            pixels.to(self._device.name),
            codes.to(self._device.name),
            self._patch,
            augmentation,
            self._generator,
        )
        return place_image(pixels, self._device), codes

    def _fraction(self) -> float:
        return self._budget.fraction(self._step, time.time(), self._finishing_s())

    def _finishing_s(self) -> float:
        """Estimate what comes after the last step that may begin, that step included."""
        all_blocks = self._score_s * (1 + self.scorer.n_blocks / max(self.scorer.n_live, 1))
        return SAVING_S + all_blocks + self._step_s * (1 + self._n_statistics_batches / 3)

    def _report(self, loss: float, rate: float, now: float) -> TrainingStep:
        elapsed = now - self._budget.began
        self._rows.append(
            {"step": self._step, "elapsed_s": elapsed, "loss": loss, "learning_rate": rate}
        )
        left = self._budget.seconds_left(self._step, now, self._finishing_s())
        return TrainingStep(self._step, loss, rate, elapsed, self._fraction(), left)

    def _score_due(self, now: float) -> bool:
        if not self.scorer.n_blocks:
            return False
        if self._budget.deadline is None:
            # By steps, so that a run by steps does the same every time.
            return self._fraction() - self._scored_fraction >= LIVE_EVERY_FRACTION
        return now - self._scored_at >= max(LIVE_EVERY_S, self._live_s / LIVE_COST)

    def _score_live(self) -> HeldOutScored:
        began = time.time()
        average = self._stepper.average.network
        if self._recent:
            self._measure_statistics(self._recent)
        measured = time.time()
        iou = self.scorer.score(average, live=True)
        self._scored_at, self._scored_fraction = time.time(), self._fraction()
        self._score_s = self._scored_at - measured
        self._live_s = self._scored_at - began
        if self._best is None or _mean(iou) > self._best.mean_iou:
            self._best = Candidate(_mean(iou), copy.deepcopy(average.state_dict()))
        return self._scored(iou)

    def _scored(self, iou: dict[str, float]) -> HeldOutScored:
        mean, elapsed = _mean(iou), time.time() - self._budget.began
        self._rows.append({"step": self._step, "elapsed_s": elapsed, "held_out_mean_iou": mean})
        self._scores = {"mean_iou": mean, "iou": iou, "n_px": self.scorer.n_px}
        return HeldOutScored(self._step, elapsed, mean, iou, self.scorer.n_px)

    def _failed(self) -> Warned:
        if self._stepper.failures >= MAX_FAILURES:
            raise UserError(_NOT_FINITE)
        return Warned("A training step failed, so it was undone and the learning rate halved.")

    def _draw_preview(self) -> npt.NDArray[np.uint8]:
        average = self._stepper.average.network
        pixels, codes = segmented_slice(average, self._regions[0], self._device)
        return draw_preview(pixels, codes, self._info.classes)


def _mean(iou: dict[str, float]) -> float:
    return sum(iou.values()) / len(iou)
