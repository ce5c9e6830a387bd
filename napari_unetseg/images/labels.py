"""Label files: annotations, masks and objects, and their codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import LabelClass, default_class, default_color
from napari_unetseg.errors import UserError

from .checks import check_same_slices
from .label_files import (
    check_class_count,
    label_plane,
    open_labels,
)
from .label_meaning import MAX_ID, LabelsKind, named_classes, segmented_slices
from .label_values import (
    check_label_values,
    map_annotations,
    map_masks,
    values_in,
)
from .stack import Stack

#: So many classes without a name are more likely ids of objects.
MANY_CLASSES = 13

#: A note lists no more values than this.
_VALUES_IN_A_NOTE = 5


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels as the core works with them.

    Attributes
    ----------
    codes : ndarray, shape (N, Y, X), uint8
        0 unlabelled, 1 background, ``k + 1`` class `k`. Of objects: 1 background, 2 object.
    kind : {"annotations", "masks", "objects"}
        What the file held. Annotations: codes. Masks: class `k`, 0 background. Objects: ids, 0
        background.
    classes : tuple of LabelClass
        Classes 1, 2, …; named by the file where this package wrote it.
    values : dict of str to int
        Value in the file → class `k`; empty where the value is what the kind says it should be.
    ids : ndarray, shape (N, Y, X), uint32, or None
        Of objects; None for the other kinds.
    slices : tuple of int or None
        Those that were segmented, where the file says that not all were.
    """

    codes: npt.NDArray[np.uint8]
    kind: LabelsKind
    classes: tuple[LabelClass, ...]
    values: dict[str, int] = field(default_factory=dict)
    ids: npt.NDArray[np.uint32] | None = None
    slices: tuple[int, ...] | None = None


def read_labels(
    paths: str | Path | Sequence[str | Path], kind: LabelsKind, *, like: Stack | None = None
) -> Labels:
    """Read the labels of one image.

    Parameters
    ----------
    paths : path or sequence of paths
        One file (or folder of slices), or several whose slices follow each other.
    kind : {"annotations", "masks", "objects"}
        What the values mean.
    like : Stack, optional
        The image; its slices, height and width are then required.

    Raises
    ------
    UserError
        If the file cannot be read, holds no integers, says itself that it is of another kind,
        has other slices than the image, or more than 254 classes.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    likes = [like] if len(several) == 1 else None
    read = read_label_files(several, kind, likes=likes)
    if len(read) == 1:
        return read[0]
    first = read[0]
    ids = [labels.ids for labels in read if labels.ids is not None]
    joined = Labels(
        np.concatenate([labels.codes for labels in read]),
        kind,
        first.classes,
        first.values,
        np.concatenate(ids) if ids else None,
    )
    if like is not None:
        check_same_slices(joined.codes, like, f"{several[0]} and the {len(several) - 1} after it")
    return joined


def read_label_files(
    paths: Sequence[str | Path],
    kind: LabelsKind,
    *,
    likes: Sequence[Stack | None] | None = None,
) -> list[Labels]:
    """Read the labels of several images with one meaning: a value is the same class in all.

    Parameters
    ----------
    paths : sequence of paths
        One file (or folder of slices) per image.
    kind : {"annotations", "masks", "objects"}
        What the values mean.
    likes : sequence of Stack or None, optional
        The images, in the same order.

    Raises
    ------
    UserError
        As `read_labels`.
    """
    if kind not in get_args(LabelsKind):
        raise UserError(
            f"{kind!r} is no kind of labels; it is one of {', '.join(get_args(LabelsKind))}."
        )
    images = likes or [None] * len(paths)
    opened = [_open(Path(path), kind, like) for path, like in zip(paths, images, strict=True)]
    if kind == "objects":
        return [_objects(values, segmented_slices(stack)) for stack, values in opened]
    present: set[int] = set()
    for path, (_, values) in zip(paths, opened, strict=True):
        found = values_in(values)
        check_label_values(found, str(path), limit=MAX_ID)
        present |= found
    named = max((named_classes(stack) for stack, _ in opened), key=len, default=())
    mapping = (map_annotations if kind == "annotations" else map_masks)(present, len(named))
    check_class_count(mapping, paths[0])
    classes = tuple(
        named[k - 1] if k <= len(named) else default_class(k)
        for k in range(1, mapping.n_classes + 1)
    )
    return [
        Labels(
            mapping.apply(values),
            kind,
            classes,
            mapping.recorded,
            slices=segmented_slices(stack),
        )
        for stack, values in opened
    ]


def notes_on(labels: Sequence[Labels]) -> list[str]:
    """Say what a person may not expect of how label files were understood, in sentences.

    Parameters
    ----------
    labels : sequence of Labels
        As `read_label_files` returns them.
    """
    first = labels[0]
    notes = []
    if first.values:
        shown = [f"{value} is class {k}" for value, k in first.values.items()]
        more = f" and so on, {len(shown)} in all" if len(shown) > _VALUES_IN_A_NOTE else ""
        listed = ", ".join(shown[:_VALUES_IN_A_NOTE])
        notes.append(f"Other values than 0, 1, 2, … in the labels: {listed}{more}.")
    n_classes = len(first.classes)
    nameless = all(c == default_class(k) for k, c in enumerate(first.classes, start=1))
    if n_classes >= MANY_CLASSES and nameless:
        notes.append(
            f"The labels hold {n_classes} classes that have no names; if these are the ids of "
            "objects, give objects as the kind of labels."
        )
    return notes


def classes_present(codes: npt.NDArray[np.uint8]) -> list[int]:
    """List the classes that are labelled somewhere, 0 for background, in ascending order.

    >>> classes_present(np.array([0, 0, 1, 3], np.uint8))
    [0, 2]
    """
    return [code - 1 for code in sorted(values_in(codes)) if code > 0]


def codes_to_masks(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn codes into classes: −1, and 0 for what is unlabelled."""
    masks: npt.NDArray[np.uint8] = np.maximum(codes, 1) - np.uint8(1)
    return masks


def _open(path: Path, kind: LabelsKind, like: Stack | None) -> tuple[Stack, npt.NDArray[Any]]:
    """Read a file's values, shape (N, Y, X), of an integer type or bool."""
    stack = open_labels(path, kind, like)
    if stack.n_planes == 1 < stack.n_channels and like and like.n_planes == stack.n_channels:
        values = stack.plane(0)  # slices that a program saved as channels
    else:
        values = np.stack([label_plane(stack, i, path) for i in range(stack.n_planes)])
    if like is not None:
        check_same_slices(values, like, str(path))
    return stack, values


def _objects(values: npt.NDArray[Any], slices: tuple[int, ...] | None) -> Labels:
    check_label_values([int(values.min()), int(values.max())], "the labels", limit=MAX_ID)
    ids = values.astype(np.uint32)
    codes = (ids > 0).astype(np.uint8) + np.uint8(1)
    classes = (LabelClass(name="object", color=default_color(1)),)
    return Labels(codes, "objects", classes, {}, ids, slices)
