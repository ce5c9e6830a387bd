"""The result of a baseline, used as annotations: of a slice or of all, sure pixels alone or all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QPushButton, QWidget

from napari_unetseg.annotations import Edit, away_from_borders, code_of
from napari_unetseg.config import BACKGROUND, UNLABELLED
from napari_unetseg.workspace import ImageEntry, Result
from napari_unetseg.workspace.workspace import USING_LABELS

from .context import Context
from .listen import listen
from .newest import NewestWins

#: How far from a border a pixel has to be to count as sure, in px.
SURE_PX = 3


class UseResultRow(QWidget):
    """Two buttons and a box; what is painted stays."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._revision = 0
        self._made_way: Labels | None = None
        self._is_on_its_way = False
        self._worker = NewestWins()
        self._worker.answered.connect(self._on_filling)
        listen(context.workspace.codes_changed, self._on_codes_changed)
        listen(context.workspace.classes_changed, self._on_codes_changed)
        listen(context.workspace.results.changed, self._on_codes_changed)
        listen(context.workspace.history_changed, self._on_history_changed)
        self.this_slice = QPushButton("This slice")
        self.this_slice.clicked.connect(lambda: self._use(all_slices=False))
        self.all_slices = QPushButton("All slices")
        self.all_slices.clicked.connect(lambda: self._use(all_slices=True))
        self.sure_only = QCheckBox("Sure pixels only")
        self.sure_only.setToolTip(
            f"Leave out what lies within {SURE_PX} px of a border between classes, where methods "
            "err most."
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(QLabel("Use result as annotations:"), 0, 0)
        grid.addWidget(self.sure_only, 0, 1)
        grid.addWidget(self.this_slice, 1, 0)
        grid.addWidget(self.all_slices, 1, 1)

    @property
    def busy(self) -> bool:
        """Whether a result is on its way to the annotations."""
        return self._is_on_its_way

    def refresh(self, entry: ImageEntry | None) -> None:
        """Enable the buttons where there is a result, and say why not where there is none."""
        why_not = None
        if entry is None:
            why_not = "Choose an image in the Data step first."
        elif self._result(entry) is None:
            why_not = "Apply a method to the stack first."
        elif self.busy:
            why_not = "One moment: the result is becoming annotations."
        for button, what in (
            (self.this_slice, "Turn the result on this slice into annotations"),
            (self.all_slices, "Turn the whole result into annotations"),
        ):
            button.setEnabled(why_not is None)
            button.setToolTip(why_not or f"{what}; what you painted stays.")

    def _result(self, entry: ImageEntry) -> Labels | None:
        """Return the result to use: the layer chosen in the list, else the newest in view."""
        results: list[Labels] = list(self._context.layers.result_layers(entry.id))
        for objects in self._context.workspace.objects.of(entry.id):
            layer = self._context.objects.layer_of(objects)
            results += [] if layer is None else [layer]
        active = self._context.viewer.layers.selection.active
        seen = [layer for layer in results if layer.visible]
        if active in (seen or results):
            return active
        return next(reversed(seen or results), None)

    def _made_by(self, entry: ImageEntry, layer: Labels) -> str:
        for objects in self._context.workspace.objects.of(entry.id):
            if self._context.objects.layer_of(objects) is layer:
                return objects.made_by
        result = self._context.results.result_of(layer)
        return "" if result is None else result.made_by

    def _use(self, *, all_slices: bool) -> None:
        entry = self._context.layers.current_image()
        layer = None if entry is None else self._result(entry)
        if entry is None or layer is None:
            return
        labels = np.asarray(layer.data).reshape(entry.shape)
        here = self._context.layers.current_plane(entry)
        planes = list(range(entry.shape[0])) if all_slices else [here]
        made_by, sure_only = self._made_by(entry, layer), self.sure_only.isChecked()
        result = self._context.results.result_of(layer)
        self._ask(_Use(entry, layer, labels, result, planes, made_by, sure_only))

    def _ask(self, use: _Use) -> None:
        workspace, revision = self._context.workspace, self._revision
        self._is_on_its_way = True
        self._worker.ask(
            lambda: (use, revision, workspace.filling(use.entry, use.codes_of, use.planes))
        )
        self.refresh(use.entry)

    def _on_filling(self, answer: tuple[_Use, int, list[Edit | None]]) -> None:
        self._context.layers.after_stroke(lambda: self._fill(*answer))

    def _fill(self, use: _Use, revision: int, filling: list[Edit | None]) -> None:
        self._is_on_its_way = False
        if use.entry.id not in self._context.workspace.images:
            return
        if revision != self._revision:  # somebody painted meanwhile
            self._ask(use)
            return
        n_before = len(self._context.workspace.classes)
        n_px = self._context.workspace.fill(filling, use.made_by)
        new = [c.name for c in self._context.workspace.classes[n_before:]]
        kind = "class" if len(new) == 1 else "classes"
        made = f", with the new {kind} {' and '.join(new)}" if new else ""
        if use.is_all:
            use.layer.visible = False  # all of it is annotations now, and can be corrected as such
            self._made_way = use.layer
        self._context.say(
            f"{n_px:,} px of “{use.layer.name}” became annotations{made}; Ctrl+Z takes that back."
            if n_px
            else "Everything there is annotated already; nothing was changed."
        )
        self.refresh(use.entry)

    def _on_history_changed(self) -> None:
        """Show the result again where its annotations have been taken back."""
        if self._made_way is not None and self._context.workspace.log.redo_label == USING_LABELS:
            self._made_way.visible = True
            self._made_way = None

    def _on_codes_changed(self, *_: object) -> None:
        self._revision += 1


@dataclass(frozen=True, eq=False)
class _Use:
    """What is to become annotations: labels of that layer, shape (planes, Y, X).

    Of a result its own codes, which follow the classes also where the layer is closed.
    """

    entry: ImageEntry
    layer: Labels
    labels: npt.NDArray[Any]
    result: Result | None
    planes: list[int]
    made_by: str
    sure_only: bool

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return len(self.planes) == len(self.labels) and not self.sure_only

    def codes_of(self, plane: int) -> npt.NDArray[np.uint8]:
        """Return the annotations of a slice."""
        codes = self.labels[plane] if self.result is None else self.result.codes(plane)
        if codes.dtype != np.uint8:  # objects with numbers
            codes = np.where(codes > 0, np.uint8(code_of(1)), np.uint8(BACKGROUND))
        if self.sure_only:
            codes = np.where(away_from_borders(codes, SURE_PX), codes, np.uint8(UNLABELLED))
        return np.asarray(codes)
