"""What is known of an image, and what a person may correct: axes, pixel size, channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QWidget,
)

from napari_unetseg.images import Stack

from .calibration import PixelSizeRow
from .open_images import Choice, OpenImage
from .parts import PartChoice

_AXES_TOOLTIP = (
    "What the axes of the image are: T time, C channel, Z slice, Y and X; correct it here."
)
_LAST_CHANNEL = "One channel must stay."

#: More channels than this are counted, not named.
_NAMED_CHANNELS = 4

#: What the dock has for a row of channels, and what a box and its distance to the next take of it.
_CHANNELS_PX, _BOX_PX = 280, 32
_ELIDE = Qt.TextElideMode.ElideRight


class ImageFacts(QWidget):
    """Axes, size, pixel size and channels of the image selected.

    Attributes
    ----------
    axes_chosen : Signal(str)
    channels_chosen : Signal(tuple)
        Indices.
    pixel_size_typed : Signal(dict)
        µm by axis.
    """

    axes_chosen = Signal(str)
    channels_chosen = Signal(tuple)
    pixel_size_typed = Signal(dict)

    def __init__(self) -> None:
        super().__init__()
        self.axes = QComboBox()
        self.axes.setToolTip(_AXES_TOOLTIP)
        self.size = QLabel()
        # Long sizes are wrapped rather than widen the dock.
        self.size.setWordWrap(True)
        self.size.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.pixel_size = PixelSizeRow()
        self.channels: list[QCheckBox] = []
        self.parts = PartChoice()
        self._channel_grid = QGridLayout()
        self._channel_label = QLabel("Channels")
        axes_row = QHBoxLayout()
        axes_row.addWidget(self.axes)
        axes_row.addWidget(self.size, 1)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.addRow("Axes", axes_row)
        self._form.addRow("File", self.parts)
        self._form.addRow("Pixel", self.pixel_size)
        self._form.addRow(self._channel_label, self._channel_grid)
        self.axes.activated.connect(lambda _: self.axes_chosen.emit(self.axes.currentText()))
        self.pixel_size.edited.connect(self.pixel_size_typed)

    def show_image(
        self, image: OpenImage, choice: Choice, stack: Stack, sizes_um: Mapping[str, float]
    ) -> None:
        """Show an image as it is read now."""
        self.axes.clear()
        self.axes.addItems(image.axes_choices)
        self.axes.setCurrentText(choice.axes)
        self.axes.setEnabled(len(image.axes_choices) > 1)
        self.axes.setToolTip(
            _AXES_TOOLTIP if self.axes.isEnabled() else "There is no other way to read these axes."
        )
        self.size.setText(_size(stack))
        self.size.setToolTip(f"{_size(stack)} (slices, height × width, type of a pixel).")
        self._form.setRowVisible(self.parts, self.parts.show_parts(image))
        self.pixel_size.show_sizes(sizes_um, has_z="Z" in stack.axes)
        names = image.channel_names(choice.axes)
        self._show_channels(names, choice.channels or tuple(range(len(names))))

    def _show_channels(self, names: Sequence[str], chosen: Sequence[int]) -> None:
        for box in self.channels:
            self._channel_grid.removeWidget(box)
            box.hide()  # it is gone a moment later
            box.deleteLater()
        self.channels = []
        several = len(names) > 1
        self._channel_label.setVisible(several)
        if not several:
            return
        named = len(names) <= _NAMED_CHANNELS
        n_columns = 2 if named else 5
        text_px = _CHANNELS_PX // n_columns - _BOX_PX
        for i, name in enumerate(names):
            text = name if named else str(i + 1)
            box = QCheckBox(self.fontMetrics().elidedText(text, _ELIDE, text_px))
            box.setChecked(i in chosen)
            only = list(chosen) == [i]
            box.setEnabled(not only)
            box.setToolTip(_LAST_CHANNEL if only else f"Use the channel “{name}”.")
            box.clicked.connect(self._on_channel_clicked)
            self._channel_grid.addWidget(box, i // n_columns, i % n_columns)
            self.channels.append(box)

    def _on_channel_clicked(self) -> None:
        chosen = tuple(i for i, box in enumerate(self.channels) if box.isChecked())
        self.channels_chosen.emit(chosen)


def _size(stack: Stack) -> str:
    """Write the size of an image.

    >>> import numpy as np
    >>> _size(Stack(np.zeros((24, 512, 640), "uint8"), "ZYX"))
    '24 slices, 512 × 640 px, uint8'
    """
    height, width = stack.plane_shape
    slices = f"{stack.n_planes} slices, " if stack.n_planes > 1 else ""
    return f"{slices}{height} × {width} px, {stack.dtype}"
