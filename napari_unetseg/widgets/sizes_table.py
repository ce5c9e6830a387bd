"""How large each class is, on the slice in view and in the stack, as it is segmented now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QAbstractItemView, QTableWidgetItem

from napari_unetseg.annotations import code_of
from napari_unetseg.workspace import ImageEntry
from napari_unetseg.workspace.sizes import area_um2, in_units, volume_um3

from .class_counts import ClassCounts, Counts
from .context import Context
from .listen import listen
from .read_only_table import ReadOnlyTable

_HEIGHT_PX = 150
_COLUMNS = (
    ("Class", "In the image at hand: corrections first, what the network answered under them."),
    ("This slice", "Pixels of the slice in view, and their area where the pixel size is known."),
    ("Stack", "Voxels of all slices, of the time point in view, and their volume."),
)
_COUNTING = "counting …"


class SizesTable(ReadOnlyTable):
    """Pixels and areas or volumes of every class, counted while the table is in view.

    Parameters
    ----------
    context : Context
    """

    def __init__(self, context: Context) -> None:
        super().__init__(_COLUMNS)
        self._context = context
        self.setSelectionMode(QAbstractItemView.SelectionMode.ContiguousSelection)
        self.setFixedHeight(_HEIGHT_PX)
        self._counts = ClassCounts(context.workspace, self, segmentation=True)
        self._counts.counted.connect(self._update)
        self._names: Sequence[str] = ()
        listen(context.viewer.dims.events.current_step, self._update)
        listen(context.viewer.layers.selection.events.active, self._update)
        listen(context.workspace.images_changed, self._update)
        listen(context.workspace.classes_changed, self._update)
        listen(context.workspace.segmentation_changed, self._update)

    def count_instead(self, labels: npt.NDArray[Any] | None, names: Sequence[str] = ()) -> None:
        """Count a result in place of the segmentation.

        Parameters
        ----------
        labels : ndarray or None
            As for `ClassCounts.count_instead`.
        names : sequence of str
            Of what it holds beside background; the classes where there are none.
        """
        self._names = names
        self._counts.count_instead(labels)
        self._update()

    def showEvent(self, event: QShowEvent) -> None:
        """Begin to count."""
        super().showEvent(event)
        self._update()

    def hideEvent(self, event: QHideEvent) -> None:
        """Count no more."""
        super().hideEvent(event)
        self._counts.count_only(())

    def _update(self, *_: object) -> None:
        if not self.isVisible():
            return
        entry = self._context.layers.current_image()
        if entry is None:
            self.setRowCount(0)
            return
        self._counts.count_only((entry.id,))
        here = self._context.layers.current_plane(entry)
        on_slice = self._counts.of(entry.id, [here])
        in_stack = self._counts.of(entry.id, stack_of(entry, here))
        classes = [cls.name for cls in self._context.workspace.classes]
        names = ["background", *(self._names or classes)]
        if in_stack is not None:
            codes = np.flatnonzero(in_stack)
            names += [f"label {code}" for code in range(len(names) + 1, codes.max(initial=0) + 1)]
        self.setRowCount(len(names))
        for k, name in enumerate(names):
            texts = (name, _slice_text(entry, on_slice, k), _stack_text(entry, in_stack, k))
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
                self.setItem(k, column, item)
        self.resizeRowsToContents()


def stack_of(entry: ImageEntry, plane: int) -> range:
    """Return the slices of the time point of a slice."""
    depth = entry.stack.size("Z")
    first = plane - plane % depth
    return range(first, first + depth)


def _slice_text(entry: ImageEntry, counts: Counts | None, k: int) -> str:
    if counts is None:
        return _COUNTING
    n_px = int(counts[code_of(k)])
    area = area_um2(entry.stack, n_px)
    return _text(n_px, None if area is None else in_units(area, "µm²"))


def _stack_text(entry: ImageEntry, counts: Counts | None, k: int) -> str:
    if entry.stack.size("Z") <= 1:
        return "–"
    if counts is None:
        return _COUNTING
    n_px = int(counts[code_of(k)])
    volume = volume_um3(entry.stack, n_px)
    return _text(n_px, None if volume is None else in_units(volume, "µm³"))


def _text(n_px: int, size: str | None) -> str:
    return f"{n_px:,} px" if size is None else f"{n_px:,} px\n{size}"
