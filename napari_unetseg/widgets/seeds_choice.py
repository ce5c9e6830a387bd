"""What a method grows from: what is painted, or points that were clicked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from napari.layers import Points
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from napari_unetseg.classical import strokes_at
from napari_unetseg.workspace import ImageEntry
from napari_unetseg.workspace.kept_recipe import Kept

from .context import Context
from .listen import listen

Codes = npt.NDArray[np.uint8]

_PAINTED = "what is painted"


class SeedsChoice(QWidget):
    """A box with the Points layers of the viewer; each point is a seed of the first class.

    Beside them stand what is painted, and what an opened recipe keeps.

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
        self._offered: Kept | None = None
        self._on_image: dict[str, Codes] = {}
        self.box = QComboBox()
        self.box.setToolTip(
            "Strokes of each class, or the points of a layer: every point is a seed of the first "
            "class, and what is painted counts as well. Or what a recipe that was opened keeps."
        )
        self.verb = QLabel("Grow from")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.verb)
        row.addWidget(self.box, 1)
        layers = context.viewer.layers.events
        listen(layers.inserted, self._fill)
        listen(layers.removed, self._fill)
        self.box.currentIndexChanged.connect(self._on_chosen)
        self._fill()

    @property
    def points(self) -> Points | None:
        """The layer chosen; None for anything else."""
        chosen = self.box.currentData()
        return chosen if isinstance(chosen, Points) else None

    @property
    def kept(self) -> Kept | None:
        """The recipe chosen; None for anything else."""
        chosen = self.box.currentData()
        return chosen if isinstance(chosen, Kept) else None

    def offer(self, kept: Kept | None) -> None:
        """Choose what a recipe keeps; None: there is nothing to choose."""
        if kept is not self._offered:
            self._offered = kept
            self._on_image = {}
            self._fill()
            if kept is not None:
                self.box.setCurrentIndex(1)

    def strokes_by_image(self) -> dict[str, Codes]:
        """Return `strokes` of every image that has some that are not those painted on it."""
        images = self._context.workspace.images
        found = {image_id: self.strokes(entry) for image_id, entry in images.items()}
        return {image_id: codes for image_id, codes in found.items() if codes is not None}

    def strokes(self, entry: ImageEntry) -> Codes | None:
        """Return strokes that are not those painted on the image; None: those are meant.

        These are a small disc at every point and what is painted, or what the recipe keeps.

        Raises
        ------
        UserError
            If a point lies outside the image, or the recipe keeps strokes on other images.
        """
        kept = self.kept
        if kept is not None and kept.learned is None:
            if entry.id not in self._on_image:
                grown = kept.recipe.strokes_on(entry.stack)
                self._on_image[entry.id] = (
                    np.zeros(entry.shape, np.uint8) if grown is None else grown
                )
            return self._on_image[entry.id]
        layer = self.points
        if layer is None:
            return None
        annotations = self._context.layers.annotations_layer(entry.id)
        at = [annotations.world_to_data(layer.data_to_world(point)) for point in layer.data]
        shape = entry.stack.labels_shape
        seeds = strokes_at(np.array([p[-len(shape) :] for p in at]), [1] * len(at), shape)
        return np.where(seeds > 0, seeds, entry.codes)

    def _fill(self, *_: object) -> None:
        chosen = self.box.currentData()
        blocked = self.box.blockSignals(True)
        self.box.clear()
        self.box.addItem(_PAINTED, None)
        if self._offered is not None:
            self.box.addItem(f"what {self._offered.name} keeps", self._offered)
        for layer in self._context.viewer.layers:
            if isinstance(layer, Points):
                self.box.addItem(layer.name, layer)
        items = (i for i in range(self.box.count()) if self.box.itemData(i) is chosen)
        self.box.setCurrentIndex(next(items, 0))
        self.box.blockSignals(blocked)
        if self.box.currentData() is not chosen:
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
