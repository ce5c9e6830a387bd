"""Loss and held-out score of a training run, drawn while it goes on."""

from __future__ import annotations

import importlib.util
from typing import Any

from napari.utils.theme import get_theme
from napari.viewer import Viewer
from qtpy.QtCore import QRectF
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_unetseg.config import PALETTE
from napari_unetseg.events import HeldOutScored, TrainingStep

from .listen import listen

#: Says how to get the library that draws, where it is missing.
MISSING = 'Install pyqtgraph for curves of loss and score: pip install "napari-unetseg[all]"'

_HEIGHT_PX = 150

#: Legible on napari's dark background and on its light one.
_SCORE_COLOR = PALETTE[5]

#: Steps arrive many times a second; curves with more points than this are thinned.
_MAX_POINTS = 2000


class Curves(QWidget):
    """Loss (left axis, line) and mean IoU (right axis, line with dots) against seconds.

    Without pyqtgraph it is a line of text that says how to get it.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.losses: list[tuple[float, float]] = []
        self.scores: list[tuple[float, float]] = []
        self.setFixedHeight(_HEIGHT_PX)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._plot: _Plot | None = None
        if importlib.util.find_spec("pyqtgraph") is None:
            self.setFixedHeight(40)
            label = QLabel(MISSING)
            label.setWordWrap(True)
            column.addWidget(label)
            return
        self._plot = _Plot()
        column.addWidget(self._plot.widget)
        listen(viewer.events.theme, self._on_theme_changed)
        self._on_theme_changed()

    def clear(self) -> None:
        """Begin a new run."""
        self.losses.clear()
        self.scores.clear()
        self._draw()

    def add_step(self, step: TrainingStep) -> None:
        """Append a loss."""
        self.losses.append((step.elapsed_s, step.loss))
        if len(self.losses) > _MAX_POINTS:
            self.losses = self.losses[::2]
        self._draw()

    def add_score(self, score: HeldOutScored) -> None:
        """Append a score on the held-out annotations."""
        self.scores.append((score.elapsed_s, score.mean_iou))
        self._draw()

    def _draw(self) -> None:
        if self._plot is not None:
            self._plot.draw(self.losses, self.scores)

    def _on_theme_changed(self, *_: object) -> None:
        if self._plot is not None:
            self._plot.paint_in(get_theme(self._viewer.theme))


class _Plot:
    """Two curves that share seconds and have an axis each, in pyqtgraph.

    Put together from axes and view boxes: a `PlotItem` brings menus that nobody parents, and they
    outlive the window.
    """

    def __init__(self) -> None:
        # Imported when the first plot is made: it takes a third of a second.
        import pyqtgraph as pg

        self._pg = pg
        self.widget = pg.GraphicsLayoutWidget()
        self.widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        layout = self.widget.ci.layout
        layout.setContentsMargins(0, 4, 0, 4)
        layout.setSpacing(0)
        self._left, self._right = self._view(), self._view()
        self._axes = {}
        for side, view, text, place in (
            ("left", self._left, "loss", (0, 0)),
            ("right", self._right, "mean IoU", (0, 2)),
            ("bottom", self._left, "time (s)", (1, 1)),
        ):
            axis = self._axes[side] = pg.AxisItem(side)
            axis.setLabel(text)
            axis.linkToView(view)
            self.widget.addItem(axis, *place)
        self.widget.addItem(self._left, 0, 1)
        self.widget.scene().addItem(self._right)
        self._right.setXLink(self._left)
        self._right.setYRange(0, 1, padding=0.08)
        self._left.sigResized.connect(self._on_resized)
        self._loss = pg.PlotDataItem()
        self._score = pg.PlotDataItem(symbolSize=5)
        self._left.addItem(self._loss)
        self._right.addItem(self._score)
        self.draw([], [])

    def _view(self) -> Any:
        view = self._pg.ViewBox(enableMenu=False, enableMouse=False)
        view.disableAutoRange()
        return view

    def draw(self, losses: list[tuple[float, float]], scores: list[tuple[float, float]]) -> None:
        """Show points (seconds, value)."""
        self._loss.setData(*_columns(losses))
        self._score.setData(*_columns(scores))
        until = max([10.0, *(x for x, _ in losses[-1:]), *(x for x, _ in scores[-1:])])
        # A little more, so that the last dot is seen whole.
        self._left.setXRange(0, 1.02 * until, padding=0)
        self._left.setYRange(0, max([1.0, *(y for _, y in losses)]), padding=0.08)

    def paint_in(self, theme: Any) -> None:
        """Take the colours of napari's theme."""
        text, accent = theme.text.as_hex(), _SCORE_COLOR
        self.widget.setBackground(theme.background.as_hex())
        self._loss.setPen(self._pg.mkPen(text, width=1.5))
        self._score.setPen(self._pg.mkPen(accent, width=2))
        self._score.setSymbol("o")
        self._score.setSymbolBrush(accent)
        self._score.setSymbolPen(accent)
        for side, axis in self._axes.items():
            color = accent if side == "right" else text
            axis.setPen(color)
            axis.setTextPen(color)

    def _on_resized(self) -> None:
        self._right.setGeometry(QRectF(self._left.sceneBoundingRect()))


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
