"""Which classical method: a family, then one of it."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QWidget

from napari_unetseg.classical import METHODS

#: The family of no method at all: what is shown already is refined.
REFINE = "Refine the result"
_ITS_METHOD = "Segmentation"


class MethodChoice(QWidget):
    """Two boxes: families, and the methods of one.

    Attributes
    ----------
    chosen : Signal(object)
        Name of a method; None: refine the segmentation that is shown.
    """

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.family = QComboBox()
        self.family.setToolTip("Kinds of methods.")
        self.method = QComboBox()
        self.method.setToolTip("The method to segment with.")
        self._of_family: dict[str, list[str]] = {}
        for name, method in METHODS.items():
            self._of_family.setdefault(method.family, []).append(name)
        self.family.addItems([*self._of_family, REFINE])
        self._last = {family: names[0] for family, names in self._of_family.items()}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for box, share in ((self.family, 3), (self.method, 4)):
            # Else the longest name of all decides how wide a box is.
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(8)
            row.addWidget(box, share)
        self.family.currentTextChanged.connect(self._on_family_changed)
        self.method.currentIndexChanged.connect(self._on_method_changed)
        self._fill(self.family.currentText())

    @property
    def name(self) -> str | None:
        """Name of the method chosen; None where what is shown is refined."""
        name: str | None = self.method.currentData()
        return name

    def set_name(self, name: str | None) -> None:
        """Show a method as chosen, without saying so."""
        if name == self.name:
            return
        blocked = self.blockSignals(True)
        family = REFINE if name is None else METHODS[name].family
        if name is not None:
            self._last[family] = name
        self.family.setCurrentText(family)
        self.method.setCurrentIndex(max(0, self.method.findData(name)))
        self.blockSignals(blocked)

    def _fill(self, family: str) -> None:
        names = self._of_family.get(family, [])
        blocked = self.method.blockSignals(True)
        self.method.clear()
        for name in names:
            self.method.addItem(METHODS[name].title, name)
            tooltip = f"{METHODS[name].summary} {METHODS[name].good_for}"
            self.method.setItemData(self.method.count() - 1, tooltip, Qt.ItemDataRole.ToolTipRole)
        if not names:
            self.method.addItem(_ITS_METHOD, None)
        self.method.setCurrentIndex(max(0, self.method.findData(self._last.get(family))))
        self.method.blockSignals(blocked)

    def _on_family_changed(self, family: str) -> None:
        self._fill(family)
        self._on_method_changed()

    def _on_method_changed(self, *_: object) -> None:
        if self.name is not None:
            self._last[self.family.currentText()] = self.name
        self.chosen.emit(self.name)
