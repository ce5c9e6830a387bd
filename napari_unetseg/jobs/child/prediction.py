"""Segmenting the images of a window with a model; imports torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from napari_unetseg.events import Finished, FinishReason, PlanePredicted, Warned
from napari_unetseg.images import (
    Stack,
    check_channels,
    pixel_size_note,
)
from napari_unetseg.jobs.commands import PredictCommand
from napari_unetseg.jobs.pixels import Codes, open_codes, open_image
from napari_unetseg.learning import Model, Predictor, load_model
from napari_unetseg.learning.device import Device, choose_device
from napari_unetseg.wording import counted

from .job import Countdown, Emit, Job


class LastModel:
    """Keeps the model used last, so that using it again need not read it."""

    def __init__(self) -> None:
        self._key = ("", 0)
        self._model: Model | None = None

    def load(self, path: str) -> Model:
        """Return the model in a folder, read again where its files are others than before."""
        if self._model is None or self._key != (path, _stamp(path)):
            self._model = load_model(path)
            self._key = path, _stamp(path)
        return self._model

    def keep(self, path: str, model: Model) -> None:
        """Remember a model that has just been written."""
        self._key, self._model = (path, _stamp(path)), model


def run_predict(command: PredictCommand, job: Job, emit: Emit, models: LastModel) -> Finished:
    """Segment every slice of every image of the window."""
    model = models.load(command.model)
    device = choose_device(command.device)
    images = [
        (item.image.id, stack, open_codes(item.output, stack, "r+"))
        for item in command.images
        for stack in [open_image(item.image)]
    ]
    for _, stack, _ in images:
        check_image(model, stack, command.resample, emit)
    n_planes, seconds = predict_images(
        model, images, device, job, emit, resample=command.resample, tta=command.tta
    )
    sentence = f"Segmented {counted(n_planes, 'slice')} in {seconds:.0f} s."
    return Finished(FinishReason.COMPLETED, sentence)


def predict_images(
    model: Model,
    images: Sequence[tuple[str, Stack, Codes]],
    device: Device,
    job: Job,
    emit: Emit,
    *,
    resample: bool = False,
    tta: bool = False,
) -> tuple[int, float]:
    """Fill the codes of (id, stack, codes): what is in view first, then outward from it.

    Returns
    -------
    n_planes : int
    seconds : float
    """
    began = time.monotonic()
    total = sum(stack.n_planes for _, stack, _ in images)
    countdown = Countdown(emit, "Segmenting slice", total)
    in_view = job.looked_at.image if job.looked_at is not None else ""
    for image, stack, codes in sorted(images, key=lambda item: item[0] != in_view):
        job.check()
        predictor = Predictor(
            model, stack, device=device, resample=resample, tta=tta, on_event=emit
        )
        for plane, answer in predictor.answers(job.planes_by_interest(image, stack.n_planes)):
            codes[plane] = answer.codes
            emit(PlanePredicted(image, plane))
            countdown.advance()
            job.check()
    return total, time.monotonic() - began


def check_image(model: Model, stack: Stack, resample: bool, emit: Emit) -> None:
    """Raise where an image does not fit a model; say where its pixel size does not."""
    check_channels(model.info, stack)
    note = pixel_size_note(model.info, stack, resample=resample)
    if note is not None:
        emit(Warned(note))


def _stamp(path: str) -> int:
    """Return when a model was written; 0 where there is none."""
    info = Path(path) / "model.json"
    return info.stat().st_mtime_ns if info.is_file() else 0
