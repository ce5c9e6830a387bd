"""How well the segmentation shown agrees with a truth that somebody has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND, UNLABELLED
from napari_unetseg.errors import UserError
from napari_unetseg.measure import ConfusionMatrix, scores

from .image_entry import ImageEntry
from .slots import Codes

#: What the values of a truth mean: ``masks`` 0 background, k class k; ``annotations`` codes.
TruthKind: TypeAlias = Literal["masks", "annotations"]


@dataclass(frozen=True, slots=True)
class TruthScore:
    """Agreement of a segmentation with a truth.

    Attributes
    ----------
    mean_iou : float
        Over the classes present in truth or segmentation, background included, in [0, 1].
    n_slices, n_px : int
        On how many slices and pixels: those that are segmented and whose truth is known.
    """

    mean_iou: float
    n_slices: int
    n_px: int


def score_segmentation(
    entry: ImageEntry,
    truth: Any,
    kind: TruthKind,
    class_names: tuple[str, ...],
    name: str = "truth",
) -> TruthScore:
    """Score what is shown as the segmentation of an image, slice by slice.

    Parameters
    ----------
    truth : array-like of int, shape of the image's labels, or (planes, Y, X)
        Anything with ``shape`` and indexing; read one slice at a time.
    kind : {'masks', 'annotations'}
        With one class, every value of masks but 0 is that class, so objects do as well.
    class_names : tuple of str
        Of classes 1, 2, …
    name : str
        What a person calls the truth, for errors.

    Raises
    ------
    UserError
        If shapes or values do not fit, or nothing is segmented yet.
    """
    leading = entry.stack.labels_shape[:-2]
    shape = tuple(int(n) for n in truth.shape)
    if shape not in (entry.stack.labels_shape, entry.shape):
        raise UserError(
            f"{name} has shape {shape} and {entry.stack.name} {entry.stack.labels_shape}; "
            "choose a labels layer of this image."
        )
    if shape == entry.shape:
        leading = (entry.shape[0],)
    matrix = ConfusionMatrix(len(class_names) + 1)
    n_slices = n_px = 0
    for plane in range(entry.shape[0]):
        shown = entry.segmentation(plane)
        if not entry.prediction[plane].any():
            continue
        where = np.unravel_index(plane, leading) if len(shape) > 2 else ()
        codes = codes_of_slice(np.asarray(truth[where]), kind, len(class_names), name)
        codes = np.where(shown == UNLABELLED, np.uint8(UNLABELLED), codes)
        known = int(np.count_nonzero(codes))
        if known:
            matrix.add(codes, shown)
            n_slices, n_px = n_slices + 1, n_px + known
    if not n_px:
        raise UserError(
            f"{name} says nothing about what is segmented so far; train a model or apply one first."
        )
    mean_iou = scores(matrix, ("background", *class_names)).mean_iou
    return TruthScore(float(mean_iou), n_slices, n_px)


def codes_of_slice(truth: npt.NDArray[Any], kind: TruthKind, n_classes: int, name: str) -> Codes:
    """Return a slice of the truth as codes."""
    if kind == "masks" and n_classes == 1:
        return np.asarray(truth != 0, np.uint8) + np.uint8(BACKGROUND)
    top = n_classes + (1 if kind == "annotations" else 0)
    low, high = int(truth.min()), int(truth.max())
    if low < 0 or high > top:
        raise UserError(
            f"{name} has values from {low} to {high} and there are {n_classes} classes; "
            f"values up to {top} are expected."
        )
    codes = truth.astype(np.uint8)
    return codes if kind == "annotations" else codes + np.uint8(BACKGROUND)
