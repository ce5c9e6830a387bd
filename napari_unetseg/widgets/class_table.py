"""The classes: names, colours, how much of each is annotated, and the one to paint with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.annotations import (
    add_class,
    code_of,
    delete_class,
    merge_classes,
    recolor_class,
    rename_class,
    reorder_classes,
)
from napari_unetseg.config import BACKGROUND, BACKGROUND_COLOR
from napari_unetseg.errors import UserError
from napari_unetseg.workspace import Workspace

from .class_counts import ClassCounts, Counts
from .listen import listen

_COLOR, _NAME, _COUNT = range(3)

#: Rows that are in view without scrolling.
_ROWS = 5

_SWATCH_PX = 14


def ask_color(parent: QWidget, color: str, title: str) -> str | None:
    """Ask for a colour, ``"#rrggbb"``; None when the person changed their mind."""
    chosen = QColorDialog.getColor(QColor(color), parent, title)
    return str(chosen.name()) if chosen.isValid() else None


class ClassTable(QWidget):
    """A row per class, background fixed on top.

    Every change goes through the workspace, so undo takes it back, pixels included.

    Attributes
    ----------
    chosen : Signal(int)
        A person selected class `k` to paint with; 0 is background.
    renumbered : Signal(int)
        After a change the class selected is number `k`.
    said : Signal(str)
        What was done, or why it was not.
    """

    chosen = Signal(int)
    renumbered = Signal(int)
    said = Signal(str)

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._quiet = False
        self._counts: Counts = np.zeros(256, np.int64)
        self.counts = ClassCounts(workspace, self)
        self._build_table()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.table)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        column.addLayout(self._button_row())
        self._connect()
        self._show_classes()
        self.table.selectRow(1)

    @property
    def k(self) -> int:
        """The class selected, 0 for background."""
        return max(0, int(self.table.currentRow()))

    # ---------------------------------------------------------------- layout

    def _build_table(self) -> None:
        self.table = QTableWidget(0, 3)
        self.table.setHorizontalHeaderLabels(["", "Class", "Annotated"])
        self.table.setToolTip(
            "Click a class to paint with it, its colour to change that, twice on a name to edit it."
        )
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(_COLOR, QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(_COUNT, QHeaderView.ResizeMode.ResizeToContents)
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.table.setColumnWidth(_COLOR, 28)
        self.table.verticalHeader().setDefaultSectionSize(self._row_px())
        self.table.setFixedHeight((_ROWS + 1) * self._row_px() + 6)

    def _row_px(self) -> int:
        return int(self.fontMetrics().lineSpacing()) + 6

    def _button_row(self) -> QHBoxLayout:
        self.add = _button("Add", "Add a class.", self._on_add)
        self.merge = _button("Merge into", "Turn this class and its pixels into another one.")
        menu = QMenu(self.merge)
        menu.aboutToShow.connect(lambda: self._fill_merge_menu(menu))
        self.merge.setMenu(menu)
        self.delete = _button(
            "Delete", "Delete this class; its pixels become unlabelled.", self._on_delete
        )
        self.up = _button("↑", "Move this class up.", lambda: self._on_move(-1))
        self.down = _button("↓", "Move this class down.", lambda: self._on_move(1))
        for arrow in (self.up, self.down):
            arrow.setFixedWidth(28)
        self.undo = _button("Undo", "", self._on_undo)
        row = QHBoxLayout()
        row.setSpacing(2)
        for button in (self.add, self.merge, self.delete, self.up, self.down):
            row.addWidget(button)
        row.addStretch()
        row.addWidget(self.undo)
        return row

    def _connect(self) -> None:
        self.table.itemSelectionChanged.connect(self._on_selected)
        self.table.cellClicked.connect(self._on_clicked)
        self.table.itemChanged.connect(self._on_item_changed)
        self.counts.counted.connect(self._on_counted)
        listen(self._workspace.classes_changed, self._show_classes)
        listen(self._workspace.history_changed, self._update_buttons)

    # --------------------------------------------------------------- showing

    def _show_classes(self) -> None:
        """Write the rows anew, without telling anyone."""
        row = self.table.currentRow()
        classes = self._workspace.classes
        self._quiet = True
        self.table.setRowCount(1 + len(classes))
        self._show_row(0, "background", BACKGROUND_COLOR)
        for k, cls in enumerate(classes, 1):
            self._show_row(k, cls.name, cls.color)
        self.table.setCurrentCell(min(max(row, 0), len(classes)), _NAME)
        self._quiet = False
        self._show_counts()
        self._update_buttons()

    def _show_row(self, k: int, name: str, color: str) -> None:
        if self.table.item(k, _NAME) is None:
            self._make_row(k)
        self.table.item(k, _COLOR).setIcon(_swatch(color))
        self.table.item(k, _NAME).setText(name)

    def _make_row(self, k: int) -> None:
        passive = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        for column in (_COLOR, _NAME, _COUNT):
            item = QTableWidgetItem()
            if k == 0 or column != _NAME:
                item.setFlags(passive)
            self.table.setItem(k, column, item)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        self.table.item(k, _COUNT).setTextAlignment(right)
        if k == 0:
            self.table.item(k, _NAME).setToolTip("What is no class; paint some of it too.")

    def _on_counted(self, counts: Counts) -> None:
        self._counts = counts
        self._show_counts()

    def _show_counts(self) -> None:
        self._quiet = True
        for k in range(self.table.rowCount()):
            n_px = int(self._counts[code_of(k) if k else BACKGROUND])
            self.table.item(k, _COUNT).setText(f"{n_px:,} px")
        self._quiet = False

    def _update_buttons(self) -> None:
        k, n = self.k, len(self._workspace.classes)
        fixed = "Background is always there." if k == 0 else None
        only = "There is only one class." if n == 1 else None
        _enable(self.delete, fixed or only)
        _enable(self.merge, fixed or only)
        _enable(self.up, fixed or ("This class is the first." if k == 1 else None))
        _enable(self.down, fixed or ("This class is the last." if k == n else None))
        label = self._workspace.log.undo_label
        self.undo.setProperty("tooltip_when_enabled", f"Take back: {label}.")
        _enable(self.undo, None if label else "There is nothing to take back.")

    # --------------------------------------------------------------- actions

    def _on_selected(self) -> None:
        self._update_buttons()
        if not self._quiet and self.table.currentRow() >= 0:
            self.chosen.emit(self.k)

    def _on_clicked(self, k: int, column: int) -> None:
        if column != _COLOR or k == 0:
            return
        cls = self._workspace.classes[k - 1]
        color = ask_color(self, cls.color, f"Colour of {cls.name}")
        if color is not None:
            self._change(recolor_class, k, color, label=f"colouring “{cls.name}”")

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        if self._quiet or item.column() != _NAME:
            return
        k = int(item.row())
        name = self._workspace.classes[k - 1].name
        self._change(rename_class, k, item.text(), label=f"renaming “{name}”")

    def _on_add(self) -> None:
        if self._change(add_class, label="adding a class"):
            k = len(self._workspace.classes)
            self._select(k)
            self.table.editItem(self.table.item(k, _NAME))

    def _fill_merge_menu(self, menu: QMenu) -> None:
        menu.clear()
        for k, cls in enumerate(self._workspace.classes, 1):
            if k != self.k:
                menu.addAction(cls.name, lambda into=k: self._on_merge(into))

    def _on_merge(self, into: int) -> None:
        k, classes = self.k, self._workspace.classes
        name, other = classes[k - 1].name, classes[into - 1].name
        if self._change(merge_classes, k, into, label=f"merging “{name}” into “{other}”"):
            self._select(into - (into > k))
            self.said.emit(f"“{name}” is part of “{other}” now; Undo takes that back.")

    def _on_delete(self) -> None:
        k = self.k
        name = self._workspace.classes[k - 1].name
        n_px = int(self._counts[code_of(k)])
        if self._change(delete_class, k, label=f"deleting “{name}”"):
            self._select(self.k)
            self.said.emit(f"Deleted “{name}” with its {n_px:,} px; Undo takes that back.")

    def _on_move(self, by: int) -> None:
        k = self.k
        order = list(range(1, len(self._workspace.classes) + 1))
        order[k - 1], order[k - 1 + by] = order[k - 1 + by], order[k - 1]
        if self._change(reorder_classes, order, label="reordering the classes"):
            self._select(k + by)

    def _select(self, k: int) -> None:
        """Select a class without taking up the brush; one in hand paints that class now."""
        self._quiet = True
        self.table.setCurrentCell(k, _NAME)
        self._quiet = False
        self.renumbered.emit(k)

    def _on_undo(self) -> None:
        label = self._workspace.undo()
        if label is not None:
            self._select(self.k)
            self.said.emit(f"Took back: {label}.")

    def _change(self, change: Callable[..., object], *arguments: object, label: str) -> bool:
        """Change the classes; say why where that is not possible."""
        try:
            self._workspace.change_classes(change, *arguments, label=label)  # type: ignore[arg-type]
        except UserError as error:
            self.said.emit(str(error))
            self._show_classes()
            return False
        return True


def _swatch(color: str) -> QIcon:
    """Return a square that a selected row does not tint."""
    pixmap = QPixmap(_SWATCH_PX, _SWATCH_PX)
    pixmap.fill(QColor(color))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def _button(text: str, tooltip: str, slot: Callable[[], object] | None = None) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    button.setProperty("tooltip_when_enabled", tooltip)
    if slot is not None:
        button.clicked.connect(lambda: slot())
    return button


def _enable(button: QPushButton, why_not: str | None) -> None:
    button.setEnabled(why_not is None)
    button.setToolTip(why_not or button.property("tooltip_when_enabled"))
