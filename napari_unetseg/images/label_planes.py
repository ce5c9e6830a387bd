"""Labels files larger than memory: looked through once, then read slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import LabelClass, default_class, default_color

from .label_files import (
    check_class_count,
    label_plane,
    open_labels,
)
from .label_meaning import MAX_ID, LabelsKind, named_classes, segmented_slices
from .label_values import ValueMap, check_label_values, map_annotations, map_masks, values_in
from .stack import Stack


@dataclass(frozen=True, slots=True)
class LabelPlanes:
    """Labels of one image that are read when they are asked for.

    Attributes
    ----------
    name : str
        Of the file, for messages.
    open : callable
        Returns the stack of values; it is not kept, so that a folder of files takes no more
        memory than one.
    kind, classes, slices
        As of `Labels`.
    mapping : ValueMap or None
        From values to codes; None of objects, whose ids have no meaning.
    shape : tuple of int
        (N, Y, X).
    planes_per_volume : int
        Slices in which an id means the same object: those of one time point.
    pixel_size_um : dict of str to float
    foreground : frozenset of int
        Values beside 0; of objects not all, but several where there are several.
    """

    name: str
    open: Callable[[], Stack]
    kind: LabelsKind
    classes: tuple[LabelClass, ...]
    mapping: ValueMap | None
    shape: tuple[int, int, int]
    planes_per_volume: int
    pixel_size_um: dict[str, float] = field(default_factory=dict)
    slices: tuple[int, ...] | None = None
    foreground: frozenset[int] = frozenset()

    @property
    def values(self) -> dict[str, int]:
        """Value in the file → class; empty where the value is what the kind says it should be."""
        return self.mapping.recorded if self.mapping else {}

    @property
    def classes_present(self) -> list[int]:
        """Classes that are labelled in any of the files that were looked through together."""
        if self.mapping is None:
            return [0, 1]
        return sorted({code - 1 for code in self.mapping.codes.values() if code > 0})

    def codes_of(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Translate values of the file into codes."""
        if self.mapping is None:
            return (values > 0).astype(np.uint8) + np.uint8(1)
        return self.mapping.apply(values)


@dataclass(slots=True)
class _Seen:
    """What the values of a file are like."""

    values: set[int] = field(default_factory=set)
    lowest: int = 0
    highest: int = 0

    @classmethod
    def in_stack(cls, stack: Stack, name: str, kind: LabelsKind) -> Self:
        """Look through all slices; of objects it does not matter which values there are."""
        seen = cls()
        for index in range(stack.n_planes):
            plane = label_plane(stack, index, name)
            if not plane.size:
                continue
            seen.lowest = min(seen.lowest, int(plane.min()))
            seen.highest = max(seen.highest, int(plane.max()))
            if kind != "objects":
                seen.values |= values_in(plane)
            elif len(seen.values - {0}) < 2:
                highest = int(plane.max())
                seen.values |= {highest, int(np.where(plane > 0, plane, highest).min())}
        check_label_values([seen.lowest, seen.highest], name, limit=MAX_ID)
        return seen


def scan_label_files(
    paths: Sequence[Path], kind: LabelsKind, likes: Sequence[Stack | None] | None = None
) -> list[LabelPlanes]:
    """Look through labels of several images; a value is the same class in all.

    Parameters
    ----------
    paths : sequence of Path
        One file (or folder of slices) per image.
    kind : {"annotations", "masks", "objects"}
        What the values mean.
    likes : sequence of Stack or None, optional
        The images, in the same order: files of outlines do not know their size.

    Raises
    ------
    UserError
        As `read_label_files`.
    """
    images = likes or [None] * len(paths)
    openers = [_opener(path, kind, like) for path, like in zip(paths, images, strict=True)]
    return scan_labels([str(path) for path in paths], openers, kind)


def scan_labels(
    names: Sequence[str], openers: Sequence[Callable[[], Stack]], kind: LabelsKind
) -> list[LabelPlanes]:
    """Look through labels of several images, wherever they come from: see `scan_label_files`."""
    found: list[tuple[str, Callable[[], Stack], Stack, _Seen]] = []
    for name, opener in zip(names, openers, strict=True):
        stack = opener()
        seen = _Seen.in_stack(stack, name, kind)
        # Of what was read into memory, only what is known of it is kept.
        found.append((name, opener, _without_pixels(stack), seen))
    mapping, classes = _meaning(kind, found)
    return [
        LabelPlanes(
            name,
            opener,
            kind,
            classes,
            mapping,
            (stack.n_planes, *stack.plane_shape),
            stack.size("Z"),
            stack.pixel_size_um,
            segmented_slices(stack),
            frozenset(seen.values - {0}),
        )
        for name, opener, stack, seen in found
    ]


def _meaning(
    kind: LabelsKind, found: Sequence[tuple[str, Callable[[], Stack], Stack, _Seen]]
) -> tuple[ValueMap | None, tuple[LabelClass, ...]]:
    if kind == "objects":
        return None, (LabelClass(name="object", color=default_color(1)),)
    named = max((named_classes(stack) for _, _, stack, _ in found), key=len, default=())
    present = set().union(*(seen.values for _, _, _, seen in found))
    mapping = (map_annotations if kind == "annotations" else map_masks)(present, len(named))
    check_class_count(mapping, found[0][0])
    every = range(1, mapping.n_classes + 1)
    return mapping, tuple(named[k - 1] if k <= len(named) else default_class(k) for k in every)


def _opener(path: Path, kind: LabelsKind, like: Stack | None) -> Callable[[], Stack]:
    return lambda: open_labels(path, kind, like)


def _without_pixels(stack: Stack) -> Stack:
    nothing = np.broadcast_to(np.zeros((), stack.dtype), stack.shape)
    return Stack(
        nothing,
        stack.axes,
        stack.pixel_size_um,
        stack.name,
        stack.path,
        stack.channels,
        stack.metadata,
    )
