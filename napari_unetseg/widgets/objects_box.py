"""Numbered objects: which are at hand, how many are reviewed, and their numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted
from napari_unetseg.workspace import ObjectSet
from napari_unetseg.workspace.export import is_segmented

from .context import Context
from .listen import listen
from .newest import NewestWins
from .object_review import OUTDATED, counts
from .shortcuts import tooltip

_NONE = "There are no numbered objects yet; press Number pieces, or apply a model that tells apart."
_NOTHING = "Nothing is segmented yet; train a model or apply one."
_NUMBER = (
    "Give every connected piece of the segmentation a number, in a layer of its own: objects that "
    "can be cut, joined, deleted and reviewed one by one. Pieces that touch from one slice to the "
    "next become one object."
)
_WHICH = "Objects to be shown and corrected."
_NEW_ONES = "Number pieces makes new ones; these stay."
_HIGHEST = 2**31 - 1

Ids: TypeAlias = npt.NDArray[np.uint32]


class ObjectsBox(QWidget):
    """What can be done with objects beside the tools that work with the mouse."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._numbering = NewestWins()
        self._numbering.answered.connect(self._on_numbered)
        self._build()
        self._followed: object = None
        workspace = context.workspace
        listen(context.objects.changed, self.refresh)
        listen(workspace.images_changed, self.refresh)
        listen(workspace.segmentation_changed, self._on_segmentation_changed)
        listen(context.at_hand.changed, self.refresh)
        self.refresh()

    def _build(self) -> None:
        self.which = QComboBox()
        self.which.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.which.setMinimumContentsLength(10)
        self.which.activated.connect(self._on_chosen)
        self.number = _button("Number pieces", self._on_number)
        self.reviewed = QLabel()
        self.next = _button("Next", self._context.review.go_on)
        self.right = _button("Right", self._context.review.right)
        self.wanted = QSpinBox()
        self.wanted.setRange(1, _HIGHEST)
        self.give = _button("Give number", self._on_give)
        self.renumber = _button("Renumber 1, 2, …", self._on_renumber)
        self.only_here = QCheckBox("In this slice only")
        self.only_here.setToolTip(
            "Cut, join and delete objects in the slice in view alone; otherwise in all slices of "
            "an object, of its time point."
        )
        self.only_here.toggled.connect(self._on_only_here)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widgets in (
            (self.reviewed, self.which, self.next, self.right),
            (self.wanted, self.give, self.renumber),
            (self.only_here, self.number),
        ):
            row = QHBoxLayout()
            for widget in widgets:
                row.addWidget(widget, 1 if widget in (widgets[0], self.which) else 0)
            column.addLayout(row)

    # ----------------------------------------------------------------- state

    def objects(self) -> ObjectSet | None:
        """Return the objects at hand."""
        entry = self._context.layers.current_image()
        return None if entry is None else self._context.objects.current(entry.id)

    def refresh(self, *_: object) -> None:
        """Bring lists and buttons up to date."""
        entry, objects = self._context.layers.current_image(), self.objects()
        there = self._context.workspace.objects.of(entry.id) if entry is not None else []
        self.which.clear()
        for number, each in enumerate(there, 1):
            self.which.addItem(f"{each.title}: {counts(each)}", each)
            if each is objects:
                self.which.setCurrentIndex(number - 1)
        self.which.setVisible(len(there) > 1)
        self.reviewed.setVisible(len(there) < 2)
        self.reviewed.setText("no objects yet" if objects is None else counts(objects))
        outdated = objects is not None and objects.is_outdated
        for widget, tip in ((self.reviewed, ""), (self.which, _WHICH)):
            widget.setToolTip(f"{OUTDATED} {_NEW_ONES} {tip}".strip() if outdated else tip)
        why_not = None if objects is not None else _NONE
        _enable(self.next, why_not, tooltip("next_object"))
        _enable(self.right, why_not, tooltip("object_right"))
        _enable(
            self.give,
            why_not,
            "Give the object in hand (outlined, or taken up with the dropper) this number.",
        )
        _enable(self.renumber, why_not, "Number the objects from 1 on without gaps.")
        self.wanted.setEnabled(objects is not None)
        self.wanted.setToolTip(why_not or "The number to give; one that is free stands here.")
        if objects is not None and objects.is_counted:
            self._offer_free_number(objects)
        stack = entry.shape[0] > 1 if entry is not None else False
        self.only_here.setEnabled(stack)
        self._update_number()

    def _offer_free_number(self, objects: ObjectSet) -> None:
        if not self.wanted.hasFocus() and self.wanted.value() in objects.areas():
            self.wanted.setValue(objects.free_number())

    def _update_number(self) -> None:
        entry = self._context.layers.current_image()
        segmented = entry is not None and is_segmented(entry)
        busy = "Numbering …" if self._numbering.busy else None
        on_result = None if entry is None else self._context.at_hand.why_not_correct(entry.id)
        nothing = None if segmented else _NOTHING
        _enable(self.number, busy or on_result or nothing, _NUMBER)

    def _on_segmentation_changed(self, *_: object) -> None:
        if not self.number.isEnabled():
            self._update_number()

    # --------------------------------------------------------------- actions

    def _on_chosen(self, index: int) -> None:
        objects: ObjectSet = self.which.itemData(index)
        self._context.layers.activate(self._context.objects.show(objects))
        self.refresh()

    def _on_number(self) -> None:
        entry = self._context.layers.current_image()
        if entry is None:
            return
        image_id, corrections = entry.id, self._context.corrections
        self._context.say("Numbering the pieces of the segmentation …")
        self._numbering.ask(lambda: (image_id, corrections.number(image_id)))
        self._update_number()

    def _on_numbered(self, answer: tuple[str, Ids]) -> None:
        self._context.layers.after_stroke(lambda: self._take_numbered(*answer))

    def _take_numbered(self, image_id: str, ids: Ids) -> None:
        if image_id in self._context.workspace.images:
            objects = self._context.workspace.number_objects(image_id, ids)
            self._context.layers.activate(self._context.objects.show(objects))
            n = counted(len(objects.areas()), "object")
            deep = self._context.workspace.images[image_id].stack.size("Z") > 1
            joined = "; pieces that touch from slice to slice are one" if deep else ""
            self._context.say(
                f"{n}{joined}. Cut (C), join (J) and delete (D) them, U reviews them; Undo takes "
                "the numbers back."
            )
        self.refresh()

    def _on_give(self) -> None:
        objects = self.objects()
        layer = None if objects is None else self._context.objects.layer_of(objects)
        if objects is None or layer is None:
            self._context.say("Show the objects first, and take one up with the dropper.")
            return
        number, wanted = int(layer.selected_label), self.wanted.value()
        try:
            self._context.corrections.give_number(objects, number, wanted)
        except UserError as error:
            self._context.say(str(error))
            return
        layer.selected_label = wanted
        self._context.say(f"Object {number} is object {wanted} now; Undo takes that back.")

    def _on_renumber(self) -> None:
        objects = self.objects()
        if objects is not None:
            n = self._context.corrections.renumber(objects)
            self._context.say(
                f"{counted(n, 'object')} got another number; Undo takes that back."
                if n
                else "The numbers have no gap."
            )

    def _on_only_here(self, checked: bool) -> None:
        self._context.objects.this_slice_only = checked


def _button(text: str, slot: Callable[[], object]) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(lambda: slot())
    return button


def _enable(button: QPushButton, why_not: str | None, tooltip: str) -> None:
    button.setEnabled(why_not is None)
    button.setToolTip(why_not or tooltip)
