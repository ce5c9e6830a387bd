"""Objects looked at one after the other: outlined, called right, counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from psygnal import Signal
from skimage.measure import approximate_polygon, find_contours

from napari_unetseg.annotations import window_around
from napari_unetseg.workspace import ImageEntry, ObjectCorrections, ObjectSet

from .frame import Box, bring_into_view, remove_outline, show_outline
from .layers import LayerBinder
from .object_layers import ObjectLayers, number_after

#: What is said of objects of which the image has been segmented otherwise since.
OUTDATED = "The segmentation has changed since these objects were numbered."

_DONE = "Every object is reviewed."


class ObjectReview:
    """Goes from object to object.

    Attributes
    ----------
    said : Signal(str)
    number : int
        Of the object that is outlined, 0 for none.
    """

    said = Signal(str)

    def __init__(
        self, layers: LayerBinder, objects: ObjectLayers, corrections: ObjectCorrections
    ) -> None:
        self.number = 0
        self._objects: ObjectSet | None = None
        self._plane = 0
        self._layers = layers
        self._object_layers = objects
        self._corrections = corrections
        objects.changed.connect(self._follow)
        objects.renamed.connect(self._on_renamed)

    def go_on(self) -> None:
        """Go to the next object that nobody has called right."""
        objects = self._at_hand()
        if objects is None:
            return
        after = self.number if objects is self._objects else 0
        number = self._corrections.next_unreviewed(objects, after)
        if number is None:
            self._end(self._layers.workspace.images[objects.image])
            self.said.emit(f"{_DONE} {counts(objects)}.")
            return
        self._show(objects, number)
        older = f" {OUTDATED}" if objects.is_outdated else ""
        self.said.emit(
            f"Object {number}: K if it is right, else correct it. {counts(objects)}; U goes on."
            f"{older}"
        )

    def right(self) -> None:
        """Call the object that is outlined right, and go on."""
        objects = self._at_hand()
        if objects is None:
            return
        if objects is self._objects and self.number in objects.areas():
            self._corrections.mark(objects, self.number)
        self.go_on()

    def _at_hand(self) -> ObjectSet | None:
        entry = self._layers.current_image()
        objects = None if entry is None else self._object_layers.current(entry.id)
        if objects is None:
            self.said.emit("There are no numbered objects yet; see Objects in the Correct step.")
        return objects

    def _show(self, objects: ObjectSet, number: int) -> None:
        entry = self._layers.workspace.images[objects.image]
        areas = objects.areas()[number]
        self._objects, self.number = objects, number
        self._plane = max(areas, key=lambda p: areas[p])
        layer = self._object_layers.show(objects)
        layer.selected_label = number
        self._layers.show_plane(entry, self._plane)
        where = objects.ids[self._plane] == number
        bring_into_view(self._layers, entry, _box(where))
        show_outline(self._layers, entry, self._plane, _contours(where))
        self._layers.activate(layer)

    def _on_renamed(self, objects: ObjectSet, names: dict[int, int]) -> None:
        if objects is self._objects:
            self.number = number_after(names, self.number)

    def _follow(self) -> None:
        """Outline what the object has become."""
        objects = self._objects
        if objects is None or objects.image not in self._layers.workspace.images:
            return
        entry = self._layers.workspace.images[objects.image]
        where = objects.ids[self._plane] == self.number
        layer = self._object_layers.layer_of(objects)
        if self.number and where.any() and layer is not None and layer.visible:
            show_outline(self._layers, entry, self._plane, _contours(where))
        else:
            remove_outline(self._layers, entry)

    def _end(self, entry: ImageEntry) -> None:
        remove_outline(self._layers, entry)
        self._objects, self.number = None, 0


def counts(objects: ObjectSet) -> str:
    """Say how many objects are reviewed.

    Examples
    --------
    "37 of 112 reviewed", "37 of 112 reviewed, out of date"
    """
    if not objects.is_counted:
        return "counting …"
    older = ", out of date" if objects.is_outdated else ""
    return f"{len(objects.reviewed):,} of {len(objects.areas()):,} reviewed{older}"


def _box(where: npt.NDArray[np.bool_]) -> Box:
    rows, columns = window_around(where, 0)
    return rows.start, columns.start, rows.stop, columns.stop


def _contours(where: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.float64]]:
    """Return lines around an object, (y, x) in px."""
    rows, columns = window_around(where, 0)
    padded = np.pad(where[rows, columns], 1).astype(np.uint8)
    corner = rows.start - 1, columns.start - 1
    found = find_contours(padded, 0.5)  # type: ignore[no-untyped-call]
    return [approximate_polygon(c, 0.3) + corner for c in found]  # type: ignore[no-untyped-call]
