"""What tools for proofreading do with the classes of a segmentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_unetseg.annotations import covered_by_brush, pixels_along
from napari_unetseg.config import BACKGROUND, UNLABELLED
from napari_unetseg.workspace import ImageEntry, Proofreading

Path = npt.NDArray[np.float64]
#: What a drag is going to change, and the label it gets: shown until the button is let go.
Sketch = tuple[npt.NDArray[np.bool_], int]

_LINE = "Press the mouse button, drag a line, and let go."


@dataclass(frozen=True, slots=True)
class Stroke:
    """What a person did with the tool.

    Attributes
    ----------
    path : ndarray, shape (n, 2)
        (y, x) in px of the slice; the first is where the button was pressed.
    is_click : bool
        The mouse hardly moved.
    code : int
        In hand, 0 where none is.
    brush_px : float
    """

    path: Path
    is_click: bool
    code: int
    brush_px: float

    @property
    def point(self) -> tuple[int, int]:
        """Where the button was pressed."""
        y, x = np.round(self.path[0]).astype(int)
        return int(y), int(x)

    def is_inside(self, shape: tuple[int, int]) -> bool:
        """Whether the button was pressed on the slice."""
        return all(0 <= p < n for p, n in zip(self.point, shape, strict=True))


class Fixing(Protocol):
    """What tools do on a kind of layer."""

    def begin(self, entry: ImageEntry, plane: int, stroke: Stroke) -> None:
        """Take note of where the button is pressed."""

    def sketch(self, tool: str, entry: ImageEntry, plane: int, stroke: Stroke) -> Sketch | None:
        """Return what a drag is going to do, as far as it has come."""

    def use(self, tool: str, entry: ImageEntry, plane: int, stroke: Stroke) -> str | None:
        """Do what the tool does, and return what is to be said of it."""


class FixSegmentation:
    """Hands what is done with a tool to the proofreading of classes."""

    def __init__(self, proofreading: Proofreading) -> None:
        self._proofreading = proofreading
        self._pressed_on = UNLABELLED

    def begin(self, entry: ImageEntry, plane: int, stroke: Stroke) -> None:
        """Take note of the class that the button is pressed on."""
        inside = stroke.is_inside(entry.stack.plane_shape)
        self._pressed_on = int(entry.segmentation(plane)[stroke.point]) if inside else UNLABELLED

    def sketch(self, tool: str, entry: ImageEntry, plane: int, stroke: Stroke) -> Sketch | None:
        """Return the superpixels, the cut or the bridge that a drag makes."""
        shape = entry.stack.plane_shape
        if tool == "superpixel" and stroke.code != UNLABELLED:
            where = self._proofreading.superpixels(entry.id, plane, stroke.path, stroke.brush_px)
            where &= (entry.codes[plane] == UNLABELLED) & entry.allowed(plane)
            return where, stroke.code
        if tool == "split":
            where = np.zeros(shape, bool)
            where[pixels_along(stroke.path, shape)] = True
            return where, BACKGROUND
        if tool == "join":
            return covered_by_brush(stroke.path, stroke.brush_px, shape), self._pressed_on
        return None

    def use(self, tool: str, entry: ImageEntry, plane: int, stroke: Stroke) -> str | None:
        """Do what the tool does, and say what became of it."""
        lines = tool in ("split", "join")
        if not lines and not stroke.is_inside(entry.stack.plane_shape):
            return None
        if lines and stroke.is_click:
            return _LINE
        work, done, nothing = self._work(tool)
        n_px = work(entry.id, plane, stroke)
        return f"{done}: {n_px:,} px changed; Undo takes that back." if n_px else nothing

    def _work(self, tool: str) -> tuple[Callable[[str, int, Stroke], int], str, str]:
        """Return what a tool does, what is said of it, and of nothing to be done."""
        do = self._proofreading

        def smooth(i: str, p: int, s: Stroke) -> int:
            if s.is_click:
                return do.smooth_piece(i, p, s.point, s.brush_px)
            return do.smooth_under(i, p, s.path, s.brush_px)

        annotated = "All of that is annotated already; paint over it with the brush."
        works: dict[str, tuple[Callable[[str, int, Stroke], int], str, str]] = {
            "superpixel": (
                lambda i, p, s: do.claim(i, p, s.path, s.code, s.brush_px),
                "Claimed",
                annotated,
            ),
            "grow": (
                lambda i, p, s: do.grow(i, p, s.point, s.code, s.brush_px),
                "Grown",
                annotated,
            ),
            "smooth": (smooth, "Smoothed", "That is smooth already; a wider brush smooths more."),
            "holes": (
                lambda i, p, s: do.fill_holes(i, p, s.point),
                "Filled",
                "It has no hole where nothing is painted; click into one to fill it altogether.",
            ),
            "delete": (
                lambda i, p, s: do.delete_piece(i, p, s.point),
                "Deleted",
                "That is outside the region of interest.",
            ),
            "split": (
                lambda i, p, s: do.split(i, p, s.path),
                "Cut",
                "That is outside the region of interest.",
            ),
            "join": (
                lambda i, p, s: do.join(i, p, s.path, s.brush_px),
                "Joined",
                "Another class lies in between, and stays.",
            ),
        }
        return works[tool]
