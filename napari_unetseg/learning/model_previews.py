"""What a model would make of a part of a slice, in a small picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_unetseg.images import Normalisation, Stack
from napari_unetseg.measure import ConfusionMatrix

from .bundle import Model
from .placement import Device
from .predictor import Predictor
from .preview import coloured

#: Side of a picture: twice that at which it is shown, for screens of double density.
PICTURE_PX = 168


@dataclass(frozen=True, slots=True, eq=False)
class ModelPreview:
    """What a model makes of a part of a slice.

    Attributes
    ----------
    picture : ndarray, shape (Y, X, 3), uint8
    score : float or None
        Agreement with what is painted; see `agreement`.
    scale : float
        At which the stack was seen.
    """

    picture: npt.NDArray[np.uint8]
    score: float | None
    scale: float


def preview_model(
    model: Model,
    part: Stack,
    plane: int,
    normalisation: Normalisation,
    *,
    codes: npt.NDArray[np.uint8] | None = None,
    device: str | Device = "auto",
    scale: float | None = None,
) -> ModelPreview:
    """Show what a model makes of a part of a slice.

    Parameters
    ----------
    model : Model
    part : Stack
        The part, of the slice and some beside it.
    plane : int
        Of `part`.
    normalisation : Normalisation
        Of the whole stack.
    codes : ndarray or None, shape (Y, X), uint8
        What is painted there: 0 unlabelled, 1 background, k + 1 class k.
    device : str or Device
    scale : float, optional
        As an earlier preview of the same stack had it: looking for it takes most of the time.

    Raises
    ------
    UserError
        If the model is for other channels, or for pixels of quite another size.
    """
    predictor = Predictor(
        model, part, device=device, resample=True, scale=scale, normalisation=normalisation
    )
    found = predictor.codes(plane)
    step = max(1, math.ceil(max(found.shape) / (2 * PICTURE_PX)))
    pixels = normalisation.apply(part.plane(plane))
    picture = coloured(pixels[:, ::step, ::step], found[::step, ::step], model.info.classes)
    score = None if codes is None else agreement(codes, found)
    return ModelPreview(picture, score, predictor.scale)


def agreement(truth: npt.NDArray[np.uint8], found: npt.NDArray[np.uint8]) -> float | None:
    """Say how well what a model finds agrees with what is painted, whatever its classes are called.

    Parameters
    ----------
    truth, found : ndarray of equal shape, uint8
        0 unlabelled (`truth` alone), 1 background, k + 1 class k.

    Returns
    -------
    float or None
        Of every painted class and every class of the model the mean of the IoU of both, and of
        all else; the largest of these. None where not both a class and something else is painted.
    """
    matrix = ConfusionMatrix(int(max(found.max(initial=1), truth.max(initial=1))))
    matrix.add(truth, found)
    return agreement_counted(matrix)


def agreement_counted(matrix: ConfusionMatrix) -> float | None:
    """Return what `agreement` does, of pixels that are counted already."""
    counts = matrix.counts[1:, 1:].astype(float)
    total, painted, answered = counts.sum(), counts.sum(axis=1), counts.sum(axis=0)
    scores = [
        _mean_iou(counts[k, j], painted[k], answered[j], total)
        for k in range(1, len(counts))
        for j in range(1, len(counts))
        if 0 < painted[k] < total
    ]
    return max(scores, default=None)


def _mean_iou(both: float, painted: float, answered: float, total: float) -> float:
    """Return the mean IoU of something and of all else."""
    either = painted + answered - both
    return float(both / either + (total - either) / (total - both)) / 2
