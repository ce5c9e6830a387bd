"""Segmenting the images of a window with a model; imports torch."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_unetseg.events import Finished, FinishReason, PlanePredicted, Preparing, Warned
from napari_unetseg.images import Stack, atomic_file, check_channels, pixel_size_note
from napari_unetseg.jobs.commands import ImageToPredict, PredictCommand
from napari_unetseg.jobs.pixels import Codes, create_codes, open_codes, open_image, save_array
from napari_unetseg.learning import Model, Predictor, load_model, objects_found
from napari_unetseg.learning.answers import Answer
from napari_unetseg.learning.device import Device, choose_device
from napari_unetseg.wording import counted

from .job import Countdown, Emit, Job

#: Models that stay in memory.
MOST_KEPT = 8


class RecentModels:
    """Keeps the models used last, so that using them again need not read them.

    Attributes
    ----------
    scales : dict of (str, str) to float
        By path of the model and of the sample of an image: at which scale that is seen, where it
        had to be looked for.
    """

    def __init__(self) -> None:
        self.scales: dict[tuple[str, str], float] = {}
        self._kept: OrderedDict[tuple[str, int], Model] = OrderedDict()

    def load(self, path: str) -> Model:
        """Return the model in a folder, read again where its files are others than before."""
        key = path, _stamp(path)
        self._keep(key, self._kept[key] if key in self._kept else load_model(path))
        return self._kept[key]

    def keep(self, path: str, model: Model) -> None:
        """Remember a model that has just been written."""
        self._keep((path, _stamp(path)), model)

    def _keep(self, key: tuple[str, int], model: Model) -> None:
        self._kept[key] = model
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)


def run_predict(command: PredictCommand, job: Job, emit: Emit, models: RecentModels) -> Finished:
    """Segment every slice of every image of the window."""
    model = models.load(command.model)
    device = choose_device(command.device)
    images = [_opened(item) for item in command.images]
    for image in images:
        check_image(model, image.stack, command.resample, emit)
    n_planes, seconds = predict_images(
        model, images, device, job, emit, resample=command.resample, tta=command.tta
    )
    sentence = f"Segmented {counted(n_planes, 'slice')} in {seconds:.0f} s."
    return Finished(FinishReason.COMPLETED, sentence)


@dataclass(frozen=True, slots=True, eq=False)
class ImageInView:
    """An image of the window, and what its answers are written to.

    Attributes
    ----------
    id : str
    stack : Stack
    codes : ndarray, shape (planes, Y, X), uint8
    uncertainty : ndarray or None, shape (planes, Y, X), uint8
    objects : str or None
        File for ids of objects.
    probabilities : str or None
        File for how probable each class is.
    """

    id: str
    stack: Stack
    codes: Codes
    uncertainty: Codes | None = None
    objects: str | None = None
    probabilities: str | None = None


def _opened(item: ImageToPredict) -> ImageInView:
    stack = open_image(item.image)
    codes = open_codes(item.output, stack, "r+")
    uncertainty = None if item.uncertainty is None else open_codes(item.uncertainty, stack, "r+")
    return ImageInView(item.image.id, stack, codes, uncertainty, item.objects, item.probabilities)


def predict_images(
    model: Model,
    images: Sequence[ImageInView],
    device: Device,
    job: Job,
    emit: Emit,
    *,
    resample: bool = False,
    tta: bool = False,
) -> tuple[int, float]:
    """Fill in the answers: of what is in view first, then outward from it.

    Returns
    -------
    n_planes : int
    seconds : float
    """
    began = time.monotonic()
    total = sum(image.stack.n_planes for image in images)
    countdown = Countdown(emit, "Segmenting slice", total)
    in_view = job.looked_at.image if job.looked_at is not None else ""
    for image in sorted(images, key=lambda image: image.id != in_view):
        job.check()
        predictor = Predictor(
            model, image.stack, device=device, resample=resample, tta=tta, on_event=emit
        )
        planes = job.planes_by_interest(image.id, image.stack.n_planes)
        uncertain = image.uncertainty is not None
        distances = Distances(image.stack, asked=image.objects is not None)
        probable = Probabilities(model, image)
        for plane, answer in predictor.answers(
            planes,
            probabilities=probable.asked,
            uncertainty=uncertain,
            distances=distances.asked,
        ):
            image.codes[plane] = answer.codes
            distances.put(plane, answer)
            probable.put(plane, answer)
            if image.uncertainty is not None and answer.uncertainty is not None:
                image.uncertainty[plane] = np.rint(255 * answer.uncertainty)
            emit(PlanePredicted(image.id, plane))
            countdown.advance()
            job.check()
        if image.objects is not None:
            emit(Preparing(f"Telling the objects of {image.stack.name} apart"))
            ids = distances.objects(model, image.codes, predictor.scale)
            with atomic_file(Path(image.objects), overwrite=True) as partial:
                save_array(ids, partial)
    return total, time.monotonic() - began


class Distances:
    """What a model says of the distances of a stack, slice by slice in any order.

    Parameters
    ----------
    stack : Stack
    asked : bool
        Whether they are asked for.
    """

    def __init__(self, stack: Stack, *, asked: bool) -> None:
        self.asked = asked
        self._stack = stack
        self._values: npt.NDArray[np.float32] | None = None

    def put(self, plane: int, answer: Answer) -> None:
        """Keep those of a slice, if there are any."""
        if answer.distances is None:
            return
        if self._values is None:
            shape = (self._stack.n_planes, *self._stack.plane_shape)
            self._values = np.zeros(shape, np.float32)
        self._values[plane] = answer.distances

    def objects(self, model: Model, codes: Codes, scale: float) -> npt.NDArray[np.uint32]:
        """Return ids of objects, shape (planes, Y, X); see `objects_found`."""
        return objects_found(model.info, codes, self._values, self._stack.size("T"), scale)


class Probabilities:
    """How probable each class is, written to a file slice by slice.

    Parameters
    ----------
    model : Model
    image : ImageInView
        Of which `probabilities` says where; None: that is not asked for.
    """

    def __init__(self, model: Model, image: ImageInView) -> None:
        self.asked = image.probabilities is not None
        if image.probabilities is not None:
            shape = (len(model.info.classes), *image.codes.shape)
            self._values = create_codes(image.probabilities, shape)

    def put(self, plane: int, answer: Answer) -> None:
        """Write those of a slice, if they are asked for; the background's are left out."""
        if self.asked and answer.probabilities is not None:  # a resized answer has them anyway
            self._values[:, plane] = np.rint(255 * answer.probabilities[1:])


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
