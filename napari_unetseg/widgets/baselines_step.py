"""Baselines: thresholds, edges and clusters, tried on the slice in view, then on the stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_unetseg.annotations import held_out_mask
from napari_unetseg.classical import (
    METHODS,
    BaselineParams,
    Chain,
    FittedBaseline,
    find_step,
    fit_baseline,
    in_words,
)
from napari_unetseg.classical.mapping import lookup
from napari_unetseg.config import UNLABELLED
from napari_unetseg.errors import UserError
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace import ImageEntry

from .context import Context
from .forms import ConfigForm
from .listen import listen
from .newest import NewestWins
from .preview import LivePreview, Request
from .step import StepPanel

Codes = npt.NDArray[np.uint8]

#: Annotated slices that parameters are fitted to; of more, this many evenly spread.
_FITTED_SLICES = 16

#: What people call the parameters, where their names will not do.
_LABELS = {
    "foreground": "Structure is",
    "sigma_px": "Smoothing (px)",
    "per_slice": "Each slice by itself",
    "percent": "Threshold (%)",
    "grey_value": "As a grey value",
    "output": "Segment",
    "close_px": "Bridge gaps (px)",
    "widen_px": "Widen edges (px)",
    "low_percent": "Edges go on (%)",
    "high_percent": "Edges begin (%)",
    "n_clusters": "Groups",
    "features": "Compare by",
    "seed": "Random start",
}


@dataclass(frozen=True)
class _Fit:
    """What a fit said the answers of a method mean, for parameters whose answers are the same."""

    fitted: FittedBaseline

    def table_for(self, params: BaselineParams) -> Codes | None:
        """Return answers → codes, shape (256,); None where they stay as they are."""
        method, mapping = self.fitted.method, self.fitted.mapping
        if _answers(method, params) != _answers(method, self.fitted.params):
            return None
        unchanged = all(answer == code for answer, code in mapping.items())
        return None if unchanged else lookup(mapping)


def _answers(method: str, params: BaselineParams) -> tuple[int, str]:
    return len(METHODS[method].classes(params)), params.foreground


class BaselinesStep(StepPanel):
    """Choose a method, see it on the slice in view, apply it to the stack."""

    TITLE: ClassVar[str] = "Baselines"
    HINT: ClassVar[str] = (
        "Try a classical method on the slice in view; where one suffices, nothing need be trained."
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._entered = False
        self._fits: dict[str, _Fit] = {}
        self._tables: dict[str, Codes | None] = {}
        self._made_way = False
        self.preview = LivePreview(context, self)
        self._fitter = NewestWins()
        self._build()
        self._connect()
        self._on_method_changed()

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.method = QComboBox()
        self.method.setToolTip("The method to segment with.")
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self._forms_column = QVBoxLayout()
        self._forms_column.setContentsMargins(0, 0, 0, 0)
        self.forms: dict[str, ConfigForm[Any]] = {}
        self._form_widgets: dict[str, QWidget] = {}
        for name, method in METHODS.items():
            self.method.addItem(method.title, name)
            self.method.setItemData(
                self.method.count() - 1, method.summary, Qt.ItemDataRole.ToolTipRole
            )
        self.show_preview = QCheckBox("Preview on the slice in view")
        self.show_preview.setChecked(True)
        self.show_preview.setToolTip("Show what the method answers while you move the sliders.")
        self.fit = self.button(
            "Fit to my annotations",
            "Search the parameters that agree best with what you painted.",
            self._on_fit,
        )
        for widget in (self.method, self.summary):
            self.column.addWidget(widget)
        self.column.addLayout(self._forms_column)
        self.column.addWidget(self.show_preview)
        self.column.addWidget(self.fit)
        self.apply = self.primary(
            "Apply to stack",
            "Segment every slice of every image into a labels layer that you can edit.",
            self._on_apply,
        )
        self._build_use()

    def _build_use(self) -> None:
        self.use_slice = self.button(
            "This slice",
            "Turn the result on this slice into annotations; what you painted stays.",
            lambda: self._on_use(all_slices=False),
        )
        self.use_all = self.button(
            "All slices",
            "Turn the whole result into annotations; what you painted stays.",
            lambda: self._on_use(all_slices=True),
        )
        row = QHBoxLayout()
        row.addWidget(QLabel("Use result as annotations:"))
        row.addWidget(self.use_slice)
        row.addWidget(self.use_all)
        self.column.addLayout(row)
        self.column.addStretch(1)

    def _connect(self) -> None:
        context = self.context
        self.method.currentIndexChanged.connect(self._on_method_changed)
        self.show_preview.toggled.connect(self._ask_preview)
        self.preview.failed.connect(context.say)
        self._fitter.answered.connect(self._on_fitted)
        self._fitter.failed.connect(self._on_fit_failed)
        listen(context.controller.state_changed, self._update_buttons)
        listen(context.controller.baseline_ready, self._on_baseline_ready)
        listen(context.workspace.images_changed, self._on_view_changed)
        listen(context.workspace.codes_changed, self._update_buttons)
        listen(context.workspace.classes_changed, self._on_classes_changed)
        listen(context.viewer.dims.events.current_step, self._on_view_changed)
        listen(context.viewer.layers.selection.events.active, self._on_view_changed)
        listen(context.viewer.layers.events.removed, self._update_buttons)

    # ----------------------------------------------------------------- state

    def entered(self) -> None:
        """Show the preview of the slice in view."""
        self._entered = True
        self._update_buttons()
        self._ask_preview()

    def showEvent(self, event: QShowEvent) -> None:
        """Wake up when a hidden dock comes back, too."""
        super().showEvent(event)
        if not self._entered and not event.spontaneous():
            self.entered()

    def hideEvent(self, event: QHideEvent) -> None:
        """Take the preview away when another step is shown, or the dock is closed."""
        super().hideEvent(event)
        if not event.spontaneous():
            self._entered = False
            self.preview.remove()

    @property
    def method_name(self) -> str:
        """The name of the method chosen."""
        return str(self.method.currentData())

    @property
    def form(self) -> ConfigForm[Any]:
        """The form of the method chosen; values stay as they were left."""
        name = self.method_name
        if name not in self.forms:
            form = self.forms[name] = ConfigForm(METHODS[name].params, _LABELS)
            form.changed.connect(self._on_params_changed)
            self._form_widgets[name] = form.make_widget()
            self._forms_column.addWidget(self._form_widgets[name])
        return self.forms[name]

    def _table(self, params: BaselineParams) -> Codes | None:
        fit = self._fits.get(self.method_name)
        return None if fit is None else fit.table_for(params)

    def _update_buttons(self, *_: object) -> None:
        if not self._entered:
            return
        entry = self.context.layers.current_image()
        idle = self.context.controller.state is JobState.IDLE
        busy = None if idle else "Wait for what is running, or cancel it."
        no_image = None if entry else "Choose an image in the Data step first."
        self.enable(self.apply, no_image or busy)
        self.enable(self.fit, no_image or self._why_not_fit())
        no_result = None if entry and self._result(entry) else "Apply a method to the stack first."
        for button in (self.use_slice, self.use_all):
            self.enable(button, no_image or no_result)

    def _why_not_fit(self) -> str | None:
        if self._fitter.busy:
            return "Searching parameters …"
        if any(e.annotated_planes() for e in self.context.workspace.images.values()):
            return None
        return "Paint some of each class first; the parameters are fitted to that."

    # --------------------------------------------------------------- preview

    def _on_method_changed(self) -> None:
        self._on_params_changed()
        for name, widget in self._form_widgets.items():
            widget.setVisible(name == self.method_name)

    def _on_params_changed(self) -> None:
        if self._made_way:
            self._made_way = False
            self.show_preview.setChecked(True)
        self._say_summary()
        self._ask_preview()

    def _on_view_changed(self, *_: object) -> None:
        self._update_buttons()
        self._ask_preview()

    def _on_classes_changed(self) -> None:
        self.preview.recolor()

    def _say_summary(self) -> None:
        summary = METHODS[self.method_name].summary
        try:
            fitted = self._table(self.form.value()) is not None
        except UserError:
            fitted = False
        self.summary.setText(f"{summary} Fitted to your annotations." if fitted else summary)

    def _ask_preview(self, *_: object) -> None:
        if not self._entered:
            return
        entry = self.context.layers.current_image()
        if entry is None or not self.show_preview.isChecked():
            self.preview.remove()
            return
        try:
            params = self.form.value()
        except UserError as error:
            self.context.say(str(error))
            return
        plane = self.context.layers.current_plane(entry)
        chain = Chain.of(self.method_name, params)
        self.preview.request(Request(entry, plane, chain, self._table(params)))

    # ------------------------------------------------------------------- fit

    def _on_fit(self) -> None:
        method = self.method_name
        entries = list(self.context.workspace.images.values())
        self.context.say("Searching the parameters that agree best with your annotations …")
        self._fitter.ask(lambda: _fit(method, entries))
        self._update_buttons()

    def _on_fitted(self, fitted: FittedBaseline) -> None:
        self._fits[fitted.method] = _Fit(fitted)
        self.method.setCurrentIndex(self.method.findData(fitted.method))
        self.form.set_value(fitted.params)
        self.context.say(
            f"Fitted: mean IoU {fitted.mean_iou:.3f} on what you painted. "
            "Look at the preview, then apply it to the stack."
        )
        self._update_buttons()

    def _on_fit_failed(self, sentence: str) -> None:
        self.context.say(sentence)
        self._update_buttons()

    # ----------------------------------------------------------------- apply

    def _on_apply(self) -> None:
        try:
            params = self.form.value()
        except UserError as error:
            self.context.say(str(error))
            return
        images = self.context.workspace.images
        self._tables = dict.fromkeys(images, self._table(params))
        chain = Chain.of(self.method_name, params)
        self.context.controller.baseline(chain)

    def _on_baseline_ready(self, image_id: str, chain: Chain, codes: Codes) -> None:
        if image_id not in self._tables or image_id not in self.context.workspace.images:
            return
        table = self._tables.pop(image_id)
        if table is not None:
            for plane in codes:
                plane[...] = table[plane]
        title = " · ".join(find_step(settings.step).title for settings in chain.steps)
        self.context.layers.add_result(image_id, title, codes, in_words(chain))
        # The preview makes way for the result until the next move of a slider.
        self._made_way = self._made_way or self.show_preview.isChecked()
        self.show_preview.setChecked(False)
        self._update_buttons()

    def _result(self, entry: ImageEntry) -> Labels | None:
        """Return the result to use: the layer chosen in the list, else the newest."""
        results: Sequence[Labels] = self.context.layers.result_layers(entry.id)
        active = self.context.viewer.layers.selection.active
        return active if active in results else (results[-1] if results else None)

    def _on_use(self, *, all_slices: bool) -> None:
        entry = self.context.layers.current_image()
        layer = None if entry is None else self._result(entry)
        if entry is None or layer is None:
            return
        codes = np.asarray(layer.data).reshape(entry.shape)
        planes = (
            list(range(entry.shape[0]))
            if all_slices
            else [self.context.layers.current_plane(entry)]
        )
        n_px = self.context.workspace.use_as_annotations(entry.id, codes, planes)
        self.context.say(
            f"{n_px:,} px of “{layer.name}” became annotations; Undo takes that back."
            if n_px
            else "Everything there is annotated already; nothing was changed."
        )


def _fit(method: str, entries: Sequence[ImageEntry]) -> FittedBaseline:
    """Fit a method to what is annotated and not held out."""
    annotated = [(entry, plane) for entry in entries for plane in entry.annotated_planes()]
    n = min(len(annotated), _FITTED_SLICES)
    chosen = [annotated[i] for i in np.linspace(0, len(annotated) - 1, n).round().astype(int)]
    planes, codes = [], []
    for entry, plane in chosen:
        held_out = held_out_mask(entry.blocks, plane, entry.shape[1:])
        planes.append(entry.stack.plane(plane))
        codes.append(np.where(held_out, np.uint8(UNLABELLED), entry.training_codes(plane)))
    return fit_baseline(method, planes, codes)
