"""Labels files larger than memory: looked through once, then read slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import (
    BACKGROUND,
    MAX_CLASSES,
    LabelClass,
    default_class,
    default_color,
)

from .checks import check_same_slices
from .label_files import check_class_count, label_plane, label_planes, open_labels
from .label_meaning import MAX_ID, LabelsKind, named_classes, saved_kind, segmented_slices
from .label_values import ValueMap, check_label_values, counts_in, map_annotations, map_masks
from .lazy_planes import LazyCodes, LazyPlanes
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
    counts : ndarray, shape (N, codes), uint32
        How often a code is on a slice; also on those beside `slices`, as it is in the file.
    says_kind : bool
        Whether the file itself says of which kind it is.
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
    counts: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros((0, 0), np.uint32))
    says_kind: bool = False

    @property
    def codes(self) -> LazyCodes:
        """Codes, shape (N, Y, X), read when they are asked for; unlabelled beside `slices`."""
        codes = LazyCodes(
            lambda index: self.codes_of(self._values(index)), self.counts, self.shape[1:]
        )
        return codes if self.slices is None else codes.only(self.slices)

    @property
    def ids(self) -> LazyPlanes | None:
        """Ids of objects, shape (N, Y, X), uint32, likewise; None for the other kinds."""
        if self.kind != "objects":
            return None
        return LazyPlanes(
            self.shape, np.uint32, lambda index: self._values(index).astype(np.uint32)
        )

    def _values(self, index: int) -> npt.NDArray[Any]:
        return label_plane(self.open(), index, self.name)

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


class _Seen:
    """What the values of a file are like.

    Attributes
    ----------
    values : set of int
        All of them; of objects some.
    lowest, highest : int
        Of all values and 0.
    counts : list of dict of int to int
        By slice, how often a value is on it, unless there are more than there can be classes; of
        objects, 1 stands for all of them.
    """

    def __init__(self) -> None:
        self.values: set[int] = set()
        self.lowest = self.highest = 0
        self.counts: list[dict[int, int]] = []

    @classmethod
    def in_stack(cls, stack: Stack, name: str, kind: LabelsKind) -> Self:
        """Look through all slices."""
        seen = cls()
        add = seen.add_ids if kind == "objects" else seen.add
        for plane in label_planes(stack, name):
            add(plane)
        check_label_values([seen.lowest, seen.highest], name, limit=MAX_ID)
        return seen

    def add(self, plane: npt.NDArray[Any]) -> None:
        """Look at values that stand for classes."""
        found = counts_in(plane)
        self._reach(found)
        self.values |= found.keys()
        if len(self.values) <= MAX_CLASSES + 2:
            self.counts.append(found)

    def add_ids(self, plane: npt.NDArray[Any]) -> None:
        """Look at values of which it does not matter which there are."""
        n = int(np.count_nonzero(plane))
        self.counts.append({0: plane.size - n, 1: n})
        if n == 0:
            return
        highest = int(plane.max())
        self._reach([int(plane.min()), highest])
        if len(self.values - {0}) < 2:
            self.values |= {highest, int(np.where(plane > 0, plane, highest).min())}

    def _reach(self, values: Iterable[int]) -> None:
        self.lowest = min(self.lowest, *values)
        self.highest = max(self.highest, *values)

    def code_counts(self, mapping: ValueMap | None) -> npt.NDArray[np.uint32]:
        """Return how often a code is on a slice: shape (N, codes)."""
        codes = {0: BACKGROUND, 1: BACKGROUND + 1} if mapping is None else mapping.codes
        counts = np.zeros((len(self.counts), max(codes.values(), default=0) + 1), np.uint32)
        for of_plane, found in zip(counts, self.counts, strict=True):
            for value, n in found.items():
                of_plane[codes[value]] += n
        return counts


def scan_label_files(
    paths: Sequence[str | Path],
    kind: LabelsKind,
    likes: Sequence[Stack | None] | None = None,
    *,
    keep: bool = False,
) -> list[LabelPlanes]:
    """Look through labels of several images; a value is the same class in all.

    Parameters
    ----------
    paths : sequence of str or Path
        One file (or folder of slices) per image.
    kind : {"annotations", "masks", "objects"}
        What the values mean.
    likes : sequence of Stack or None, optional
        The images, in the same order; their slices, height and width are then required, and files
        of outlines do not know their size.
    keep : bool
        Keep files open, as many slices will be read; what a format must read whole stays in
        memory.

    Raises
    ------
    UserError
        If a file cannot be read, holds no integers, says itself that it is of another kind, has
        other slices than its image, or more than 254 classes.
    """
    images = likes or [None] * len(paths)
    openers = [_opener(Path(path), kind, like) for path, like in zip(paths, images, strict=True)]
    if keep:
        openers = [cache(opener) for opener in openers]
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
            seen.code_counts(mapping),
            saved_kind(stack) is not None,
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
    def opened() -> Stack:
        stack = open_labels(path, kind, like)
        if like is not None:
            check_same_slices((stack.n_planes, *stack.plane_shape), like, str(path), stack)
        return stack

    return opened


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
