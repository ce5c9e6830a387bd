"""What to paint on, with which class, which tool and how large a brush."""

from __future__ import annotations

from typing import Any

from napari.layers import Labels
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QWidget,
)
from superqt import QLabeledSlider

from napari_unetseg.config import BACKGROUND_COLOR

from .context import Context
from .fix_tools import FixTools
from .listen import listen
from .stack_from_layers import METADATA

#: Mode, napari's icon, tooltip.
_TOOLS = (
    ("paint", "paint", "Paint with the brush."),
    ("polygon", "polygon_lasso", "Paint an area: click its corners, double-click to close it."),
    ("fill", "fill", "Fill the connected area under the pointer."),
    ("erase", "erase", "Erase: unlabelled on the annotations, background on the segmentation."),
    ("pick", "picker", "Take up the class under the pointer."),
    ("pan_zoom", "pan_arrows", "Put the tools down: move and zoom."),
)

_ROLES = ("annotations", "segmentation", "objects")
_CLASS = "The class to paint with."
_NUMBERS = (
    "Objects have numbers instead: take one up with the dropper, or press M for one that is free."
)
_NO_OBJECTS = "There are no numbered objects yet; see Objects, further down."

_MAX_BRUSH_PX = 100

_SWATCH_PX = 12


class PaintTools(QWidget):
    """Hands a tool to the layer that a person wants to paint on, and shows what it has in hand."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._followed: Labels | None = None
        self._build()
        self._show_icons()
        self._list_classes()
        listen(context.workspace.classes_changed, self._list_classes)
        listen(context.viewer.events.theme, self._show_icons)
        listen(context.viewer.layers.selection.events.active, self._follow_active)
        listen(context.proofreader.changed, self._show_layer)

    def _build(self) -> None:
        self.role = QComboBox()
        self.role.addItem("the segmentation", "segmentation")
        self.role.addItem("the annotations", "annotations")
        self.role.addItem("the objects", "objects")
        self.role.setToolTip(
            "Either of the first two ways what you paint becomes an annotation that trains; "
            "objects are numbers of their own."
        )
        self.role.activated.connect(self._take_up)
        self.label = QComboBox()
        self.label.setToolTip(_CLASS)
        self.label.activated.connect(self._take_up)
        self.brush = QLabeledSlider(Qt.Orientation.Horizontal)
        self.brush.setRange(1, _MAX_BRUSH_PX)
        self.brush.setValue(10)
        self.brush.setToolTip("Width of the brush, in px.")
        self.brush.valueChanged.connect(self._on_brush_changed)
        self.tools = QButtonGroup(self)
        row = QHBoxLayout()
        for index, (_, _, tooltip) in enumerate(_TOOLS):
            # A push button: napari's style sheet gives checked tool buttons no look of their own.
            button = QPushButton()
            button.setCheckable(True)
            button.setFixedSize(28, 28)
            button.setToolTip(tooltip)
            button.setIconSize(QSize(18, 18))
            self.tools.addButton(button, index)
            row.addWidget(button)
        row.addStretch(1)
        self.tools.idClicked.connect(self._take_up)
        self.fixes = FixTools(self._context)
        self.fixes.chosen.connect(self.use_fix)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Paint on", self.role)
        form.addRow("Class", self.label)
        form.addRow("Tool", row)
        form.addRow("Fix", self.fixes)
        form.addRow("Brush (px)", self.brush)

    @property
    def mode(self) -> str:
        """The tool in hand."""
        return _TOOLS[max(0, self.tools.checkedId())][0]

    def use(self, mode: str) -> None:
        """Take up a tool, as if its button were pressed."""
        self.tools.button([m for m, _, _ in _TOOLS].index(mode)).setChecked(True)
        self._take_up()

    def use_fix(self, tool: str) -> None:
        """Take up a tool for proofreading, as if its button were pressed."""
        self._hand_over("pan_zoom")
        if self._followed is not None:
            self._context.proofreader.take_up(tool, self._followed)

    def set_why_not(self, why_not: str | None) -> None:
        """Disable everything and say why, or enable it."""
        self.setEnabled(why_not is None)
        self.setToolTip(why_not or "")

    # ------------------------------------------------------------ to a layer

    def _take_up(self, *_: object) -> None:
        self._show_use_of_classes()
        fix, mode = self._context.proofreader.tool, self.mode
        if fix and self.tools.checkedId() < 0:  # another class or layer for the same tool
            self.use_fix(fix)
        else:
            self._context.proofreader.put_down()
            self._hand_over(mode)

    def _hand_over(self, mode: str) -> None:
        """Give the layer to paint on a mode of napari, the class and the brush."""
        entry = self._context.layers.current_image()
        if entry is None:
            return
        role = self.role.currentData()
        k = max(0, self.label.currentIndex())
        brush_px = self.brush.value()
        objects = self._context.objects.current(entry.id) if role == "objects" else None
        if objects is not None:
            self._context.objects.set_tool(objects, mode)
        elif role == "objects":
            self._context.say(_NO_OBJECTS)
            return
        else:
            self._context.layers.set_tool(role, entry.id, mode, k)
        self._follow_active()
        self.brush.setValue(brush_px)
        self._on_brush_changed(brush_px)

    def _on_brush_changed(self, size_px: int) -> None:
        if self._followed is not None:
            self._followed.brush_size = size_px

    # ---------------------------------------------------------- from a layer

    def _follow_active(self, *_: object) -> None:
        """Show what the active layer has in hand, when it is one to paint on."""
        if self._followed is not None:
            for event in _in_hand(self._followed):
                event.disconnect(self._show_layer)
            self._followed = None
        active = self._context.viewer.layers.selection.active
        role = active.metadata.get(METADATA, {}).get("role") if active is not None else None
        if role not in _ROLES or not isinstance(active, Labels):
            self._check(None)
            return
        self._followed = active
        for event in _in_hand(active):
            event.connect(self._show_layer)
        self.role.setCurrentIndex(self.role.findData(role))
        self._show_use_of_classes()
        self._show_layer()

    def _show_layer(self, *_: Any) -> None:
        layer = self._followed
        if layer is None:
            return
        self._check(None if self._context.proofreader.tool else str(layer.mode))
        painted_with = self.role.currentData() != "objects"
        if painted_with and 1 <= layer.selected_label <= self.label.count():
            self.label.setCurrentIndex(int(layer.selected_label) - 1)
        self.brush.setValue(round(layer.brush_size))

    def _show_use_of_classes(self) -> None:
        of_objects = self.role.currentData() == "objects"
        self.label.setEnabled(not of_objects)
        self.label.setToolTip(_NUMBERS if of_objects else _CLASS)

    def _check(self, mode: str | None) -> None:
        """Press the button of a mode down; none where no button stands for it."""
        modes = [m for m, _, _ in _TOOLS]
        self.tools.setExclusive(False)
        for index, button in enumerate(self.tools.buttons()):
            button.setChecked(modes[index] == mode)
        self.tools.setExclusive(True)

    # ------------------------------------------------------------ appearance

    def _list_classes(self) -> None:
        chosen = self.label.currentIndex()
        self.label.clear()
        self.label.addItem(_swatch(BACKGROUND_COLOR), "background")
        for cls in self._context.workspace.classes:
            self.label.addItem(_swatch(cls.color), cls.name)
        self.label.setCurrentIndex(chosen if 0 <= chosen < self.label.count() else 1)

    def _show_icons(self, *_: object) -> None:
        theme = self._context.viewer.theme
        for button, (_mode, icon, _tip) in zip(self.tools.buttons(), _TOOLS, strict=True):
            button.setIcon(QIcon(f"theme_{theme}:/{icon}.svg"))


def _swatch(color: str) -> QIcon:
    pixmap = QPixmap(_SWATCH_PX, _SWATCH_PX)
    pixmap.fill(QColor(color))
    return QIcon(pixmap)


def _in_hand(layer: Labels) -> tuple[Any, ...]:
    """Return the events that tell of another tool, class or brush."""
    return layer.events.mode, layer.events.selected_label, layer.events.brush_size
