"""What labels mean: their kind, the classes they name, and what a file says of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

import numpy as np
from pydantic import ValidationError

from napari_unetseg import __version__
from napari_unetseg.config import BACKGROUND, BACKGROUND_COLOR, LabelClass, default_class

from .stack import AXES, Stack

#: What the values of a labels file mean: see `Labels`.
LabelsKind = Literal["annotations", "masks", "objects"]

#: Ids go up to here.
MAX_ID = 2**32 - 1

#: What is said to have a longer side, or more slices, is no image.
_LONGEST = 1 << 20

#: Outlines of this class are background, whichever program drew them.
BACKGROUND_CLASS = LabelClass(name="background", color=BACKGROUND_COLOR)


def saved_kind(stack: Stack) -> LabelsKind | None:
    """Return the kind of labels a file says it is; None where this package did not write it."""
    return kind_in(stack.metadata)


def kind_in(about: Mapping[str, Any]) -> LabelsKind | None:
    """Return the kind that facts about labels name."""
    kind = about.get("kind")
    return kind if kind in get_args(LabelsKind) else None


def named_classes(stack: Stack) -> tuple[LabelClass, ...]:
    """Return the classes a file names; none where this package did not write it."""
    return classes_in(stack.metadata)


def classes_in(about: Mapping[str, Any]) -> tuple[LabelClass, ...]:
    """Return the classes that facts about labels name."""
    classes = about.get("classes", ())
    try:
        return tuple(LabelClass.model_validate(c) for c in classes or ())
    except (ValidationError, TypeError):
        return ()  # somebody else's annotation under our name


def segmented_slices(stack: Stack) -> tuple[int, ...] | None:
    """Return the slices that were segmented, where a file says that not all were."""
    slices = stack.metadata.get("slices")
    known = range(stack.n_planes)
    if isinstance(slices, list) and slices and all(type(i) is int and i in known for i in slices):
        return tuple(sorted(set(slices)))
    return None  # somebody else's, or every slice


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the values of labels stand for.

    Attributes
    ----------
    kind : {"annotations", "masks", "objects"}
    classes : tuple of LabelClass
        Classes 1, 2, …
    class_of : dict of int to int
        Object → class, where objects have classes.
    """

    kind: LabelsKind
    classes: tuple[LabelClass, ...]
    class_of: Mapping[int, int]

    @classmethod
    def of(cls, stack: Stack) -> Self:
        """Read it from what a labels file says of itself; objects where it says nothing."""
        return cls(saved_kind(stack) or "objects", named_classes(stack), classes_of_objects(stack))

    def class_at(self, value: int) -> LabelClass | None:
        """Return the class of what has this value; None of objects without one."""
        if self.kind == "objects":
            k = self.class_of.get(value, 0)
            return self.classes[k - 1] if 0 < k <= len(self.classes) else None
        if self.kind == "annotations" and value == BACKGROUND:
            return BACKGROUND_CLASS
        k = value - 1 if self.kind == "annotations" else value
        return self.classes[k - 1] if k <= len(self.classes) else default_class(k)

    def name_of(self, value: int) -> str:
        """Return what a person calls it: the number of an object, the name of a class."""
        found = None if self.kind == "objects" else self.class_at(value)
        return str(value) if found is None else found.name


def classes_of_objects(stack: Stack) -> dict[int, int]:
    """Return the class of each object, where a file says it."""
    found = stack.metadata.get("class_of", {})
    try:
        return {int(value): int(k) for value, k in found.items()}
    except (AttributeError, TypeError, ValueError):
        return {}


def described(
    kind: LabelsKind, classes: tuple[LabelClass, ...], class_of: Mapping[int, int] | None = None
) -> dict[str, Any]:
    """Return the facts about labels that travel in every file this package writes."""
    about: dict[str, Any] = {
        "version": 1,
        "software": f"napari-unetseg {__version__}",
        "kind": kind,
        "classes": [label_class.model_dump() for label_class in classes],
    }
    if class_of:
        about["class_of"] = {str(value): k for value, k in class_of.items()}
    return about


def with_frame(stack: Stack) -> dict[str, Any]:
    """Return what labels say of themselves with what a format without pixels has no place for."""
    frame = {"name": stack.name, "axes": stack.axes, "shape": list(stack.shape)}
    return stack.metadata | frame | {"pixel_size_um": stack.pixel_size_um}


def frame_in(about: Mapping[str, Any]) -> Stack | None:
    """Return a stack of nothing with the axes, shape and pixel size that `with_frame` wrote.

    None where they are missing, or not what they should be.
    """
    axes, shape, sizes = about.get("axes"), about.get("shape"), about.get("pixel_size_um", {})
    try:
        lengths = tuple(int(n) for n in shape)  # type: ignore[union-attr]
        known = {axis: float(sizes[axis]) for axis in "ZYX" if axis in sizes}
        good = all(math.isfinite(size) and size > 0 for size in known.values())
        good = good and bool(lengths) and min(lengths) > 0 and max(lengths) <= _LONGEST
        good = good and math.prod(lengths[:-2]) <= _LONGEST
        if not (good and isinstance(axes, str) and set(axes) <= set(AXES.replace("C", ""))):
            return None
        nothing = np.broadcast_to(np.zeros((), np.uint8), lengths)
        return Stack(nothing, axes, known, str(about.get("name", "labels")))
    except (TypeError, ValueError, LookupError, OverflowError):
        return None


def framed(labels: Stack, about: Any) -> Stack:
    """Return labels with the axes, pixel size and meaning that is said of them beside.

    Parameters
    ----------
    labels : Stack
        As their format has them.
    about : object
        What `with_frame` wrote, or anything else: then they stay as they are.
    """
    frame = frame_in(about) if isinstance(about, dict) else None
    shape = (labels.n_planes, labels.plane_shape)
    if frame is None or labels.n_channels > 1 or (frame.n_planes, frame.plane_shape) != shape:
        return labels
    data = labels.data.reshape(frame.shape)
    return replace(frame, data=data, path=labels.path, metadata=about, notes=labels.notes)
