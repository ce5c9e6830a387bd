"""How a training goes: curves, and the last numbers in words."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_unetseg.annotations import MIN_LABELLED_PX
from napari_unetseg.events import (
    AnnotationsTaken,
    HeldOutScored,
    TrainingStarted,
    TrainingStep,
)

from .context import Context
from .curves import Curves
from .listen import listen

#: What is said of a training has as many at most.
_LINES = 4


class TrainingProgress(QWidget):
    """Follows the training that is under way; shows the last one afterwards."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._started: TrainingStarted | None = None
        self._n_held_out_px = 0
        self._last_step: TrainingStep | None = None
        self._last_score: HeldOutScored | None = None
        self.curves = Curves(context.viewer)
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        self.facts.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.facts.setFixedHeight(_LINES * self.facts.fontMetrics().lineSpacing())
        self.facts.setToolTip("Device · number format · optimiser steps · loss · held-out score.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.curves)
        column.addWidget(self.facts)
        listen(context.controller.started, self._on_started)
        listen(context.controller.annotations_taken, self._on_taken)
        listen(context.controller.stepped, self._on_step)
        listen(context.controller.scored, self._on_score)

    def _on_started(self, event: TrainingStarted) -> None:
        self._started, self._last_step, self._last_score = event, None, None
        self._n_held_out_px = event.n_held_out_px
        self.curves.clear()
        self._say_facts()

    def _on_taken(self, event: AnnotationsTaken) -> None:
        self._n_held_out_px = event.n_held_out_px
        self._say_facts()

    def _on_step(self, event: TrainingStep) -> None:
        self._last_step = event
        self.curves.add_step(event)
        self._say_facts()

    def _on_score(self, event: HeldOutScored) -> None:
        self._last_score = event
        self.curves.add_score(event)
        self._say_facts()

    def _say_facts(self) -> None:
        first, second = [], []
        if self._started is not None:
            first += [self._started.device.upper(), self._started.precision]
        if self._last_step is not None:
            first.append(f"step {self._last_step.step:,}")
            second.append(f"loss {self._last_step.loss:.3f}")
        if self._last_score is not None:
            second.append(f"mean IoU {self._last_score.mean_iou:.3f} on held-out annotations")
        lines = [" · ".join(facts) for facts in (first, second) if facts]
        if self._started is not None and not self._n_held_out_px:
            lines.append(
                "Too little is annotated to hold anything out: "
                f"scores start at {MIN_LABELLED_PX:,} px."
            )
        self.facts.setText("\n".join(lines))
