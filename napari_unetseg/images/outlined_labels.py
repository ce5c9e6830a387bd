"""From outlines to labels, and from labels to outlines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import (
    BACKGROUND,
    MAX_CLASSES,
    UNLABELLED,
    LabelClass,
    default_class,
    default_color,
)
from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted

from .label_meaning import (
    BACKGROUND_CLASS,
    MAX_ID,
    LabelsKind,
    Meaning,
    classes_in,
    described,
    frame_in,
    kind_in,
    segmented_slices,
)
from .outlines import Outline, Polygon, fill, trace
from .stack import Stack


@dataclass(frozen=True, slots=True)
class Outlines:
    """What a file of outlines holds.

    Attributes
    ----------
    path : Path
    outlines : tuple of Outline
        Where they overlap, the later one counts.
    frame : Stack or None
        What they lie on, where the file knows its size; without pixels of its own.
    about : dict
        What this package wrote of them.
    notes : tuple of str
        What a person may not expect of how they were read, in sentences.
    """

    path: Path
    outlines: tuple[Outline, ...]
    frame: Stack | None = None
    about: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def known_frame(self) -> Stack | None:
        """What they lie on, if the file, or this package in it, says how large that is."""
        return self.frame or frame_in(self.about)

    @property
    def slices(self) -> tuple[int, ...] | None:
        """Slices that were segmented, where this package said that not all were."""
        frame = frame_in(self.about)
        return None if frame is None else segmented_slices(replace(frame, metadata=self.about))

    def summary(self) -> dict[str, Any]:
        """Count objects, and outlines by the names of their classes; for JSON."""
        classes, numbers = _classes(self)
        named = [numbers.get(outline.class_name, 0) for outline in self.outlines]
        ids, _ = _values("objects", self, named)
        return {
            "objects": len(set(ids) - {0}),
            "kind": kind_in(self.about) or "objects",
            "classes": [label_class.model_dump() for label_class in classes],
            "by_class": dict(Counter(outline.class_name for outline in self.outlines)),
        }


def draw(found: Outlines, kind: LabelsKind | None = None, like: Stack | None = None) -> Stack:
    """Turn outlines into labels, each slice when it is asked for.

    Parameters
    ----------
    found : Outlines
    kind : {"objects", "masks", "annotations"}, optional
        Objects: each outline has an id. Masks and annotations: the class of each; outside there is
        background, or nothing annotated. What the file says of itself where left out, else objects.
    like : Stack, optional
        The image that they were drawn on.

    Raises
    ------
    UserError
        If nobody knows the size of the image, or there are too many classes.
    """
    frame = like or found.known_frame
    if frame is None:
        raise UserError(
            f"{found.path} holds outlines and not the size of their image; give the image, too "
            "(convert --like IMAGE)."
        )
    kind = kind or kind_in(found.about) or "objects"
    classes, numbers = _classes(found)
    if len(classes) > MAX_CLASSES:
        raise UserError(
            f"{found.path} holds outlines of {len(classes)} classes, more than the {MAX_CLASSES} "
            "there can be; read them as objects."
        )
    named = [numbers.get(outline.class_name, 0) for outline in found.outlines]
    values, class_of = _values(kind, found, named)
    if kind != "objects" and not classes:
        classes = (LabelClass(name="object", color=default_color(1)),)
    on_planes, n_beyond = _by_plane(found.outlines, frame)
    notes = list(found.notes)
    if n_beyond:
        notes.append(f"{counted(n_beyond, 'outline')} beyond the last slice left out.")
    dtype = np.uint32 if kind == "objects" else np.uint8

    def plane(index: int) -> npt.NDArray[Any]:
        labels = np.zeros(frame.plane_shape, dtype)
        for number in on_planes.get(index, ()):
            for polygon in found.outlines[number].polygons:
                fill(polygon, labels, values[number])
        return labels

    about = described(kind, classes, class_of)
    slices = found.slices
    if slices is not None and max(slices) < frame.n_planes:
        about["slices"] = list(slices)
    return replace(stack_of_planes(plane, dtype, frame, about), notes=tuple(notes))


def stack_of_planes(
    plane: Callable[[int], npt.NDArray[Any]],
    dtype: npt.DTypeLike,
    frame: Stack,
    about: dict[str, Any],
) -> Stack:
    """Return labels whose slices are made when they are looked at.

    Parameters
    ----------
    plane : callable
        Returns slice i, shape (Y, X), of this `dtype`.
    frame : Stack
        Whose axes (without channels), shape, pixel size, name and path they get.
    about : dict
        What is known of them.
    """
    import dask
    import dask.array as da

    shape = frame.plane_shape
    lazy = dask.delayed(plane)  # type: ignore[attr-defined]
    planes = [
        da.from_delayed(lazy(index), shape, dtype)  # type: ignore[no-untyped-call]
        for index in range(frame.n_planes)
    ]
    data = da.stack(planes).reshape(frame.labels_shape)  # type: ignore[no-untyped-call]
    axes, sizes = frame.axes.replace("C", ""), frame.pixel_size_um
    return Stack(data, axes, sizes, frame.name, frame.path, metadata=about)


def outlines_of(labels: Stack) -> Iterator[Outline]:
    """Trace labels slice by slice.

    Yields
    ------
    Outline
        With its number, class and slice: of objects one per object and slice, of classes one per
        connected part.
    """
    meaning = Meaning.of(labels)
    depth = labels.size("Z")
    for index in range(labels.n_planes):
        t, z = divmod(index, depth)
        for value, polygons in trace(labels.plane(index)[0]).items():
            found = meaning.class_at(value)
            name, color = (found.name, found.color) if found else ("", None)
            parts = [tuple(polygons)] if meaning.kind == "objects" else [(p,) for p in polygons]
            for part in parts:
                yield Outline(part, value, name, color, t, z)


def bounds(polygons: Sequence[Polygon]) -> tuple[float, float, float, float]:
    """Return the lowest x and y, and the highest."""
    corners = np.concatenate([polygon[0] for polygon in polygons])
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _classes(found: Outlines) -> tuple[tuple[LabelClass, ...], dict[str, int]]:
    """Give numbers to classes: those that the file lists, then others as they come."""
    classes = list(classes_in(found.about))
    numbers = {label_class.name: k for k, label_class in enumerate(classes, 1)}
    for outline in found.outlines:
        name = outline.class_name
        if not name or name in numbers or name.lower() == BACKGROUND_CLASS.name:
            continue
        numbers[name] = len(classes) + 1
        made = default_class(len(classes) + 1)
        classes.append(LabelClass(name=name[:80], color=outline.color or made.color))
    return tuple(classes), numbers


def _values(
    kind: LabelsKind, found: Outlines, named: Sequence[int]
) -> tuple[list[int], dict[int, int]]:
    """Return the value of each outline, and the classes of objects."""
    names = [outline.class_name.lower() for outline in found.outlines]
    is_background = [name == BACKGROUND_CLASS.name for name in names]
    if kind != "objects":
        first, nothing = (BACKGROUND, UNLABELLED) if kind == "annotations" else (0, 0)
        # What has no class is the first one where there is none, and else left out.
        other = first + 1 if not any(named) else nothing
        values = [
            first if background else (k + first if k else other)
            for k, background in zip(named, is_background, strict=True)
        ]
        return values, {}
    by_class = kind_in(found.about) not in (None, "objects")  # there, a number is a class
    numbers = [None if by_class else outline.label for outline in found.outlines]
    unused = max((n for n in numbers if n is not None), default=0)
    ids: list[int] = []
    for number, background in zip(numbers, is_background, strict=True):
        if number is None and not background:
            unused += 1
        ids.append(0 if background else unused if number is None else number)
    if max(ids, default=0) > MAX_ID or min(ids, default=0) < 0:
        raise UserError(f"{found.path} numbers objects beyond {MAX_ID}; number them anew.")
    return ids, {value: k for value, k in zip(ids, named, strict=True) if k and value}


def _by_plane(outlines: Sequence[Outline], frame: Stack) -> tuple[dict[int, list[int]], int]:
    """List the outlines of each slice, and count those that lie on none."""
    n_t, depth = frame.size("T"), frame.size("Z")
    found: dict[int, list[int]] = defaultdict(list)
    n_beyond = 0
    for number, outline in enumerate(outlines):
        times = range(n_t) if outline.t is None else [outline.t]
        levels = range(depth) if outline.z is None else [outline.z]
        inside = [t * depth + z for t in times for z in levels if 0 <= t < n_t and 0 <= z < depth]
        n_beyond += not inside
        for index in inside:
            found[index].append(number)
    return found, n_beyond
