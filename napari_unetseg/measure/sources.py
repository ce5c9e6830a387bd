"""Where `evaluate` gets labels from: files of any kind, or arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    LabelPlanes,
    LabelsKind,
    Stack,
    find_inputs,
    kind_of_file,
    label_plane,
    pair_inputs,
    scan_label_files,
    scan_labels,
)

from .pieces import Pieces

#: A file, a folder, a pattern, several of these, or an array of shape (Y, X) or (N, Y, X).
LabelSource: TypeAlias = str | Path | Sequence[str | Path] | npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Side:
    """Truth or prediction of one image.

    Attributes
    ----------
    labels : LabelPlanes
    is_connected : bool
        Objects are the connected areas of a mask (6-connected, 4 within a slice).
    table : ndarray, shape (256,), uint8, or None
        What codes become, where the other side knows better what values mean.
    """

    labels: LabelPlanes
    is_connected: bool = False
    table: npt.NDArray[np.uint8] | None = None

    @property
    def has_ids(self) -> bool:
        """Whether there are objects and not only classes."""
        return self.is_connected or self.labels.kind == "objects"

    @property
    def classes_present(self) -> list[int]:
        """Classes that occur, numbered as on the other side."""
        if self.table is None:
            return self.labels.classes_present
        return sorted(int(self.table[k + 1]) - 1 for k in self.labels.classes_present)


class OpenSide:
    """A side whose file is open, to be read slice by slice."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._stack = side.labels.open()
        self._pieces: Pieces | None = None
        if side.is_connected:
            n_planes = side.labels.shape[0]
            self._pieces = Pieces(self._mask, n_planes, side.labels.planes_per_volume)

    def plane(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32] | None]:
        """Read codes and, of objects, ids of a slice; both of shape (Y, X)."""
        values = self._values(index)
        codes = self._side.labels.codes_of(values)
        if self._side.table is not None:
            codes = self._side.table[codes]
        if self._pieces is not None:
            return codes, self._pieces.ids(index)
        return codes, values.astype(np.uint32) if self._side.has_ids else None

    def _values(self, index: int) -> npt.NDArray[Any]:
        return label_plane(self._stack, index, self._side.labels.name)

    def _mask(self, index: int) -> npt.NDArray[np.bool_]:
        return self._side.labels.codes_of(self._values(index)) > 1


@dataclass(frozen=True, slots=True)
class Pair:
    """Truth and prediction of one image.

    Attributes
    ----------
    names : tuple of str
        Of the prediction and of the truth, for messages.
    """

    names: tuple[str, str]
    predicted: Side
    truth: Side


def read_pairs(predicted: LabelSource, truth: LabelSource, kind: LabelsKind) -> list[Pair]:
    """Look through predictions and truth, paired as images and labels are.

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
        return [Pair(("the prediction", "the truth"), *read)]
    paths = pair_inputs(inputs_of(predicted), inputs_of(truth))
    predictions = _read_predictions([path for path, _ in paths], kind)
    truths = _read_truth([path for _, path in paths], kind)
    return [
        Pair((str(names[0]), str(names[1])), p, t)
        for names, p, t in zip(paths, predictions, truths, strict=True)
    ]


def inputs_of(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """List the files that somebody means."""
    return find_inputs([source] if isinstance(source, str | Path) else list(source))


def _only_one(source: str | Path | Sequence[str | Path]) -> Path:
    """Return the one input that an array is compared with."""
    found = inputs_of(source)
    if len(found) != 1:
        raise UserError(f"An array is compared with one file, not with {len(found)}.")
    return found[0]


def _read_predictions(paths: Sequence[Path], truth_kind: LabelsKind) -> list[Side]:
    saved = [kind_of_file(path) for path in paths]
    if "annotations" in saved:
        raise UserError(
            f"{paths[saved.index('annotations')]} was saved as annotations; predictions are masks "
            "or objects, so export them as one of these."
        )
    plain: LabelsKind = "objects" if truth_kind == "objects" else "masks"
    kinds = {kind or plain for kind in saved}
    if len(kinds) > 1:
        raise UserError("Some predictions are masks and some are objects; evaluate them apart.")
    read = scan_label_files(paths, kinds.pop())
    # One value beside 0 in all files: a mask, and no ids.
    binary = len(frozenset().union(*(labels.foreground for labels in read))) == 1
    return [
        Side(labels, truth_kind == "objects" and (kind == "masks" or (kind is None and binary)))
        for kind, labels in zip(saved, read, strict=True)
    ]


def _read_truth(paths: Sequence[Path], kind: LabelsKind) -> list[Side]:
    return [
        Side(labels, kind == "objects" and kind_of_file(path) == "masks")
        for path, labels in zip(paths, scan_label_files(paths, kind), strict=True)
    ]


def _from_array(array: npt.NDArray[Any], kind: LabelsKind, name: str) -> Side:
    if array.dtype.kind not in "iub" or array.ndim not in (2, 3):
        raise UserError(
            f"{name} is an array of {array.dtype} and shape {array.shape}; labels are whole "
            "numbers in (Y, X) or (slices, Y, X)."
        )
    if array.size and array.min() < 0:
        raise UserError(f"{name} holds negative values; labels count from 0.")
    stack = Stack(array.reshape(-1, *array.shape[-2:]), "ZYX")
    return Side(scan_labels([name], [lambda: stack], kind)[0])
