"""What a method grows from: what is painted, or points that were clicked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from napari.layers import Points
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from napari_unetseg.classical import strokes_at
from napari_unetseg.workspace import ImageEntry

from .context import Context
from .listen import listen

_PAINTED = "what is painted"


class SeedsChoice(QWidget):
    """A box with the Points layers of the viewer; each point is a seed of the first class.

    Attributes
    ----------
    changed : Signal()
        Another layer was chosen, or its points are others.
    """

    changed = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._followed: Points | None = None
        self.box = QComboBox()
        self.box.setToolTip(
            "Strokes of each class, or the points of a layer: every point is a seed of the first "
            "class, and what is painted counts as well."
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.label = QLabel("Grow from")
        row.addWidget(self.label)
        row.addWidget(self.box, 1)
        layers = context.viewer.layers.events
        listen(layers.inserted, self._fill)
        listen(layers.removed, self._fill)
        self.box.currentIndexChanged.connect(self._on_chosen)
        self._fill()

    @property
    def points(self) -> Points | None:
        """The layer chosen; None for what is painted."""
        layer: Points | None = self.box.currentData()
        return layer

    def strokes(self, entry: ImageEntry) -> npt.NDArray[np.uint8] | None:
        """Return what is painted with a small disc at every point; None where no layer is chosen.

        Raises
        ------
        UserError
            If a point lies outside the image.
        """
        layer = self.points
        if layer is None:
            return None
        annotations = self._context.layers.annotations_layer(entry.id)
        at = [annotations.world_to_data(layer.data_to_world(point)) for point in layer.data]
        shape = entry.stack.labels_shape
        seeds = strokes_at(np.array([p[-len(shape) :] for p in at]), [1] * len(at), shape)
        return np.where(seeds > 0, seeds, entry.codes)

    def _fill(self, *_: object) -> None:
        chosen = self.points
        blocked = self.box.blockSignals(True)
        self.box.clear()
        self.box.addItem(_PAINTED, None)
        for layer in self._context.viewer.layers:
            if isinstance(layer, Points):
                self.box.addItem(layer.name, layer)
        self.box.setCurrentIndex(max(0, self.box.findData(chosen)))
        self.box.blockSignals(blocked)
        if self.points is not chosen:
            self._on_chosen()

    def _on_chosen(self, *_: object) -> None:
        if self._followed is not None:
            self._followed.events.data.disconnect(self._on_points_changed)
        self._followed = self.points
        if self._followed is not None:
            listen(self._followed.events.data, self._on_points_changed)
        self.changed.emit()

    def _on_points_changed(self, *_: object) -> None:
        self.changed.emit()
