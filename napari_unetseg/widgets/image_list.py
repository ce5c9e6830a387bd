"""The images open in the viewer, checked where they belong to the data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from .open_images import OpenImage

#: Rows that are in view without scrolling.
_ROWS = 3

_TOO_MANY_AXES = "This image has more axes than time, channel, Z, Y and X; open a part of it."


class ImageList(QListWidget):
    """A row per image.

    Attributes
    ----------
    toggled : Signal(object, bool)
        A person checked or unchecked an `OpenImage`.
    chosen : Signal(object)
        A person selected an `OpenImage`.
    """

    toggled = Signal(object, bool)
    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._quiet = False
        self._images: list[OpenImage] = []
        self.setToolTip("Check the images to work on; together they are one data set.")
        self.setFixedHeight(_ROWS * (self.fontMetrics().lineSpacing() + 8) + 4)
        self.itemChanged.connect(self._on_item_changed)
        self.currentRowChanged.connect(self._on_row_changed)

    @property
    def image(self) -> OpenImage | None:
        """The image selected."""
        row = self.currentRow()
        return self._images[row] if 0 <= row < len(self._images) else None

    def show_images(
        self, images: Sequence[OpenImage], is_chosen: Callable[[OpenImage], bool]
    ) -> None:
        """List images; the selection stays on the image it was on."""
        before = self.image
        self._quiet = True
        self.clear()
        self._images = list(images)
        for image in images:
            item = QListWidgetItem(image.name)
            if image.axes_choices:
                checked = Qt.CheckState.Checked if is_chosen(image) else Qt.CheckState.Unchecked
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(checked)
            else:
                item.setFlags(Qt.ItemFlag.NoItemFlags)
                item.setToolTip(_TOO_MANY_AXES)
            self.addItem(item)
        self.select(before or next((i for i in images if i.axes_choices), None))
        self._quiet = False

    def select(self, image: OpenImage | None) -> None:
        """Select the row of an image, without telling anyone."""
        quiet, self._quiet = self._quiet, True
        layers = () if image is None else image.layers
        rows = [row for row, i in enumerate(self._images) if set(i.layers) & set(layers)]
        self.setCurrentRow(rows[0] if rows else 0 if self._images else -1)
        self._quiet = quiet

    def _on_item_changed(self, item: QListWidgetItem) -> None:
        if not self._quiet:
            image = self._images[self.row(item)]
            self.toggled.emit(image, item.checkState() == Qt.CheckState.Checked)

    def _on_row_changed(self, row: int) -> None:
        if not self._quiet and self.image is not None:
            self.chosen.emit(self.image)
