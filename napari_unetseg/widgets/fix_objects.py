"""What tools for proofreading do with numbered objects."""

from __future__ import annotations

import numpy as np

from napari_unetseg.annotations import pixels_along
from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted
from napari_unetseg.workspace import ImageEntry, ObjectCorrections, ObjectSet

from .fix_segmentation import Sketch, Stroke
from .object_layers import ObjectLayers, number_after
from .shortcuts import ON_OBJECTS


class FixObjects:
    """Hands what is done with a tool on a layer of objects to their corrections.

    Parameters
    ----------
    layers : ObjectLayers
    corrections : ObjectCorrections
    """

    def __init__(self, layers: ObjectLayers, corrections: ObjectCorrections) -> None:
        self._layers = layers
        self._corrections = corrections
        #: Clicked on first, to be joined with the next.
        self._first: tuple[str, int] | None = None
        layers.renamed.connect(self._on_renamed)

    def begin(self, entry: ImageEntry, plane: int, stroke: Stroke) -> None:
        """Take note of nothing: every stroke stands for itself."""

    def sketch(self, tool: str, entry: ImageEntry, plane: int, stroke: Stroke) -> Sketch | None:
        """Return the line of a drag."""
        if tool not in ("split", "join"):
            return None
        where = np.zeros(entry.stack.plane_shape, bool)
        where[pixels_along(stroke.path, entry.stack.plane_shape)] = True
        return where, 0

    def use(self, tool: str, entry: ImageEntry, plane: int, stroke: Stroke) -> str | None:
        """Do what the tool does, and say what became of it."""
        objects = self._layers.current(entry.id)
        if objects is None or tool not in ON_OBJECTS:
            return None
        if (stroke.is_click or tool == "delete") and not stroke.is_inside(entry.stack.plane_shape):
            return None
        first, self._first = self._first, None
        everywhere = not self._layers.this_slice_only
        if tool == "delete":
            number = self._corrections.delete(objects, plane, stroke.point, everywhere=everywhere)
            return f"Object {number} is deleted; Undo takes that back."
        if tool == "split":
            n = self._corrections.split(objects, plane, stroke.path, everywhere=everywhere)
            return f"Divided into {counted(n, 'object')}; Undo takes that back."
        if not stroke.is_click:
            ends = self._corrections.ends(objects, plane, stroke.path)
            return self._join(objects, *ends, plane)
        number = self._corrections.at(objects, plane, stroke.point)
        if first is None or first[0] != objects.key:
            self._first = objects.key, number
            return f"Object {number}: now click on the one that belongs to it."
        return self._join(objects, first[1], number, plane)

    def _on_renamed(self, objects: ObjectSet, names: dict[int, int]) -> None:
        if self._first is not None and self._first[0] == objects.key:
            number = number_after(names, self._first[1])
            self._first = (objects.key, number) if number else None

    def _join(self, objects: ObjectSet, first: int, second: int, plane: int) -> str:
        if first not in objects.areas():
            raise UserError(f"Object {first} is there no more; begin again.")
        everywhere = not self._layers.this_slice_only
        self._corrections.merge(objects, first, second, plane, everywhere=everywhere)
        return f"Objects {first} and {second} are object {first} now; Undo takes that back."
