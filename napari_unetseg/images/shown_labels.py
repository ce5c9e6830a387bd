"""Labels to look at: in memory where they are few, read where they are looked at otherwise."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import UNLABELLED, LabelClass
from napari_unetseg.errors import UserError

from .label_files import label_plane
from .label_meaning import MAX_ID, LabelsKind, named_classes, segmented_slices
from .label_planes import scan_labels
from .label_values import check_label_values, map_annotations, map_masks, values_in
from .lazy import lazy_array
from .stack import Stack

#: Labels of more pixels are not read at once: that takes a second or two.
MOST_READ_PX = 1 << 27


def codes_to_show(labels: Stack, kind: LabelsKind, name: str) -> tuple[Any, tuple[LabelClass, ...]]:
    """Return labels as codes, and their classes.

    Parameters
    ----------
    labels : Stack
        Of classes.
    kind : {"annotations", "masks"}
        What the values mean.
    name : str
        Of the file, for messages.

    Returns
    -------
    array, shape of the labels without channels, uint8
        Unlabelled on slices that the file says were not segmented. Of many pixels, and classes
        that the file names, a dask array: as nobody has seen all values, they are only what the
        file says that they are.
    tuple of LabelClass

    Raises
    ------
    UserError
        If the values are no labels, or more than classes can be; of a dask array, where these are,
        and where a value is of no class that the file names.
    """
    classes = named_classes(labels)
    if not classes or not _is_large(labels):
        held = replace(labels, data=np.asarray(labels.data))
        (found,) = scan_labels([name], [lambda: held], kind)
        return found.codes[:].reshape(labels.labels_shape), found.classes
    segmented = segmented_slices(labels)
    to_codes = map_annotations if kind == "annotations" else map_masks

    def codes(plane: int) -> npt.NDArray[np.uint8]:
        if segmented is not None and plane not in segmented:
            return np.full(labels.plane_shape, UNLABELLED, np.uint8)
        values = label_plane(labels, plane, name)
        present = values_in(values)
        check_label_values(present, name, limit=MAX_ID)
        _check_named(present, kind, len(classes), f"{name}, slice {plane},")
        return to_codes(present, len(classes)).apply(values)

    shape = labels.labels_shape
    leading = shape[:-2]

    def read(where: tuple[slice, ...]) -> npt.NDArray[np.uint8]:
        at = tuple(part.start for part in where[:-2])
        plane = int(np.ravel_multi_index(at, leading)) if leading else 0
        return codes(plane).reshape((1,) * len(leading) + labels.plane_shape)

    chunk = (1,) * len(leading) + labels.plane_shape
    return lazy_array(labels.path or Path(name), read, shape, chunk, np.uint8), classes


def values_to_show(labels: Stack) -> Any:
    """Return labels as they are in their file, e.g. numbers of objects."""
    return labels.data if _is_large(labels) else np.asarray(labels.data)


def _check_named(present: set[int], kind: LabelsKind, n_classes: int, name: str) -> None:
    """Raise where a value is of no class that the file names: other slices cannot tell of which."""
    highest = n_classes + (kind == "annotations")
    if max(present) > highest:
        raise UserError(
            f"{name} holds the value {max(present)}, but the classes that the file names have "
            f"values up to {highest}; replace it by one of these, as of labels of this size no "
            "more than one slice is looked at."
        )


def _is_large(labels: Stack) -> bool:
    return math.prod(labels.labels_shape) > MOST_READ_PX
