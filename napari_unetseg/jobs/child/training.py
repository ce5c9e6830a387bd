"""Training for a window, the slice in view segmented meanwhile; imports torch."""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import ValidationError

from napari_unetseg.config import LabelClass, Recipe, describe_validation_error
from napari_unetseg.errors import UserError
from napari_unetseg.events import (
    Finished,
    FinishReason,
    ModelSaved,
    PlanePredicted,
    Preparing,
    TrainingStep,
)
from napari_unetseg.images import Normalisation, Stack, map_npy
from napari_unetseg.jobs.commands import LookAt, TrainCommand
from napari_unetseg.jobs.pixels import open_codes, open_image
from napari_unetseg.learning import (
    Predictor,
    Trainer,
    TrainingImage,
    check_model_output,
)
from napari_unetseg.learning.device import Device, choose_device
from napari_unetseg.learning.run import FEW_STEPS
from napari_unetseg.wording import counted

from .job import Cancelled, Emit, Job
from .prediction import ImageInView, RecentModels, predict_images

#: Seconds between segmentations of the same slice during training.
LOOK_EVERY_S = 1.5

#: Most of the time that they may take from training.
LOOK_SHARE = 0.2


def run_training(command: TrainCommand, job: Job, emit: Emit, models: RecentModels) -> Finished:
    """Train, save the model, segment every slice."""
    emit(Preparing("Opening the images …"))
    device = choose_device(command.device)
    stacks = [open_image(item.image) for item in command.images]
    trainer = _trainer(command, stacks, device, models)
    targets = [
        ImageInView(
            item.image.id,
            stack,
            open_codes(item.prediction, stack, "r+"),
            None if item.uncertainty is None else open_codes(item.uncertainty, stack, "r+"),
        )
        for item, stack in zip(command.images, stacks, strict=True)
        if item.prediction is not None
    ]
    last = _train(trainer, job, emit, View(trainer, targets, device, emit))
    if last is None:
        return Finished(
            FinishReason.CANCELLED, "Stopped before the first step, so no model was made."
        )
    emit(Preparing("Saving the model …"))
    model = trainer.current_model()
    model.save(command.model_path, overwrite=True)
    models.keep(command.model_path, model)
    emit(ModelSaved(command.model_path))
    stopped = job.stop
    steps = int(model.info.history["steps"])
    learned = f"Learned for {last.elapsed_s:.0f} s ({counted(steps, 'step')})"
    advice = "correct what is wrong next"
    if steps < FEW_STEPS and model.info.recipe.training.steps is None and not stopped:
        advice = "so few steps teach little: train again with more time"
    results = {"model": command.model_path, "steps": steps, "seconds": last.elapsed_s}
    reason = FinishReason.STOPPED_EARLY if stopped else FinishReason.COMPLETED
    if not command.predict_after or not targets:
        return Finished(reason, f"{learned} and saved the model; {advice}.", results=results)
    try:
        n_planes, _ = predict_images(model, targets, device, job, emit)
    except Cancelled:
        sentence = f"{learned}; the model is kept, the segmentation was cancelled."
        return Finished(FinishReason.CANCELLED, sentence, results=results)
    sentence = f"{learned} and segmented {counted(n_planes, 'slice')}; {advice}."
    return Finished(reason, sentence, results=results)


def _trainer(
    command: TrainCommand, stacks: list[Stack], device: Device, models: RecentModels
) -> Trainer:
    try:
        recipe = Recipe.model_validate(command.recipe)
        classes = tuple(LabelClass.model_validate(c) for c in command.classes)
    except ValidationError as error:
        raise UserError(describe_validation_error(error)) from error
    path = Path(command.model_path)
    check_model_output(path, overwrite=True)
    return Trainer(
        [
            TrainingImage(
                stack,
                open_codes(item.annotations, stack),
                None if item.blocks is None else map_npy(item.blocks),
            )
            for item, stack in zip(command.images, stacks, strict=True)
        ],
        recipe,
        classes,
        name=path.stem,
        base=None if command.base is None else models.load(command.base),
        device=device,
    )


def _train(trainer: Trainer, job: Job, emit: Emit, view: View) -> TrainingStep | None:
    """Train until the end or until stopped; return the last step reported."""
    last = None
    for event in trainer.run():
        emit(event)
        job.check()
        if isinstance(event, TrainingStep):
            last = event
            view.follow(job.looked_at, event.step)
        if job.stop:
            if last is None:
                return None
            trainer.stop()
    return last


class View:
    """Shows how the network sees the slice in view, without holding up its training.

    Parameters
    ----------
    targets : list of ImageInView
    """

    def __init__(
        self,
        trainer: Trainer,
        targets: list[ImageInView],
        device: Device,
        emit: Emit,
    ) -> None:
        self._trainer = trainer
        self._targets = {image.id: image for image in targets}
        self._device = device
        self._emit = emit
        self._normalisations: dict[str, Normalisation] = {}
        self._shown: LookAt | None = None
        self._shown_at = 0.0
        self._took_s = 0.0

    def follow(self, looked_at: LookAt | None, step: int) -> None:
        """Segment the slice in view when it is time."""
        if looked_at is None or looked_at.image not in self._targets:
            return
        image = self._targets[looked_at.image]
        if not 0 <= looked_at.plane < image.stack.n_planes or not self._is_time(looked_at):
            return
        began = time.monotonic()
        predictor = Predictor(
            self._trainer.current_model(),
            image.stack,
            device=self._device,
            normalisation=self._normalisations.get(looked_at.image),
        )
        self._normalisations[looked_at.image] = predictor.normalisation
        image.codes[looked_at.plane] = predictor.codes(looked_at.plane)
        self._emit(PlanePredicted(looked_at.image, looked_at.plane, step))
        self._shown, self._shown_at = looked_at, time.monotonic()
        self._took_s = self._shown_at - began

    def _is_time(self, looked_at: LookAt) -> bool:
        wait = self._took_s * (1 - LOOK_SHARE) / LOOK_SHARE
        if looked_at == self._shown:
            wait = max(wait, LOOK_EVERY_S)
        return time.monotonic() - self._shown_at >= wait
