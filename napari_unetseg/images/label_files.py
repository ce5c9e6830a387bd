"""Labels files before their values are understood: what they say of themselves, and pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import numpy.typing as npt
from pydantic import ValidationError

from napari_unetseg.config import MAX_CLASSES, LabelClass
from napari_unetseg.errors import UserError

from .label_values import ValueMap
from .reading import open_stack
from .stack import Stack

#: What the values of a labels file mean: see `Labels`.
LabelsKind = Literal["annotations", "masks", "objects"]

#: Ids go up to here.
MAX_ID = 2**32 - 1


def saved_kind(stack: Stack) -> LabelsKind | None:
    """Return the kind of labels a file says it is; None where this package did not write it."""
    kind = stack.metadata.get("kind")
    return kind if kind in get_args(LabelsKind) else None


def open_labels(path: Path, kind: LabelsKind) -> Stack:
    """Open a file whose values are integers or bool, and which is not of another kind.

    Raises
    ------
    UserError
        If it cannot be read, or is something else.
    """
    stack = open_stack(path)
    if stack.dtype.kind not in "iub":
        raise UserError(
            f"{path} holds {stack.dtype} values; labels must be whole numbers, so save them as "
            "8-bit or 16-bit integers."
        )
    saved = saved_kind(stack)
    if saved is not None and saved != kind and (saved, kind) != ("masks", "objects"):
        raise UserError(
            f"{path} was saved as {saved}, not as {kind}; give {saved} as the kind of labels."
        )
    return stack


def label_plane(stack: Stack, index: int, name: str | Path) -> npt.NDArray[Any]:
    """Read a slice of labels, shape (Y, X); of several channels, which must be alike, the first.

    Raises
    ------
    UserError
        If channels differ.
    """
    plane = stack.plane(index)
    if stack.n_channels > 1 and not (plane == plane[:1]).all():
        raise UserError(
            f"{name} has {stack.n_channels} channels that differ, as a colour picture has; labels "
            "have one whole number per pixel."
        )
    first: npt.NDArray[Any] = plane[0]
    return first


def named_classes(stack: Stack) -> tuple[LabelClass, ...]:
    """Return the classes a file names; none where this package did not write it."""
    try:
        return tuple(LabelClass.model_validate(c) for c in stack.metadata.get("classes", ()))
    except ValidationError:
        return ()  # somebody else's annotation under our name


def segmented_slices(stack: Stack) -> tuple[int, ...] | None:
    """Return the slices that were segmented, where a file says that not all were."""
    slices = stack.metadata.get("slices")
    known = range(stack.n_planes)
    if isinstance(slices, list) and slices and all(i in known for i in slices):
        return tuple(slices)
    return None


def check_class_count(mapping: ValueMap, path: str | Path) -> None:
    """Raise `UserError` where there are more values than there can be classes."""
    if mapping.n_classes > MAX_CLASSES:
        raise UserError(
            f"{path} holds {mapping.n_classes} different labels, more than the {MAX_CLASSES} "
            "classes there can be; these look like objects, so give objects as the kind of labels."
        )
