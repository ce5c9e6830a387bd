"""Training a network, as a generator of events."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from napari_unetseg.config import LabelClass, Recipe
from napari_unetseg.errors import UserError
from napari_unetseg.events import (
    Event,
    HeldOutScored,
    Preparing,
    TrainingStarted,
    TrainingStep,
    Warned,
)
from napari_unetseg.images import check_training_set
from napari_unetseg.networks import Network, build_network

from .augmentation import augment, crop_px
from .averaging import measure_batch_statistics
from .bundle import Model
from .data import LabelledPlane, PatchSampler, TrainingImage, check_annotations, load_planes
from .description import describe
from .placement import AT_REST, Device, autocast, choose_device, place_image, place_network
from .predictor import codes_from_probabilities, tiled_probabilities
from .preview import draw_preview
from .schedule import Budget, learning_rate
from .scoring import HeldOutScorer
from .stepper import Stepper
from .transfer import check_base, copy_weights, recipe_from_base

#: Seconds between reported steps.
REPORT_EVERY_S = 0.25

#: A live score looks at no more held-out blocks than this, and no more often than this.
LIVE_BLOCKS = 16
LIVE_EVERY_S = 3.0
LIVE_EVERY_FRACTION = 0.05

#: Failed steps after which training gives up.
MAX_FAILURES = 8

#: Seconds kept for the preview and for writing the model.
SAVING_S = 0.7

#: Longest side of the preview of a slice, in px.
PREVIEW_PX = 384


class Trainer:
    """Trains a network on annotated stacks.

    ::

        new ── run() ──► preparing ──► training ──► averaging ──► done
                             │            │  stop(), budget ▲
                             └── close() ─┴──► cancelled    │ current_model() from here on

    Nothing is written to disk: saving the model that `current_model` returns is the caller's.

    Parameters
    ----------
    images : sequence of TrainingImage
        With the same number of channels.
    recipe : Recipe
        With `base`, its network and normalisation are those of the base.
    classes : tuple of LabelClass
        Classes 1, 2, …
    name : str
        Of the model.
    base : Model, optional
        Start from its weights.
    device : str or Device
    started_at : float, optional
        When the clock of ``max_time_s`` began, as of `time.time`; now by default.
    label_values : dict of str to int, optional
        Kept in the model: value in the labels file → class, where they differ.

    Raises
    ------
    UserError
        If the images, the classes or the base do not fit each other.
    """

    def __init__(
        self,
        images: Sequence[TrainingImage],
        recipe: Recipe,
        classes: tuple[LabelClass, ...],
        *,
        name: str = "model",
        base: Model | None = None,
        device: str | Device = "auto",
        started_at: float | None = None,
        label_values: Mapping[str, int] | None = None,
    ) -> None:
        self._clock_start = time.time() if started_at is None else started_at
        check_training_set([i.stack for i in images], [i.codes for i in images])
        if not classes:
            raise UserError("There is no class to learn; name at least one beside background.")
        self._n_channels = images[0].stack.n_channels
        if base is not None:
            check_base(base, self._n_channels)
            recipe = recipe_from_base(recipe, base)
        self._images = images
        self._recipe = recipe
        self._classes = classes
        self._base = base
        self._device = choose_device(device) if isinstance(device, str) else device
        self._name = name
        self._label_values = dict(label_values or {})
        self._stop = False
        self._run: _Run | None = None

    def stop(self) -> None:
        """End training after the step in progress; the model so far is kept."""
        self._stop = True

    def current_model(self) -> Model:
        """Return the averaged network as it is now; after `run`, the one to keep.

        Raises
        ------
        RuntimeError
            Before training has begun.
        """
        if self._run is None:
            raise RuntimeError("training has not begun")
        return self._run.model()

    def run(self) -> Iterator[Event]:
        """Train until the budget is used up or `stop` is called.

        Yields
        ------
        Event
            `Preparing`, then `TrainingStarted`, then `TrainingStep` and `HeldOutScored` as they
            come, the last score after the last step; `Warned` where something went wrong and was
            put right. Closing the generator cancels.

        Raises
        ------
        UserError
            If there is nothing to tell apart in the annotations, or training does not get stable.
        """
        yield Preparing("Reading the annotated slices")
        run = self._run = self._prepare()
        yield TrainingStarted(
            device=self._device.kind,
            precision=self._device.precision,
            n_labelled_px=sum(int(torch.count_nonzero(p.targets)) for p in run.planes),
            n_held_out_px=run.scorer.n_px,
        )
        while not self._stop and not run.over():
            yield from run.advance()
        yield from run.finish()

    def _prepare(self) -> _Run:
        training = self._recipe.training
        planes = list(
            load_planes(self._images, self._recipe.normalisation, margin_px=training.patch_px)
        )
        known = frozenset(self._base.class_names) if self._base else frozenset[str]()
        check_annotations(planes, self._classes, known)
        generator = torch.Generator().manual_seed(training.seed)
        network = build_network(self._recipe.network, self._n_channels, len(self._classes) + 1)
        network.initialise(generator)
        if self._base is not None:
            copy_weights(self._base, network, self._classes)
        network = place_network(network, self._device).train()
        facts = describe(
            self._images,
            self._recipe,
            self._classes,
            self._device,
            self._base,
            name=self._name,
            label_values=self._label_values,
        )
        began = time.time()
        deadline = None if training.max_time_s is None else self._clock_start + training.max_time_s
        budget = Budget(training.steps, deadline, began)
        return _Run(planes, network, facts, budget, self._device, generator)


class _Run:
    """Everything that lives from the first step to the last."""

    def __init__(
        self,
        planes: list[LabelledPlane],
        network: Network,
        facts: Any,
        budget: Budget,
        device: Device,
        generator: torch.Generator,
    ) -> None:
        self.planes = planes
        self._info = facts
        self._budget = budget
        self._device = device
        self._generator = generator
        self._training = facts.recipe.training
        names = ["background", *(c.name for c in facts.classes)]
        self.scorer = HeldOutScorer(planes, names, device)
        self._stepper = Stepper(network, self._training, device)
        self._patch = _patch_px(self._training.patch_px, planes, network.multiple_px)
        self._sampler = PatchSampler(
            planes,
            crop_px(self._patch, self._training.augmentation),
            int(self._patch * 0.35),
            generator,
        )
        self._step = 0
        self._rows: list[dict[str, float]] = []
        self._scores: dict[str, Any] = {}
        self._reported_at = -math.inf
        self._scored_at = time.time()
        self._scored_fraction = 0.0
        self._score_s = 0.0
        self._preview: Any = None

    def over(self) -> bool:
        """Return whether the budget is used up."""
        return self._fraction() >= 1.0 and self._step > 0

    def advance(self) -> Iterator[Event]:
        """Take one step, and a score when it is time."""
        rate = learning_rate(self._training, self._step, self._fraction())
        pixels, codes = self._draw()
        loss = self._stepper.step(pixels, codes, rate)
        if not math.isfinite(loss):
            yield self._failed()
            return
        self._step += 1
        now = time.time()
        if now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            elapsed = now - self._budget.began
            self._rows.append(
                {"step": self._step, "elapsed_s": elapsed, "loss": loss, "learning_rate": rate}
            )
            left = self._budget.seconds_left(self._step, now, self._finishing_s())
            yield TrainingStep(self._step, loss, rate, elapsed, self._fraction(), left)
        if self.scorer.n_blocks and self._score_due(now):
            yield self._score(LIVE_BLOCKS)
            self._scored_at, self._scored_fraction = time.time(), self._fraction()
            self._score_s = self._scored_at - now

    def finish(self) -> Iterator[Event]:
        """Make the averaged network ready for use and score it on everything held out."""
        average = self._stepper.average.network
        batches = [self._draw()[0] for _ in range(STATISTICS_BATCHES)]
        with autocast(self._device):
            measure_batch_statistics(average, batches)
        if self.scorer.n_blocks:
            yield self._score(None)
        self._preview = self._draw_preview()

    def model(self) -> Model:
        """Return a copy of the averaged network with what is known about it."""
        network = place_network(copy.deepcopy(self._stepper.average.network), AT_REST)
        history = {
            **self._info.history,
            "steps": self._step,
            "seconds": round(time.time() - self._budget.began, 2),
        }
        info = self._info.replace(history=history, scores=self._scores)
        return Model(info, network, tuple(self._rows), self._preview)

    def _draw(self) -> tuple[Tensor, Tensor]:
        pixels, codes = self._sampler.draw(self._training.batch)
        pixels, codes = augment(
            pixels.to(self._device.name),
            codes.to(self._device.name),
            self._patch,
            self._training.augmentation,
            self._generator,
        )
        return place_image(pixels, self._device), codes

    def _fraction(self) -> float:
        return self._budget.fraction(self._step, time.time(), self._finishing_s())

    def _finishing_s(self) -> float:
        blocks = max(1, self.scorer.n_blocks)
        return SAVING_S + self._score_s * max(1.0, blocks / LIVE_BLOCKS)

    def _score_due(self, now: float) -> bool:
        if self._budget.steps is not None:
            # By steps, so that a run by steps does the same every time.
            return self._fraction() - self._scored_fraction >= LIVE_EVERY_FRACTION
        return now - self._scored_at >= max(LIVE_EVERY_S, 20 * self._score_s)

    def _score(self, most_blocks: int | None) -> HeldOutScored:
        iou = self.scorer.score(self._stepper.average.network, most_blocks)
        mean = sum(iou.values()) / max(1, len(iou))
        elapsed = time.time() - self._budget.began
        self._rows.append({"step": self._step, "elapsed_s": elapsed, "held_out_mean_iou": mean})
        self._scores = {"mean_iou": mean, "iou": iou, "n_px": self.scorer.n_px}
        return HeldOutScored(self._step, elapsed, mean, iou, self.scorer.n_px)

    def _failed(self) -> Event:
        if self._stepper.failures >= MAX_FAILURES:
            raise UserError(
                f"Training failed {MAX_FAILURES} times in a row with numbers that are not finite; "
                "check the image for extreme values, or lower learning_rate in the config."
            )
        return Warned("A training step failed, so it was undone and the learning rate halved.")

    def _draw_preview(self) -> Any:
        plane = self.planes[0]
        pixels = plane.pixels[:, :PREVIEW_PX, :PREVIEW_PX].float()
        probabilities = tiled_probabilities(
            self._stepper.average.network, pixels[None], self._device
        )
        codes = codes_from_probabilities(probabilities.numpy())
        return draw_preview(pixels.numpy(), codes, self._info.classes)


#: Batches from which the statistics of the averaged network are measured.
STATISTICS_BATCHES = 4


def _patch_px(wanted: int, planes: Sequence[LabelledPlane], multiple: int) -> int:
    """Return the side of a patch: no larger than the largest slice, and even at every pooling."""
    largest = max(max(plane.targets.shape) for plane in planes)
    side = min(wanted, max(largest, 2 * multiple))
    return -(-side // multiple) * multiple
