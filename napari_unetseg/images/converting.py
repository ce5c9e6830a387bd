"""Labels with the values that their kind says they have, whatever a file has instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .label_files import check_kind, label_plane
from .label_meaning import (
    LabelsKind,
    classes_of_objects,
    described,
    named_classes,
    saved_kind,
    segmented_slices,
)
from .label_planes import scan_labels
from .labels import codes_to_masks
from .outlined_labels import stack_of_planes
from .stack import Stack


def labels_as(labels: Stack, kind: LabelsKind, name: str) -> Stack:
    """Return labels that say of themselves what they mean, to be written.

    Parameters
    ----------
    labels : Stack
        Of whole numbers. What this package wrote as this kind stays as it is.
    kind : {"annotations", "masks", "objects"}
        What the values mean; of classes they become 1, 2, … in ascending order. Objects that have
        classes become masks or annotations of these.
    name : str
        For messages.

    Returns
    -------
    Stack
        Without channels; slices are translated when they are looked at.

    Raises
    ------
    UserError
        If they are of another kind, or no labels.
    """
    class_of = classes_of_objects(labels)
    if class_of and kind != "objects" == saved_kind(labels):
        return _by_class(labels, kind, class_of)
    check_kind(labels, name, kind)
    if saved_kind(labels) == kind and labels.n_channels == 1 and "C" not in labels.axes:
        return labels
    (planes,) = scan_labels([name], [lambda: labels], kind)

    def plane(index: int) -> npt.NDArray[Any]:
        values = label_plane(labels, index, name)
        if kind == "objects":
            return values.astype(np.uint32)
        codes = planes.codes_of(values)
        return codes_to_masks(codes) if kind == "masks" else codes

    classes = named_classes(labels) if kind == "objects" else planes.classes
    about = _with_slices(described(kind, classes, class_of), labels)
    notes = list(labels.notes)
    if planes.values and kind != "objects":
        pairs = list(planes.values.items())
        listed = ", ".join(f"{value} is class {k}" for value, k in pairs[:5])
        notes.append(f"Other values than 0, 1, 2, … in the labels: {listed}.")
    dtype = np.uint32 if kind == "objects" else np.uint8
    return replace(stack_of_planes(plane, dtype, labels, about), notes=tuple(notes))


def _by_class(labels: Stack, kind: LabelsKind, class_of: Mapping[int, int]) -> Stack:
    """Return the class of each object instead of its number."""
    ids = np.array(sorted(class_of), np.int64)
    above = kind == "annotations"
    codes = np.array([class_of[int(value)] + above for value in ids], np.uint8)

    def plane(index: int) -> npt.NDArray[Any]:
        values = labels.plane(index)[0].astype(np.int64)
        at = np.minimum(np.searchsorted(ids, values), len(ids) - 1)
        return np.where(ids[at] == values, codes[at], 0).astype(np.uint8)

    about = _with_slices(described(kind, named_classes(labels)), labels)
    return replace(stack_of_planes(plane, np.uint8, labels, about), notes=labels.notes)


def _with_slices(about: dict[str, Any], labels: Stack) -> dict[str, Any]:
    slices = segmented_slices(labels)
    return about if slices is None else about | {"slices": list(slices)}
