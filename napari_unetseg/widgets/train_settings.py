"""The settings of a training that are folded away: most people never need them."""

from __future__ import annotations

from typing import Any

from psygnal import Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QWidget,
)

from napari_unetseg.config import (
    DEEPEST,
    FEWEST_FILTERS,
    SMALLEST_PATCH_PX,
    AugmentationConfig,
    NetworkConfig,
    Recipe,
    TrainingConfig,
    UNetConfig,
    load_recipe,
)
from napari_unetseg.errors import UserError

from .dialogs import ask_paths
from .forms import ConfigForm

#: Fields of `AugmentationConfig` that a strength scales, and how far each may go.
_SCALED = {
    "rotation_deg": 180.0,
    "scale": 0.9,
    "elastic": 0.25,
    "brightness": 1.0,
    "contrast": 0.9,
    "gamma": 0.9,
    "noise": 0.5,
    "blur_px": 10.0,
    "section_dropout": 1.0,
}

#: What a network looks at, as it is said in the window.
_DIMS = {
    "2": "single slices",
    "2.5": "with neighbouring slices",
    "3": "whole volume",
}

_TRAINING = {
    "learning_rate": "Rate",
    "seed": "Seed",
}
_TOOLTIPS = {
    "learning_rate": "Learning rate: how far each step goes; too high and the loss jumps about.",
    "seed": "Start of the random numbers; another one gives another model, about as good.",
}
_DIMS_TOOLTIP = (
    "Single slices are learned fastest. With neighbouring slices it sees those above and below "
    "too, for stacks of thick slices; the whole volume is for thin ones, and takes longest."
)
_REDUCTION_TOOLTIP = (
    "How many times smaller it sees the image: it learns and answers faster and sees farther, and "
    "misses finer details. Automatic halves images where much is painted and nothing fine."
)
_DEPTH_TOOLTIP = (
    "Times the network halves the image: each doubles how far it sees. Automatic sees less far "
    "where a few strokes are painted."
)
_FILTERS_TOOLTIP = (
    "Channels at the top level of the network: more learn more and take longer. Automatic takes "
    "few where a processor has little time and much is painted."
)
_OF_BASE = "The network is that of the model at hand."
_ADAPT = {"all": "all of it", "expanding": "its second half", "head": "its last layer"}
_ADAPT_TOOLTIP = (
    "What of the model at hand goes on learning. All of it learns best; the second half is faster "
    "and keeps how it sees images; the last layer is fastest and only tells classes apart anew."
)
_FORGET_TOOLTIP = "Learn every class anew, also those that the model at hand knows by name."
_LOOK_TOOLTIP = (
    "Share of the training for looking at all slices, unpainted ones too, before it learns from "
    "what is painted."
)
_NO_BASE = "Only for a model that learns more: choose one under Start."
_HAS_BASE = "Only for a model from scratch: the one at hand has seen images already."


class TrainSettings(QWidget):
    """A form for a recipe, without the time it may take.

    Attributes
    ----------
    steps_changed : Signal(int)
        Training ends after so many steps; 0: by time.
    failed : Signal(str)
        A settings file could not be read; the sentence says why.
    """

    steps_changed = Signal(int)
    failed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._recipe = Recipe()
        self._network_base: NetworkConfig | None = None
        self.training: ConfigForm[TrainingConfig] = ConfigForm(
            TrainingConfig, _TRAINING, only=list(_TRAINING), sliders=False
        )
        self._build()
        self.set_value(Recipe())
        self.set_network_of(None)

    def _build(self) -> None:
        self.augmentation = _spin_box(0, 200, 100, " %")
        self.augmentation.setToolTip(
            "How much patches are turned, bent and changed in grey value; 0 % for not at all."
        )
        self.patch = _spin_box(0, 1 << 16, 0, " px", "automatic")
        self.patch.setSingleStep(SMALLEST_PATCH_PX)
        self.patch.setToolTip(
            "Side of the pieces of image it learns from, 0 for automatic: small for strokes, large "
            "for slices that are painted completely."
        )
        self.patch.editingFinished.connect(self._on_patch_edited)
        self.batch = _spin_box(0, 1 << 16, 0, "", "automatic")
        self.batch.setToolTip(
            "Pieces of image per step, 0 for automatic; more are steadier and slower."
        )
        self.steps = _spin_box(0, 1_000_000, 0, "", "by time")
        self.steps.setToolTip("End after this many steps instead of after a time.")
        self.steps.valueChanged.connect(self.steps_changed.emit)
        self.reduction = _spin_box(0, 8, 0, " ×", "automatic")
        self.depth = _spin_box(0, DEEPEST, 0, "", "automatic")
        self.filters = _spin_box(0, 128, 0, "", "automatic")
        self.filters.editingFinished.connect(self._on_filters_edited)
        self.dims = QComboBox()
        for value, words in _DIMS.items():
            self.dims.addItem(words, value)
        self.dims.setToolTip(_DIMS_TOOLTIP)
        self.adapt = QComboBox()
        for mode, words in _ADAPT.items():
            self.adapt.addItem(words, mode)
        self.forget = QCheckBox("what it knows of classes")
        self.look = _spin_box(0, 90, 0, " %", "no time")
        self.early = _spin_box(0, 99, 0, " %", "never")
        self.early.setToolTip(
            "End when scores on held-out annotations have not risen for this share of the training."
        )
        self.open = QPushButton("Settings from a file…")
        self.open.setToolTip("Read a recipe (JSON), such as the one inside a model's model.json.")
        self.open.clicked.connect(self._on_open)
        self._lay_out()

    def _lay_out(self) -> None:
        rows: list[tuple[str, QWidget]] = [
            ("Filters", self.filters),
            ("Depth", self.depth),
            *((label, self._native(name)) for name, label in _TRAINING.items()),
            ("Patch", self.patch),
            ("Batch", self.batch),
            ("Augment", self.augmentation),
            ("Steps", self.steps),
            ("Reduce", self.reduction),
            ("Look first", self.look),
            ("End early", self.early),
        ]
        wide: list[tuple[str, QWidget]] = [
            ("Looks at", self.dims),
            ("Adapt", self.adapt),
            ("Forget", self.forget),
        ]
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for i, (label, widget) in enumerate(rows):
            row, column = divmod(i, 2)
            grid.addWidget(QLabel(label), row, 2 * column)
            grid.addWidget(widget, row, 2 * column + 1)
        for row, (label, widget) in enumerate(wide, start=len(rows)):
            grid.addWidget(QLabel(label), row, 0)
            grid.addWidget(widget, row, 1, 1, 3)
        grid.addWidget(self.open, len(rows) + len(wide), 0, 1, 4)

    def _native(self, name: str) -> QWidget:
        control: Any = self.training.control(name)
        control.tooltip = _TOOLTIPS[name]
        native: QAbstractSpinBox = control.native
        native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        return native

    def set_network_of(self, base: NetworkConfig | None) -> None:
        """Show the network of a model that training continues with, which cannot be changed."""
        if self._network_base is None:
            self._recipe = self._recipe.replace(network=self._chosen_network().model_dump())
        self._network_base = base
        self._show_network()

    def _chosen_network(self) -> NetworkConfig:
        return self._fixed_network() or self._recipe.network.replace(
            dims=self.dims.currentData(),
            reduction=self.reduction.value(),
            depth=self.depth.value(),
            filters=self.filters.value(),
        )

    def _show_network(self) -> None:
        fixed = self._fixed_network()
        why = self._why_fixed(fixed)
        shown = fixed or self._recipe.network
        self.dims.setCurrentIndex(self.dims.findData(shown.dims))
        self.reduction.setValue(shown.reduction)
        self.depth.setValue(shown.depth)
        self.filters.setValue(shown.filters)
        for widget, tooltip in (
            (self.depth, _DEPTH_TOOLTIP),
            (self.filters, _FILTERS_TOOLTIP),
            (self.dims, _DIMS_TOOLTIP),
            (self.reduction, _REDUCTION_TOOLTIP),
        ):
            widget.setEnabled(fixed is None)
            widget.setToolTip(why or tooltip)
        goes_on = self._network_base is not None
        for widget, enabled, tooltip, why_not in (
            (self.adapt, goes_on, _ADAPT_TOOLTIP, _NO_BASE),
            (self.forget, goes_on, _FORGET_TOOLTIP, _NO_BASE),
            (self.look, not goes_on, _LOOK_TOOLTIP, _HAS_BASE),
        ):
            widget.setEnabled(enabled)
            widget.setToolTip(tooltip if enabled else why_not)

    def _why_fixed(self, fixed: NetworkConfig | None) -> str:
        if fixed is None:
            return ""
        if self._network_base is not None:
            return _OF_BASE
        return f"The settings ask for the network {fixed.kind}, which is used as it is."

    def _fixed_network(self) -> NetworkConfig | None:
        """Return the network where the form cannot change it: a model's, or none of its kind."""
        if self._network_base is not None:
            return self._network_base
        asked = self._recipe.network
        return None if isinstance(asked, UNetConfig) else asked

    def value(self, max_time_s: float) -> Recipe:
        """Return the recipe.

        Parameters
        ----------
        max_time_s : float
            Used where no number of steps is chosen.
        """
        steps = self.steps.value() or None
        training = self.training.value().replace(
            max_time_s=None if steps else max_time_s,
            steps=steps,
            patch_px=self.patch.value(),
            batch=self.batch.value(),
            **self._start(),
            early_stop=self.early.value() / 100,
            augmentation=self._augmentation(),
        )
        return self._recipe.replace(network=self._chosen_network(), training=training)

    def _start(self) -> dict[str, Any]:
        """Return the choices of how training begins, as far as they can be made."""
        if self._network_base is None:
            return {"pretrain": self.look.value() / 100}
        return {
            "transfer": self.adapt.currentData(),
            "new_head": self.forget.isChecked(),
            "pretrain": 0.0,
        }

    def set_value(self, recipe: Recipe) -> None:
        """Show a recipe; what has no control here is kept as it is."""
        self._recipe = recipe
        self._show_network()
        self.training.set_value(recipe.training)
        self.patch.setValue(recipe.training.patch_px)
        self.batch.setValue(recipe.training.batch)
        self.augmentation.setValue(100)
        self.steps.setValue(recipe.training.steps or 0)
        self.adapt.setCurrentIndex(self.adapt.findData(recipe.training.transfer))
        self.forget.setChecked(recipe.training.new_head)
        self.look.setValue(round(100 * recipe.training.pretrain))
        self.early.setValue(round(100 * recipe.training.early_stop))

    def _augmentation(self) -> AugmentationConfig:
        strength = self.augmentation.value() / 100
        chosen = self._recipe.training.augmentation
        if strength == 0:
            return AugmentationConfig.none()
        return chosen.replace(
            **{
                name: min(max(most, getattr(chosen, name)), strength * getattr(chosen, name))
                for name, most in _SCALED.items()
            }
        )

    def _on_patch_edited(self) -> None:
        if 0 < self.patch.value() < SMALLEST_PATCH_PX:
            self.patch.setValue(SMALLEST_PATCH_PX)

    def _on_filters_edited(self) -> None:
        if 0 < self.filters.value() < FEWEST_FILTERS:
            self.filters.setValue(FEWEST_FILTERS)

    def _on_open(self) -> None:
        for path in ask_paths(self, "file", "Settings", "Recipes (*.json)"):
            try:
                self.set_value(load_recipe(str(path)))
            except UserError as error:
                self.failed.emit(str(error))


def _spin_box(low: int, high: int, value: int, suffix: str, at_low: str = "") -> QSpinBox:
    """Make a field for a whole number, which reads `at_low` at the lowest one."""
    box = QSpinBox()
    box.setSpecialValueText(at_low)
    box.setRange(low, high)
    box.setValue(value)
    box.setSuffix(suffix)
    box.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
    return box
