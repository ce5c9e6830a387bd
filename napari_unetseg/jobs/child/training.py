"""Training for a window, the slice in view segmented meanwhile; imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from napari_unetseg.config import LabelClass, Recipe, describe_validation_error
from napari_unetseg.errors import UserError
from napari_unetseg.events import (
    Finished,
    FinishReason,
    ModelSaved,
    Preparing,
    TrainingStep,
)
from napari_unetseg.images import Stack, map_npy
from napari_unetseg.jobs.commands import (
    CompareCommand,
    LiveCommand,
    SuggestCommand,
    TrainCommand,
)
from napari_unetseg.jobs.pixels import open_codes, open_image
from napari_unetseg.learning import Trainer, TrainingImage, check_model_output
from napari_unetseg.learning.device import Device, choose_device
from napari_unetseg.learning.run import FEW_STEPS
from napari_unetseg.wording import counted

from .job import Cancelled, Emit, Job
from .prediction import ImageInView, RecentModels, predict_images
from .view import View

#: What speaks of images with annotations.
Learning: TypeAlias = TrainCommand | LiveCommand | SuggestCommand | CompareCommand


def run_training(command: TrainCommand, job: Job, emit: Emit, models: RecentModels) -> Finished:
    """Train, save the model, segment every slice."""
    device = choose_device(command.device)
    stacks = opened(command, emit)
    recipe, classes = understood(command)
    trainer = Trainer(
        training_images(command, stacks),
        recipe,
        classes,
        name=Path(command.model_path).stem,
        base=None if command.base is None else models.load(command.base),
        device=device,
    )
    targets = images_in_view(command, stacks)
    last = _train(trainer, job, emit, View(trainer.current_model, targets, device, emit))
    asked = targets if command.predict_after else []
    return keep_and_apply(command, trainer, asked, last, device, job, emit, models)


def opened(command: Learning, emit: Emit) -> list[Stack]:
    """Open the images to learn from."""
    emit(Preparing("Opening the images …"))
    return [open_image(item.image) for item in command.images]


def understood(command: TrainCommand | LiveCommand) -> tuple[Recipe, tuple[LabelClass, ...]]:
    """Return what a command asks for, checked."""
    check_model_output(Path(command.model_path), overwrite=True)
    try:
        recipe = Recipe.model_validate(command.recipe)
        classes = tuple(LabelClass.model_validate(c) for c in command.classes)
    except ValidationError as error:
        raise UserError(describe_validation_error(error)) from error
    return recipe, classes


def training_images(command: Learning, stacks: Sequence[Stack]) -> list[TrainingImage]:
    """Return images with their annotations, whose files may go on changing."""
    return [
        TrainingImage(
            stack,
            open_codes(item.annotations, stack),
            None if item.blocks is None else map_npy(item.blocks),
        )
        for item, stack in zip(command.images, stacks, strict=True)
    ]


def images_in_view(
    command: TrainCommand | LiveCommand, stacks: Sequence[Stack]
) -> list[ImageInView]:
    """Return the images that are to be segmented too."""
    return [
        ImageInView(
            item.image.id,
            stack,
            open_codes(item.prediction, stack, "r+"),
            None if item.uncertainty is None else open_codes(item.uncertainty, stack, "r+"),
            probabilities=item.probabilities,
        )
        for item, stack in zip(command.images, stacks, strict=True)
        if item.prediction is not None
    ]


def keep_and_apply(
    command: TrainCommand | LiveCommand,
    trainer: Trainer,
    targets: list[ImageInView],
    last: TrainingStep | None,
    device: Device,
    job: Job,
    emit: Emit,
    models: RecentModels,
) -> Finished:
    """Save what was learned, and segment images with it."""
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
    if not targets:
        return Finished(reason, f"{learned} and saved the model; {advice}.", results=results)
    try:
        n_planes, _ = predict_images(model, targets, device, job, emit)
    except Cancelled:
        sentence = f"{learned}; the model is kept, the segmentation was cancelled."
        return Finished(FinishReason.CANCELLED, sentence, results=results)
    sentence = f"{learned} and segmented {counted(n_planes, 'slice')}; {advice}."
    return Finished(reason, sentence, results=results)


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
