"""The result of a baseline, used as annotations: of a slice or of all, sure pixels alone or all."""

from __future__ import annotations

import numpy as np
from napari.layers import Labels
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QPushButton, QWidget

from napari_unetseg.annotations import away_from_borders, code_of
from napari_unetseg.config import BACKGROUND, UNLABELLED
from napari_unetseg.workspace import ImageEntry

from .context import Context
from .stack_from_layers import METADATA

#: How far from a border a pixel has to be to count as sure, in px.
SURE_PX = 3


class UseResultRow(QWidget):
    """Two buttons and a box; what is painted stays."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
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

    def refresh(self, entry: ImageEntry | None) -> None:
        """Enable the buttons where there is a result, and say why not where there is none."""
        why_not = None
        if entry is None:
            why_not = "Choose an image in the Data step first."
        elif self._result(entry) is None:
            why_not = "Apply a method to the stack first."
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
        if active in results:
            return active
        seen = [layer for layer in results if layer.visible]
        return next(reversed(seen or results), None)

    def _made_by(self, entry: ImageEntry, layer: Labels) -> str:
        for objects in self._context.workspace.objects.of(entry.id):
            if self._context.objects.layer_of(objects) is layer:
                return objects.made_by
        made_by: str = layer.metadata[METADATA].get("made_by", "")
        return made_by

    def _use(self, *, all_slices: bool) -> None:
        entry = self._context.layers.current_image()
        layer = None if entry is None else self._result(entry)
        if entry is None or layer is None:
            return
        codes, made_by = np.asarray(layer.data).reshape(entry.shape), self._made_by(entry, layer)
        if codes.dtype != np.uint8:  # objects with numbers
            codes = np.where(codes > 0, np.uint8(code_of(1)), np.uint8(BACKGROUND))
        planes = (
            list(range(entry.shape[0]))
            if all_slices
            else [self._context.layers.current_plane(entry)]
        )
        if self.sure_only.isChecked():
            sure = codes.copy()
            for plane in planes:
                sure[plane][~away_from_borders(codes[plane], SURE_PX)] = UNLABELLED
            codes = sure
        n_before = len(self._context.workspace.classes)
        n_px = self._context.workspace.use_as_annotations(entry.id, codes, planes, made_by)
        new = [c.name for c in self._context.workspace.classes[n_before:]]
        kind = "class" if len(new) == 1 else "classes"
        made = f", with the new {kind} {' and '.join(new)}" if new else ""
        if all_slices and not self.sure_only.isChecked():
            layer.visible = False  # all of it is annotations now, and can be corrected as such
        self._context.say(
            f"{n_px:,} px of “{layer.name}” became annotations{made}; Ctrl+Z takes that back."
            if n_px
            else "Everything there is annotated already; nothing was changed."
        )
