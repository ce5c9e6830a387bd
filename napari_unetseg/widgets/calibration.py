"""How large a pixel is: shown, and told where the file did not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QLabel, QWidget

_UM_PER_UNIT = {"nm": 1e-3, "µm": 1.0}
_UNKNOWN = "unknown"

#: Room for "unknown", and no more: napari's own style makes a box so wide that two of them, beside
#: the names of the rows, are cut off.
_NARROW = "QAbstractSpinBox { min-width: 58px; padding: 1px 4px; }"


class PixelSizeRow(QWidget):
    """The size of a pixel in the slice, and the distance of slices.

    Attributes
    ----------
    edited : Signal(dict)
        A person typed: µm by axis, ``"Z"``, ``"Y"``, ``"X"``, without what is unknown.
    """

    edited = Signal(dict)

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[str, float] = {}
        self.xy = _box("Width and height of a pixel; 0 where it is not known.")
        self.z = _box("Distance from slice to slice; 0 where it is not known.")
        self.unit = QComboBox()
        self.unit.addItems(list(_UM_PER_UNIT))
        self.unit.setToolTip("Unit of the pixel size.")
        self._z_label = QLabel("Z")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for widget in (QLabel("XY"), self.xy, self._z_label, self.z, self.unit):
            row.addWidget(widget, 1 if isinstance(widget, QDoubleSpinBox) else 0)
        self.xy.editingFinished.connect(lambda: self._on_typed("YX", self.xy))
        self.z.editingFinished.connect(lambda: self._on_typed("Z", self.z))
        self.unit.activated.connect(lambda _: self._display())

    def show_sizes(self, sizes_um: Mapping[str, float], *, has_z: bool) -> None:
        """Show sizes in µm by axis, in the unit that reads best."""
        self._sizes = dict(sizes_um)
        if "X" in self._sizes:
            self.unit.setCurrentText("nm" if self._sizes["X"] < 0.1 else "µm")
        for widget in (self.z, self._z_label):
            widget.setVisible(has_z)
        self._display()

    def _display(self) -> None:
        factor = _UM_PER_UNIT[self.unit.currentText()]
        for box, axis in ((self.xy, "X"), (self.z, "Z")):
            box.blockSignals(True)
            box.setValue(self._sizes.get(axis, 0.0) / factor)
            box.blockSignals(False)

    def _on_typed(self, axes: str, box: QDoubleSpinBox) -> None:
        size = box.value() * _UM_PER_UNIT[self.unit.currentText()]
        before = self._sizes.get(axes[-1], 0.0)
        if abs(size - before) <= 1e-5 * max(size, before):
            return  # left as it was, to the digits that are shown
        for axis in axes:
            self._sizes.pop(axis, None)
            if size:
                self._sizes[axis] = size
        self.edited.emit(dict(self._sizes))


def calibrate(layers: Iterable[Layer], axes: str, sizes_um: Mapping[str, float]) -> None:
    """Give layers a pixel size.

    Parameters
    ----------
    layers : iterable of Layer
        Images, whose axes are `axes`, or labels, which have them without ``"C"``.
    sizes_um : mapping of str to float
        By axis, in µm; an axis without one gets pixels of size 1.
    """
    for layer in layers:
        own = axes if len(axes) == layer.ndim else axes.replace("C", "")
        units = [str(unit) for unit in layer.units]
        scale = [float(s) for s in layer.scale]
        for i, axis in enumerate(own):
            if axis in "ZYX":
                units[i] = "micrometer" if axis in sizes_um else "pixel"
                scale[i] = sizes_um.get(axis, 1.0)
        layer.units = units
        layer.scale = scale


class _LengthBox(QDoubleSpinBox):
    """A number without the zeros that say nothing."""

    def textFromValue(self, value: float) -> str:
        """Write the number."""
        return f"{value:.6g}"


def _box(tooltip: str) -> QDoubleSpinBox:
    box = _LengthBox()
    box.setDecimals(5)
    box.setStyleSheet(_NARROW)
    box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    box.setRange(0, 1e6)
    box.setSpecialValueText(_UNKNOWN)
    box.setKeyboardTracking(False)
    box.setToolTip(tooltip)
    return box
