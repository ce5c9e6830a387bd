"""A layer of ours: what it shows, and what a person paints on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.notifications import show_warning

from napari_unetseg.wording import counted
from napari_unetseg.workspace import ImageEntry, Workspace

from .label_colors import Role, highest_label
from .strokes import DragWatch, touched_planes

#: Pixels, uint8; ids of objects, uint32.
Pixels = npt.NDArray[Any]


class ShownLayer:
    """Labels of an image, as a layer: annotations, segmentation, region, or numbered objects.

    Its pixels are a copy (those of the region excepted). What a person changes in them is found
    when the stroke has ended, by comparing, and becomes an edit of the workspace.

    Attributes
    ----------
    layer : Labels
    unsettled : set of int
        Slices to be looked at again: napari tells of a polygon before it has painted it.
    """

    def __init__(self, workspace: Workspace, entry: ImageEntry, role: Role) -> None:
        self._workspace = workspace
        self._entry = entry
        self._role = role
        self._buffer, self._drawn = self._new_pixels()
        self.unsettled: set[int] = set()

    def attach(self, layer: Labels) -> None:
        """Follow the layer that shows `pixels`."""
        self.layer = layer
        self._drag = DragWatch(layer, follow_brush=self._role == "segmentation")
        layer.events.paint.connect(self._on_painted)
        layer.events.data.connect(self._on_data_replaced)

    @property
    def pixels(self) -> Pixels:
        """What the layer shows, with the axes of the image; to be painted on."""
        return self._buffer.reshape(self._entry.stack.labels_shape)

    @property
    def busy(self) -> bool:
        """Whether somebody is painting on it: nothing may be written to it meanwhile."""
        return self._drag.busy

    def settle(self) -> None:
        """Take over what was painted after napari had told of it."""
        planes, self.unsettled = sorted(self.unsettled), set()
        if (planes or self._drag.has_painted) and self._entry.id in self._workspace.images:
            self._commit(planes)
            # What was erased that is background already is no edit, and has to be seen again.
            if self._role == "segmentation" and self.show(planes):
                self.layer.refresh(thumbnail=False, highlight=False, extent=False)

    def let_go(self) -> None:
        """Take over what was painted, also by a stroke under way: the layer is closed."""
        self.layer.events.paint.disconnect(self._on_painted)
        self.unsettled.update(self._drag.planes_so_far)
        self.settle()

    def undo(self, layer: Labels) -> None:
        """Take a stroke back that is in the layer's history alone."""
        layer.undo()
        self._commit(range(len(self._buffer)))

    def redo(self, layer: Labels) -> None:
        """Paint it again."""
        layer.redo()
        self._commit(range(len(self._buffer)))

    def show(self, planes: Iterable[int]) -> list[int]:
        """Write what the workspace has onto slices; return those that look different now."""
        changed = []
        for plane in planes:
            codes = self._codes(plane)
            if not np.array_equal(self._buffer[plane], codes):
                self._buffer[plane] = codes
                changed.append(plane)
            if self._role == "segmentation":
                self._drawn[plane] = codes
        return changed

    def sketch(self, plane: int, where: npt.NDArray[np.bool_], code: int) -> None:
        """Show what somebody is about to do, until the slice is shown again; nothing is painted."""
        self._buffer[plane][where] = code

    def _new_pixels(self) -> tuple[Pixels, Pixels]:
        """Return the layer's pixels, and what was last written to them by us."""
        entry, new_array = self._entry, self._workspace.session.array
        if self._role == "region":
            if entry.region is None:
                entry.region = new_array(entry.id, "region", entry.shape)
            return entry.region, entry.region
        buffer = new_array(entry.id, f"{self._role}-shown", entry.shape)
        drawn = entry.codes
        if self._role == "segmentation":
            drawn = new_array(entry.id, f"{self._role}-drawn", entry.shape)
        for plane in entry.segmented_planes():
            codes = self._codes(plane)
            if codes.any():
                buffer[plane] = drawn[plane] = codes
        return buffer, drawn

    def _codes(self, plane: int) -> Pixels:
        entry = self._entry
        return entry.codes[plane] if self._role == "annotations" else entry.segmentation(plane)

    def _on_painted(self, event: Any) -> None:
        planes = touched_planes(self.layer, event.value)
        self._commit(planes)
        self.unsettled.update(planes)

    def _on_data_replaced(self) -> None:
        """Take over what napari or a script put in place of the pixels, and give ours back."""
        given = np.asarray(self.layer.data)
        if self._entry.id not in self._workspace.images or _is_same(given, self.pixels):
            return
        if given.size == self._buffer.size:  # of another view of the same memory, a copy
            self._take_over(given.reshape(self._buffer.shape).copy())
        else:
            show_warning(
                f"{self.layer.name} stays as it was: it has {self._buffer.size:,} pixels, and what "
                f"was put in their place {given.size:,}."
            )
        self.layer.data = self.pixels
        self._commit(range(len(self._buffer)))

    def _take_over(self, given: npt.NDArray[Any]) -> None:
        highest = highest_label(self._role, self._workspace.classes)
        known = (given >= 0) & (given <= highest)
        np.copyto(self._buffer, given.astype(np.uint8), where=known)
        n_unknown = known.size - int(np.count_nonzero(known))
        if n_unknown:
            show_warning(
                f"{counted(n_unknown, 'pixel')} of {self.layer.name} stayed as they were: their "
                f"new values are not between 0 and {highest}, which are all that mean something "
                "here. To take labels of another kind over, put them into a layer of their own "
                "and press Use as annotations."
            )

    def _commit(self, planes: Sequence[int]) -> None:
        workspace, image = self._workspace, self._entry.id
        if self._role == "region":
            workspace.update_region(image)
        elif self._role == "annotations":
            workspace.commit_annotations(image, self._buffer, planes)
        else:
            covered = self._covered()
            planes = sorted({*planes, *covered})
            workspace.commit_segmentation(image, self._buffer, self._drawn, planes, covered)

    def _covered(self) -> dict[int, npt.NDArray[np.bool_]]:
        """Return where the brush found right already what it painted: that is confirmed."""
        taken = self._drag.take_covered()
        if taken is None or self._entry.id not in self._workspace.images:
            return {}
        plane, covered = taken
        return {plane: covered & (self._buffer[plane] == self.layer.selected_label)}


def _is_same(one: Pixels, other: Pixels) -> bool:
    """Tell whether two arrays are the same memory, seen alike."""
    return one.__array_interface__ == other.__array_interface__
