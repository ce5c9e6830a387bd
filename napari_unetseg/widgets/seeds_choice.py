"""What a method grows from: what is painted, or points that were clicked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from napari.layers import Points
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from napari_unetseg.annotations import code_of
from napari_unetseg.classical import strokes_at
from napari_unetseg.errors import UserError
from napari_unetseg.workspace import ImageEntry
from napari_unetseg.workspace.kept_recipe import Kept
from napari_unetseg.workspace.painted import Painted

from .context import Context
from .listen import listen

Codes = npt.NDArray[np.uint8]
Place = npt.NDArray[np.float64]

_PAINTED = "what is painted"


class SeedsChoice(QWidget):
    """A box with the Points layers of the viewer; each point is a seed of the first class.

    It counts on the image that it lies on. Beside them stand what is painted, and what an opened
    recipe keeps.

    Attributes
    ----------
    revision : int
        Of what `strokes` returns, on all images: another number where that has changed.
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
        self._clicked: tuple[ImageEntry | None, dict[str, Codes]] | None = None
        self.revision = 0
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
        listen(context.workspace.images_changed, self._on_images_changed)
        listen(context.workspace.codes_changed, self._on_painted)
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
            self.revision += 1
            self._fill()
            if kept is not None:
                self.box.setCurrentIndex(1)

    def strokes_by_image(self) -> dict[str, Painted | Codes]:
        """Return `strokes` of every image."""
        return {entry.id: self.strokes(entry) for entry in self._images()}

    def strokes(self, entry: ImageEntry) -> Painted | Codes:
        """Return what a method grows or learns from on an image; `revision` says whether it is new.

        Raises
        ------
        UserError
            If a point lies on no image, or the recipe keeps strokes on other images.
        """
        kept = self.kept
        if kept is not None and kept.learned is None:
            if entry.id not in self._on_image:
                grown = kept.recipe.strokes_on(entry.stack)
                self._on_image[entry.id] = (
                    np.zeros(entry.shape, np.uint8) if grown is None else grown
                )
            return self._on_image[entry.id]
        return Painted(entry, self._clicked_by_image().get(entry.id))

    def codes(self) -> set[int]:
        """Return the codes that are painted, or clicked, on any image."""
        painted = {code for entry in self._images() for code in entry.codes_painted()}
        is_clicked = self.points is not None and len(self.points.data)
        return painted | {code_of(1)} if is_clicked else painted

    def has_some(self, entry: ImageEntry) -> bool:
        """Return whether there is something to grow from on an image, or a recipe says what."""
        kept = self.kept is not None
        return kept or bool(entry.annotated_planes()) or entry.id in self._clicked_by_image()

    def _images(self) -> list[ImageEntry]:
        return list(self._context.workspace.images.values())

    def _clicked_by_image(self) -> dict[str, Codes]:
        """Return a small disc of the first class at every point, on the image that it lies on.

        Of images that lie on each other, that is the one in view.
        """
        layer, in_view = self.points, self._context.layers.current_image()
        if layer is None:
            return {}
        if self._clicked is None or self._clicked[0] is not in_view:
            self.revision += 1
            images = sorted(self._images(), key=lambda entry: entry is not in_view)
            self._clicked = in_view, self._clicked_on(layer, images)
        return self._clicked[1]

    def _clicked_on(self, layer: Points, images: list[ImageEntry]) -> dict[str, Codes]:
        rulers = [self._context.layers.ruler(entry) for entry in images]
        at: dict[str, list[Place]] = {}
        for point in layer.data:
            world = layer.data_to_world(point)
            for entry, ruler in zip(images, rulers, strict=True):
                shape = entry.stack.labels_shape
                place = np.asarray(ruler.world_to_data(world))[-len(shape) :]
                if (place >= -0.5).all() and (place < np.array(shape) - 0.5).all():
                    at.setdefault(entry.id, []).append(place)
                    break
            else:
                where = ", ".join(f"{x:g}" for x in point)
                raise UserError(
                    f"The point at {where} of {layer.name} lies on no image; move it onto one, or "
                    "delete it."
                )
        return {
            entry.id: strokes_at(
                np.array(at[entry.id]), [1] * len(at[entry.id]), entry.stack.labels_shape
            )
            for entry in images
            if entry.id in at
        }

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

    def _on_painted(self, *_: object) -> None:
        self.revision += 1

    def _on_images_changed(self) -> None:
        self._clicked = None
        self.revision += 1

    def _on_chosen(self, *_: object) -> None:
        if self._followed is not None:
            self._followed.events.data.disconnect(self._on_points_changed)
        self._followed = self.points
        if self._followed is not None:
            listen(self._followed.events.data, self._on_points_changed)
        self._on_points_changed()

    def _on_points_changed(self, *_: object) -> None:
        self._clicked = None
        self.revision += 1
        self.changed.emit()
