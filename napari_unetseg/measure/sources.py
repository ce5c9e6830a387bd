"""Where `evaluate` gets labels from: files of any kind, or arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_unetseg.config import MAX_CLASSES, LabelClass, default_class, default_color
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Labels,
    LabelsKind,
    find_inputs,
    open_stack,
    pair_inputs,
    read_label_files,
    saved_kind,
    values_in,
)
from napari_unetseg.images.label_values import map_annotations, map_masks

#: A file, a folder, a pattern, several of these, or an array of shape (Y, X) or (N, Y, X).
LabelSource: TypeAlias = str | Path | Sequence[str | Path] | npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """Truth and prediction of one image.

    Attributes
    ----------
    names : tuple of str
        Of the prediction and of the truth, for messages.
    planes_per_volume : int
        Slices in which an object id means the same object: those of one time point.
    """

    names: tuple[str, str]
    predicted: Labels
    truth: Labels
    planes_per_volume: int


def read_pairs(predicted: LabelSource, truth: LabelSource, kind: LabelsKind) -> list[Pair]:
    """Read predictions and truth, paired as images and labels are.

    Predictions are masks or objects: what their file says, else masks, unless `kind` is objects.

    Raises
    ------
    UserError
        If something cannot be read, does not pair up, or is of another kind.
    """
    if kind not in get_args(LabelsKind):
        raise UserError(f"{kind!r} is no kind of truth; it is masks, objects or annotations.")
    if isinstance(predicted, np.ndarray) or isinstance(truth, np.ndarray):
        wanted: LabelsKind = "objects" if kind == "objects" else "masks"
        read = (
            _from_array(predicted, wanted, "The prediction")
            if isinstance(predicted, np.ndarray)
            else _read_predictions([_only_one(predicted)], kind)[0],
            _from_array(truth, kind, "Truth")
            if isinstance(truth, np.ndarray)
            else _read_truth([_only_one(truth)], kind)[0],
        )
        return [Pair(("the prediction", "the truth"), *read, len(read[1].codes))]
    paths = pair_inputs(find_inputs(_as_list(predicted)), find_inputs(_as_list(truth)))
    predictions = _read_predictions([path for path, _ in paths], kind)
    truths = _read_truth([path for _, path in paths], kind)
    return [
        Pair((str(names[0]), str(names[1])), p, t, _planes_per_volume(names[1]))
        for names, p, t in zip(paths, predictions, truths, strict=True)
    ]


def components(labels: Labels, planes_per_volume: int) -> Labels:
    """Give every connected area of a mask an id of its own (6-connected, 4 within a slice)."""
    ids = np.zeros(labels.codes.shape, np.uint32)
    for start in range(0, len(ids), planes_per_volume):
        volume = slice(start, start + planes_per_volume)
        ids[volume] = ndimage.label(labels.codes[volume] > 1)[0]
    return dataclasses.replace(labels, kind="objects", ids=ids)


def _only_one(source: str | Path | Sequence[str | Path]) -> Path:
    """Return the one input that an array is compared with."""
    found = find_inputs(_as_list(source))
    if len(found) != 1:
        raise UserError(f"An array is compared with one file, not with {len(found)}.")
    return found[0]


def _as_list(source: str | Path | Sequence[str | Path]) -> list[str | Path]:
    return [source] if isinstance(source, str | Path) else list(source)


def _read_predictions(paths: Sequence[Path], truth_kind: LabelsKind) -> list[Labels]:
    saved = [saved_kind(open_stack(path)) for path in paths]
    if "annotations" in saved:
        raise UserError(
            f"{paths[saved.index('annotations')]} was saved as annotations; predictions are masks "
            "or objects, so export them as one of these."
        )
    plain: LabelsKind = "objects" if truth_kind == "objects" else "masks"
    kinds = {kind or plain for kind in saved}
    if len(kinds) > 1:
        raise UserError("Some predictions are masks and some are objects; evaluate them apart.")
    read = read_label_files(paths, kinds.pop())
    if truth_kind != "objects":
        return read
    return [
        components(labels, _planes_per_volume(path))
        if kind == "masks" or (kind is None and _is_binary(read))
        else labels
        for path, kind, labels in zip(paths, saved, read, strict=True)
    ]


def _read_truth(paths: Sequence[Path], kind: LabelsKind) -> list[Labels]:
    read = read_label_files(paths, kind)
    if kind != "objects":
        return read
    return [
        components(labels, _planes_per_volume(path))
        if saved_kind(open_stack(path)) == "masks"
        else labels
        for path, labels in zip(paths, read, strict=True)
    ]


def _is_binary(read: Sequence[Labels]) -> bool:
    """Tell a mask from ids: in all files there is one value beside 0."""
    values: set[int] = set()
    for labels in read:
        values |= values_in(labels.codes if labels.ids is None else labels.ids)
    return len(values - {0}) == 1


def _planes_per_volume(path: Path) -> int:
    return open_stack(path).size("Z")


def _from_array(array: npt.NDArray[Any], kind: LabelsKind, name: str) -> Labels:
    if array.dtype.kind not in "iub" or array.ndim not in (2, 3):
        raise UserError(
            f"{name} is an array of {array.dtype} and shape {array.shape}; labels are whole "
            "numbers in (Y, X) or (slices, Y, X)."
        )
    planes = array.reshape(-1, *array.shape[-2:])
    if planes.size and planes.min() < 0:
        raise UserError(f"{name} holds negative values; labels count from 0.")
    if kind == "objects":
        codes = (planes > 0).astype(np.uint8) + np.uint8(1)
        named = (LabelClass(name="object", color=default_color(1)),)
        return Labels(codes, kind, named, {}, planes.astype(np.uint32))
    mapping = (map_annotations if kind == "annotations" else map_masks)(values_in(planes))
    if mapping.n_classes > MAX_CLASSES:
        raise UserError(
            f"{name} holds {mapping.n_classes} different labels, more than the {MAX_CLASSES} "
            "classes there can be; objects are compared with kind='objects'."
        )
    classes = tuple(default_class(k) for k in range(1, mapping.n_classes + 1))
    return Labels(mapping.apply(planes), kind, classes, mapping.recorded)
