"""Small pieces deleted, after they have been counted."""

from __future__ import annotations

from typing import TypeAlias

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSpinBox, QWidget

from napari_unetseg.wording import counted
from napari_unetseg.workspace import ImageEntry

from .context import Context
from .newest import NewestWins

_MAX_PX = 100_000
_WHAT = (
    "Make pieces of classes that have fewer pixels background; those on which something is painted "
    "stay."
)
#: How many would go, and how many are painted on.
Count: TypeAlias = tuple[int, int]


class SmallPiecesRow(QWidget):
    """A button that deletes small pieces, how small, and where.

    They are counted, off the window's thread, as soon as the mouse comes near.
    """

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._counting = NewestWins()
        self._counting.answered.connect(self._on_counted)
        self.button = QPushButton("Delete pieces under")
        self.button.setToolTip(_WHAT)
        self.button.clicked.connect(self._on_clicked)
        self.button.installEventFilter(self)
        self.below = QSpinBox()
        self.below.setRange(2, _MAX_PX)
        self.below.setValue(50)
        self.below.setSuffix(" px")
        self.below.setToolTip("Pieces with fewer pixels than this, counted on each slice, go.")
        self.below.valueChanged.connect(self._count)
        self.where = QComboBox()
        self.where.addItem("this slice", False)
        self.where.addItem("all slices", True)
        self.where.setToolTip("On the slice in view, or on all slices of the image.")
        self.where.activated.connect(self._count)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.button, 1)
        row.addWidget(self.below)
        row.addWidget(self.where)

    def set_why_not(self, why_not: str | None) -> None:
        """Disable the row and say why, or enable it."""
        self.setEnabled(why_not is None)
        self.button.setToolTip(why_not or _WHAT)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Count when the mouse comes to the button."""
        if event.type() == QEvent.Type.Enter and self.isEnabled():
            self._count()
        return False

    def _planes(self, entry: ImageEntry) -> list[int]:
        if self.where.currentData():
            return list(range(entry.shape[0]))
        return [self._context.layers.current_plane(entry)]

    def _count(self, *_: object) -> None:
        entry = self._context.layers.current_image()
        if entry is None:
            return
        planes, below = self._planes(entry), self.below.value()
        find = self._context.proofreading.small_pieces

        def count() -> Count:
            found = [find(entry.id, plane, below) for plane in planes]
            return sum(f.n for f in found), sum(f.n_painted for f in found)

        self.button.setToolTip(f"{_WHAT} Counting them …")
        self._counting.ask(count)

    def _on_counted(self, count: Count) -> None:
        n, n_painted = count
        painted = f"; {n_painted:,} more are painted on and stay" if n_painted else ""
        where = "on all slices" if self.where.currentData() else "on this slice"
        sentence = f"{counted(n, 'piece')} under {self.below.value():,} px {where}{painted}."
        if self.isEnabled():
            self.button.setToolTip(f"{_WHAT} {sentence}")
            self._context.say(sentence)

    def _on_clicked(self) -> None:
        entry = self._context.layers.current_image()
        if entry is None:
            return
        self._counting.forget()
        n_px = self._context.proofreading.delete_small(
            entry.id, self._planes(entry), self.below.value()
        )
        self.button.setToolTip(_WHAT)
        self._context.say(
            f"Deleted: {n_px:,} px became background; Undo takes that back."
            if n_px
            else f"No piece has fewer than {self.below.value():,} px and nothing painted on it."
        )
