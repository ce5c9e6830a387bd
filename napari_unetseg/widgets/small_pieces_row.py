"""Small pieces deleted, after they have been counted."""

from __future__ import annotations

from typing import TypeAlias

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSpinBox, QWidget

from napari_unetseg.wording import counted
from napari_unetseg.workspace import ImageEntry, ObjectSet

from .context import Context
from .newest import NewestWins

_MAX_PX = 100_000
_WHAT = (
    "Make pieces of classes that have fewer pixels background; those on which something is painted "
    "stay."
)
_WHAT_OBJECTS = (
    "Delete objects that have fewer pixels, counted over all their slices, and from all of them; "
    "those that you called right stay."
)
_BELOW = "Pieces with fewer pixels than this, counted on each slice, go."
_BELOW_OBJECTS = "Objects with fewer pixels than this, counted over all their slices, go."
_WHERE = "On the slice in view, or on all slices of the image."
_WHERE_OBJECTS = "Objects that are on the slice in view, or all of the image; each goes as a whole."
#: How many would go, and how many as small stay: painted on, or called right.
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
        self.below.setToolTip(_BELOW)
        self.below.valueChanged.connect(self._count)
        self.where = QComboBox()
        self.where.addItem("this slice", False)
        self.where.addItem("all slices", True)
        self.where.setToolTip(_WHERE)
        self.where.activated.connect(self._count)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.button, 1)
        row.addWidget(self.below)
        row.addWidget(self.where)

    def set_why_not(self, why_not: str | None) -> None:
        """Disable the row and say why, or enable it; objects that are active can be deleted."""
        of_objects = self._objects() is not None
        self.button.setText("Delete objects under" if of_objects else "Delete pieces under")
        self.below.setToolTip(_BELOW_OBJECTS if of_objects else _BELOW)
        self.where.setToolTip(_WHERE_OBJECTS if of_objects else _WHERE)
        self.setEnabled(why_not is None or of_objects)
        self.button.setToolTip(self._what() if self.isEnabled() else why_not or "")

    def _objects(self) -> ObjectSet | None:
        """Return the objects of the active layer, if it is one of them."""
        entry = self._context.layers.current_image()
        if entry is None or not self._context.objects.are_active:
            return None
        return self._context.objects.current(entry.id)

    def _what(self) -> str:
        return _WHAT if self._objects() is None else _WHAT_OBJECTS

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
        if (objects := self._objects()) is not None:
            plane = self._only_plane(entry)
            small = self._context.corrections.small(objects, self.below.value(), plane)
            self._on_counted((len(small.ids), small.n_reviewed))
            return
        planes, below = self._planes(entry), self.below.value()
        find = self._context.proofreading.small_pieces

        def count() -> Count:
            found = [find(entry.id, plane, below) for plane in planes]
            return sum(f.n for f in found), sum(f.n_painted for f in found)

        self.button.setToolTip(f"{_WHAT} Counting them …")
        self._counting.ask(count)

    def _on_counted(self, count: Count) -> None:
        n, n_kept = count
        of_objects = self._objects() is not None
        noun, kept = ("object", "reviewed") if of_objects else ("piece", "painted on")
        others = f"; {n_kept:,} more are {kept} and stay" if n_kept else ""
        where = " on all slices" if self.where.currentData() else " on this slice"
        size = f" under {self.below.value():,} px"
        if of_objects:
            which = f"{'' if self.where.currentData() else where}{size} over all slices"
        else:
            which = f"{size}{where}"
        sentence = f"{counted(n, noun)}{which}{others}."
        if self.isEnabled():
            self.button.setToolTip(f"{self._what()} {sentence}")
            self._context.say(sentence)

    def _on_clicked(self) -> None:
        entry = self._context.layers.current_image()
        if entry is None:
            return
        if (objects := self._objects()) is not None:
            self._delete_objects(objects, self._only_plane(entry))
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

    def _delete_objects(self, objects: ObjectSet, plane: int | None) -> None:
        n = self._context.corrections.delete_small(objects, self.below.value(), plane)
        self._context.say(
            f"Deleted: {counted(n, 'object')}; Undo takes that back."
            if n
            else f"No object has fewer than {self.below.value():,} px and is not reviewed."
        )

    def _only_plane(self, entry: ImageEntry) -> int | None:
        """Return the slice that objects have to be on; None for all."""
        return None if self.where.currentData() else self._context.layers.current_plane(entry)
