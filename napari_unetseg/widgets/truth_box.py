"""Compare the segmentation with a labels layer that somebody holds for true."""

from __future__ import annotations

from typing import ClassVar

from napari.layers import Labels
from psygnal import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QWidget

from napari_unetseg.workspace.scores import TruthScore, score_segmentation

from .context import Context
from .newest import NewestWins
from .stack_from_layers import METADATA

#: Layers of ours that are no truth.
_OURS = ("annotations", "segmentation", "region", "preview", "objects", "comparison")


class TruthBox(QWidget):
    """Choose a truth and see the mean IoU of the segmentation against it.

    Attributes
    ----------
    scored : Signal(float)
        Mean IoU against the truth.
    score : float or None
        The last one; None while there is none.
    """

    scored: ClassVar[Signal] = Signal(float)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.score: float | None = None
        self._worker = NewestWins()
        self._worker.answered.connect(self._on_answered)
        self._worker.failed.connect(self._on_failed)
        self.layer = QComboBox()
        self.layer.setToolTip("A labels layer that is right, where you have one; never trained on.")
        self.layer.activated.connect(self._on_layer_chosen)
        self.kind = QComboBox()
        self.kind.addItem("0 is background, 1 is the first class", "masks")
        self.kind.addItem("0 is unknown, 1 is background", "annotations")
        self.kind.setToolTip("What the values of the truth layer mean.")
        self.kind.activated.connect(self.compare)
        self.result = QLabel()
        self.result.setWordWrap(True)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.addRow("Truth", self.layer)
        self._form.addRow("Values", self.kind)
        self._form.addRow(self.result)
        self.list_layers()

    @property
    def chosen(self) -> Labels | None:
        """The truth layer chosen."""
        layer: Labels | None = self.layer.currentData()
        return layer if layer is not None and layer in self._context.viewer.layers else None

    def list_layers(self) -> None:
        """Bring the list of layers up to date."""
        chosen = self.chosen
        self.layer.clear()
        self.layer.addItem("none", None)
        for layer in self._context.layers.labels_layers():
            if layer.metadata.get(METADATA, {}).get("role") not in _OURS:
                self.layer.addItem(layer.name, layer)
                if layer is chosen:
                    self.layer.setCurrentIndex(self.layer.count() - 1)
        if self.chosen is None:
            self.score = None
        self._show_use()

    def compare(self, *_: object) -> None:
        """Compute the score away from the window; the newest call wins."""
        entry, layer = self._context.layers.current_image(), self.chosen
        if entry is None or layer is None:
            return
        truth, kind, name = layer.data, self.kind.currentData(), layer.name
        names = tuple(cls.name for cls in self._context.workspace.classes)
        self._worker.ask(lambda: score_segmentation(entry, truth, kind, names, name))

    def compare_anew(self) -> None:
        """Compute the score of what is there now; one under way may be of what was before."""
        self._worker.forget()
        self.compare()

    def _on_layer_chosen(self, *_: object) -> None:
        self.score = None
        layer = self.chosen
        if layer is None:
            self._worker.forget()
        else:
            ours = layer.metadata.get(METADATA, {})
            codes = ours.get("role") == "baseline" or ours.get("kind") == "annotations"
            self.kind.setCurrentIndex(self.kind.findData("annotations" if codes else "masks"))
        self.result.setText("")
        self._show_use()
        self.compare()

    def _show_use(self) -> None:
        used = self.chosen is not None
        self._form.setRowVisible(self.kind, used)
        self._form.setRowVisible(self.result, used)

    def _on_answered(self, score: TruthScore) -> None:
        if self.chosen is None:
            return
        self.score = score.mean_iou
        slices = "1 slice" if score.n_slices == 1 else f"{score.n_slices} slices"
        self.result.setText(f"Mean IoU {score.mean_iou:.3f} against the truth, on {slices}.")
        self.scored.emit(score.mean_iou)

    def _on_failed(self, sentence: str) -> None:
        self.score = None
        self.result.setText(sentence)
