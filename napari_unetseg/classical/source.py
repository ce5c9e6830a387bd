"""A stack as chains of steps see it: slice by slice, or volume by volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_unetseg.images import LazyCodes, Stack, annotated_slices

from .step import Labels, View


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A stack, and what is known of it before a chain runs.

    Attributes
    ----------
    stack : Stack
    planes : sequence of int or None
        Slices to segment; all if None. A step that looks along Z sees the others, too.
    strokes : array-like, shape (n_planes, Y, X), uint8, or None
        Codes: annotations, for methods that need them.
    labels : array-like, shape (n_planes, Y, X), or None
        Anything indexed by slices: what refinements without a method begin with.
    probabilities : array-like, shape (n_planes, classes, Y, X), float32, or None
        Anything indexed by slices: how probable what they begin with is; background first.
    """

    stack: Stack
    planes: Sequence[int] | None = None
    strokes: Any = None
    labels: Any = None
    probabilities: Any = None

    def chosen(self) -> list[int]:
        """Return the slices to segment."""
        return list(range(self.stack.n_planes) if self.planes is None else self.planes)

    def annotated_planes(self) -> list[int]:
        """Return the slices with strokes, chosen or not."""
        if self.strokes is None:
            return []
        return annotated_slices(self.strokes)

    def codes(self) -> Iterator[int]:
        """Yield the codes that are painted, some more than once."""
        if isinstance(self.strokes, LazyCodes):
            yield from (np.flatnonzero(self.strokes.counts[:, 1:].any(axis=0)) + 1).tolist()
            return
        for plane in self.annotated_planes():
            counts = np.bincount(self.strokes[plane].ravel())
            yield from map(int, np.flatnonzero(counts[1:]) + 1)

    def begun(self, planes: int | slice) -> Labels | None:
        """Return what refinements begin with."""
        return None if self.labels is None else np.asarray(self.labels[planes])

    def slice_view(self, plane: int) -> View:
        """Return what steps see of a slice."""
        strokes = None if self.strokes is None else self.strokes[plane]
        told = None if self.probabilities is None else np.asarray(self.probabilities[plane])
        return View(self.stack.plane(plane), self._z_px(), strokes, told)

    def volume_view(self, t: int) -> View:
        """Return what steps that look along Z see of a time point."""
        depth = self.stack.size("Z")
        planes = range(t * depth, (t + 1) * depth)
        pixels = np.stack([self.stack.plane(plane) for plane in planes], axis=1)
        strokes = None if self.strokes is None else self.strokes[planes.start : planes.stop]
        told = None
        if self.probabilities is not None:
            of_planes = self.probabilities[planes.start : planes.stop]
            told = np.moveaxis(np.asarray(of_planes), 1, 0)
        return View(pixels, self._z_px(), strokes, told)

    def _z_px(self) -> float:
        """Return how long a step along Z is, in px; 1 where that is not known."""
        size = self.stack.pixel_size_um
        return size["Z"] / size["Y"] if size.get("Z") and size.get("Y") else 1.0
