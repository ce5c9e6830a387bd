"""What lives from the first step of a training run to the last."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from napari_unetseg.config import ModelInfo
from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, HeldOutScored, Warned
from napari_unetseg.networks import Network
from napari_unetseg.wording import counted

from .averaging import MeasuredOn, measure_batch_statistics, measured_layers, moved_towards
from .batches import Batches
from .bundle import Model
from .data import LabelledRegion
from .distillation import ENOUGH_PX, STEPS_BACK, Teacher, farthest_back
from .live_scores import LiveScores
from .memory import fitting_patches, said_of_smaller, smaller_after
from .patches import Patches, fitting_shape
from .placement import AT_REST, Device, autocast, place_image, place_network
from .preview import draw_preview
from .record import RunRecord
from .resume import TrainingState, prefixed, under
from .schedule import Budget, learning_rate
from .scoring import HeldOutScorer, mean_iou
from .source import SourceScorer, said_of_decline
from .stepper import MAX_FAILURES, Stepper
from .targets import distance_weight

#: Seconds between reported steps.
REPORT_EVERY_S = 0.25

#: Seconds kept for writing the model.
SAVING_S = 0.5

#: Steps below which a network has learned next to nothing.
FEW_STEPS = 20

_FEW_STEPS = "Only {steps} fitted into the time, too few to learn much; give training more time."
_NO_PROGRESS = (
    "Scores on held-out annotations have not risen for {share:.0%} of the planned training, so it "
    "ended early."
)
_NOT_FINITE = (
    "Training failed with numbers that are not finite; check the image for extreme values, or "
    "lower learning_rate in the config."
)


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
    measured_on : MeasuredOn
    teacher : Teacher, optional
        What is not to be forgotten.

    Attributes
    ----------
    scorer : HeldOutScorer
    notes : list of str
        What a person should know before the first step, in sentences.
    """

    def __init__(
        self,
        regions: Sequence[LabelledRegion],
        network: Network,
        info: ModelInfo,
        budget: Budget,
        device: Device,
        measured_on: MeasuredOn,
        teacher: Teacher | None = None,
    ) -> None:
        self._training = info.recipe.training
        self._regions = regions
        self._record = RunRecord(info, budget)
        self._classes = info.classes
        self._device = device
        names = ["background", *(c.name for c in info.classes)]
        self.scorer = HeldOutScorer(regions, names, network, device)
        self._live = LiveScores(self.scorer, budget)
        weight = distance_weight(info.recipe, info.object_diameter_px)
        self._stepper = Stepper(network, self._training, device, weight, teacher)
        self._teacher = teacher
        self._result = self._stepper.average.network
        if teacher is not None:
            self._result = copy.deepcopy(self._result)
        sizes = [region.targets.shape for region in regions]
        side = fitting_shape(self._training.patch_px, sizes, network)[-1]
        wanted = Patches(side, self._training.batch)
        patches = fitting_patches(network, regions[0].pixels.shape[0], wanted, device)
        self.notes = [] if patches == wanted else [said_of_smaller(wanted, patches)]
        self._batches = Batches(regions, self._training, patches, network, device)
        self._measured_on = measured_on
        self._statistics: list[Tensor] = []
        self._finished = False
        self._step = 0
        self._preview: npt.NDArray[np.uint8] | None = None
        self._reported_at = -math.inf
        self._step_s = 0.0

    def over(self) -> bool:
        """Return whether the budget is used up, or no use; one step is always taken."""
        return self._step > 0 and (self._fraction() >= 1.0 or self._no_progress())

    def _no_progress(self) -> bool:
        share = self._training.early_stop
        return 0 < share <= self._live.not_risen_for()

    def score_start(self, *, complete: bool) -> Iterator[Event]:
        """Score the network that training starts from.

        Parameters
        ----------
        complete : bool
            Whether it knows all classes, so that what comes after is compared with it.
        """
        if self.scorer.n_blocks:
            if complete:
                self._compare_with(self._result)
            yield self._scored(self.scorer.score(self._result))

    def _compare_with(self, start: Network) -> None:
        """Score a network on the live blocks, to keep it if what comes after is worse."""
        self._live.take(start, time.time(), self._fraction)
        self._live.compare_with_best()

    def advance(self) -> Iterator[Event]:
        """Take one step, and a score when it is time."""
        began = time.time()
        rate = learning_rate(self._training, self._step, self._fraction())
        try:
            pixels, codes, maps = self._batches.draw(self._training.augmentation)
            loss = self._stepper.step(pixels, codes, rate, maps)
        except (RuntimeError, MemoryError) as error:
            yield self._use_less_memory(error)
            return
        if not math.isfinite(loss):
            yield self._failed()
            return
        self._step += 1
        now = time.time()
        # The first step is slow; slow ones later are forgotten gradually.
        self._step_s = now - began if self._step <= 2 else max(now - began, 0.9 * self._step_s)
        if now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            yield self._record.step(self._step, loss, rate, self._finishing_s())
        if self._live.due(self._fraction()) and not self.over():
            yield self._score_live()

    def finish(self, source: SourceScorer | None = None) -> Iterator[Event]:
        """Make the network to keep ready for use, and score it on everything held out.

        Parameters
        ----------
        source : SourceScorer, optional
            Of what the base model learned from, to be scored too.
        """
        if self._no_progress():
            yield Warned(_NO_PROGRESS.format(share=self._training.early_stop))
        if self._step > 0:
            self._make_result()
            if not all(bool(t.isfinite().all()) for t in self._result.state_dict().values()):
                raise UserError(_NOT_FINITE)
            if self._record.budget.steps is None and self._step < FEW_STEPS:
                yield Warned(_FEW_STEPS.format(steps=counted(self._step, "step")))
        if self.scorer.n_blocks:
            if self._step > 0 and self._scored_teacher is not None:
                self._move_back_as_scores_allow(self._scored_teacher)
            iou, sentence = self._live.last(self._result)
            if sentence is not None:
                yield Warned(sentence)
            yield self._scored(iou)
        if source is not None:
            yield from self._score_source(source)
        self._preview = draw_preview(self._result, self._classes, self._regions[0], self._device)
        self._finished = True

    def _score_source(self, source: SourceScorer) -> Iterator[Event]:
        scored = source.score(self._result)
        self._record.source(scored)
        yield scored
        if sentence := said_of_decline(scored):
            yield Warned(sentence)

    @property
    def _scored_teacher(self) -> Teacher | None:
        """The teacher, where scores decide how far weights go back towards its own."""
        teacher = self._teacher
        enough = self.scorer.n_px >= ENOUGH_PX and self.scorer.has_all_classes
        return teacher if enough and teacher is not None and teacher.knows_classes else None

    def _make_result(self) -> None:
        """Make of the averaged weights those that would be kept now."""
        self._measure_statistics()
        if self._teacher is not None:
            self._move_back(self._teacher, self._teacher.step_back)

    def _move_back(self, teacher: Teacher, share: float) -> None:
        self._result.load_state_dict(self._stepper.average.network.state_dict())
        moved_towards(self._result, teacher.network, share)

    def _move_back_as_scores_allow(self, teacher: Teacher) -> None:
        def score(share: float) -> float:
            self._move_back(teacher, share)
            return mean_iou(self.scorer.score(self._result, self.scorer.n_live))

        self._move_back(teacher, farthest_back(score, teacher.step_back))

    def _measure_statistics(self) -> None:
        if not self._statistics:
            self._statistics = self._batches.draw_again(
                self._n_statistics_batches(), self._measured_on.augmentation
            )
        batches = (place_image(pixels, self._device) for pixels in self._statistics)
        with autocast(self._device):
            measure_batch_statistics(self._stepper.average.network, batches)

    def model(self) -> Model:
        """Return a copy of the network to keep with what is known about it."""
        if self._step > 0 and not self._finished:
            self._make_result()
        network = place_network(copy.deepcopy(self._result), AT_REST)
        info = self._record.info(self._step, self._batches.patches)
        return Model(info, network, tuple(self._record.rows), self._preview)

    def _fraction(self) -> float:
        return self._record.budget.fraction(self._step, time.time(), self._finishing_s())

    def _finishing_s(self) -> float:
        """Estimate what comes after the last step that may begin, that step included."""
        statistics = self._step_s * self._n_statistics_batches() / 3
        more = 0 if self._scored_teacher is None else len(STEPS_BACK)
        return SAVING_S + self._live.last_s(more) + self._step_s + statistics

    def _score_live(self) -> HeldOutScored:
        began = time.time()
        if self._step > 0:
            self._make_result()
        return self._scored(self._live.take(self._result, began, self._fraction))

    def _scored(self, iou: dict[str, float]) -> HeldOutScored:
        return self._record.score(self._step, iou, self.scorer.n_px)

    def _failed(self) -> Warned:
        if self._stepper.failures >= MAX_FAILURES:
            raise UserError(_NOT_FINITE)
        return Warned("A training step failed, so it was undone and the learning rate halved.")

    def _use_less_memory(self, error: Exception) -> Warned:
        patches = self._batches.patches
        fewer = smaller_after(error, patches, self._stepper.network)
        self._batches.use(fewer)
        self._statistics = []
        return Warned(said_of_smaller(patches, fewer))

    def _n_statistics_batches(self) -> int:
        if not measured_layers(self._stepper.average.network):
            return 0
        return -(-self._measured_on.n_patches // self._batches.patches.batch)

    def state(self) -> TrainingState:
        """Return everything that `restore` needs to go on as if nothing had happened."""
        tensors = {
            **prefixed("stepper", self._stepper.tensors()),
            **prefixed("live", self._live.tensors()),
            "generator": self._batches.generator.get_state(),
        }
        values = {
            "stepper": self._stepper.values(),
            "patch_px": self._batches.patches.patch_px,
            "batch": self._batches.patches.batch,
            "elapsed_s": self._record.elapsed_s(),
            "live": self._live.values(),
            "record": self._record.values(),
            "step": self._step,
            "step_s": self._step_s,
        }
        return TrainingState(tensors, values)

    def restore(self, state: TrainingState) -> None:
        """Go on from where another run was, whose `state` this is."""
        tensors, values = state.tensors, state.values
        self._batches.use(Patches(values["patch_px"], values["batch"]))
        self._stepper.restore(under("stepper", tensors), values["stepper"])
        self._batches.generator.set_state(tensors["generator"])
        self._live.restore(under("live", tensors), values["live"])
        self._record.restore(values["record"])
        self._step, self._step_s = values["step"], values["step_s"]
