"""A strip of all slices: what has been done on each, which is in view; a click goes there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_unetseg.workspace import ImageEntry, SliceState, slice_name

from .context import Context
from .listen import listen
from .newest import NewestWins

_HEIGHT_PX = 17
#: Above the bars, for the marks of suggested slices.
_MARKS_PX = 5
#: Of bars, by state: what is farther is higher, so that no colour is needed to tell.
_BAR_PX = (2, 5, 8, 11)
#: From this width on there is a gap between slices, and a frame around the one in view.
_WIDE_PX = 5.0
_STEPS = {
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_PageUp: -10,
    Qt.Key.Key_PageDown: 10,
}
_LEGEND = (
    "The higher its bar, the more is done on a slice: predicted, annotated, completely annotated. "
    "Click or drag to go there."
)


@dataclass(frozen=True, slots=True)
class _Colors:
    """In one of napari's themes: bars by `SliceState`, suggestions, the slice in view."""

    bars: tuple[str, str, str, str]
    mark: str
    here: str
    ground: str


#: Orange and blue of the palette of Okabe and Ito, as light or dark as the background wants them.
_ON_DARK = ("#5a626c", "#8a94a0", "#e69f00", "#56b4e9")
_ON_LIGHT = ("#c4bfb8", "#7b848e", "#b87400", "#0072b2")
_MARK_ON_DARK, _MARK_ON_LIGHT = "#ff8a5c", "#c04400"


class ProgressStrip(QWidget):
    """The slices of the image at hand, from the first at the left to the last at the right.

    It is counted off the window's thread what is on them, those near the slice in view first.

    Parameters
    ----------
    context : Context
    """

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._wanted = False
        self._entry: ImageEntry | None = None
        self._here = 0
        self._counting = NewestWins()
        self._counting.answered.connect(self._on_counted)
        self.setFixedHeight(_HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Slices")
        self.hide()
        viewer = context.viewer
        listen(context.progress.outdated, self._on_outdated)
        listen(context.progress.changed, self._on_progress_changed)
        listen(context.workspace.images_changed, self._follow)
        listen(viewer.dims.events.current_step, self._follow)
        listen(viewer.layers.selection.events.active, self._follow)
        listen(viewer.events.theme, self._on_theme_changed)

    def set_wanted(self, wanted: bool) -> None:
        """Show it where there is more than one slice, or do not."""
        self._wanted = wanted
        self._follow()

    def set_suggested(self, planes: list[int]) -> None:
        """Mark slices of the image at hand that are worth annotating next."""
        entry = self._context.layers.current_image()
        if entry is not None:
            self._context.progress.set_suggested(entry.id, planes)

    # ------------------------------------------------------------- following

    def _follow(self, *_: object) -> None:
        """Show the image at hand and the slice of it that is in view."""
        entry = self._context.layers.current_image()
        if not self._wanted or entry is None or entry.shape[0] < 2:
            self._entry = None
            self.hide()
            return
        here = self._context.layers.current_plane(entry)
        if entry is not self._entry or here != self._here:
            self._entry, self._here = entry, here
            self.update()
        self.show()
        self._ask()

    def _on_progress_changed(self, image_id: str) -> None:
        if self._entry is not None and image_id == self._entry.id:
            self.update()

    def _on_outdated(self, image_id: str) -> None:
        if self._entry is not None and image_id == self._entry.id:
            self._ask()

    def _ask(self) -> None:
        if self._entry is None or self._counting.busy:
            return
        question = self._context.progress.question(self._entry.id, self._here)
        if question is not None:
            self._counting.ask(question)

    def _on_counted(self, counted: Any) -> None:
        self._context.progress.take(counted)
        self._ask()

    def _on_theme_changed(self, *_: object) -> None:
        self.update()

    # --------------------------------------------------------------- places

    def plane_at(self, x: float) -> int:
        """Return the slice that is shown at a distance from the left, in px."""
        assert self._entry is not None
        n_planes = self._entry.shape[0]
        return int(np.clip(int(x * n_planes / max(1, self.width())), 0, n_planes - 1))

    def x_of(self, plane: int) -> float:
        """Return where the middle of a slice is, in px from the left."""
        assert self._entry is not None
        return (plane + 0.5) * float(self.width()) / self._entry.shape[0]

    def tooltip_at(self, x: float) -> str:
        """Return what is to be said of the slice there."""
        entry, progress = self._entry, self._context.progress
        if entry is None:
            return ""
        plane = self.plane_at(x)
        said = f"{slice_name(entry.stack, plane)}: {progress.facts(entry.id, plane).words}"
        return f"{said}; suggested next" if plane in progress.suggested(entry.id) else said

    # --------------------------------------------------------------- a hand

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the slice under the pointer."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._go_to(self.plane_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow a pointer that is dragged."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go_to(self.plane_at(event.position().x()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go to the slices beside, ten farther, to the first and the last; leave other keys."""
        if self._entry is None or event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            event.ignore()
        elif event.key() in _STEPS:
            self._go_to(self._here + _STEPS[event.key()])
        elif event.key() in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self._go_to(0 if event.key() == Qt.Key.Key_Home else self._entry.shape[0] - 1)
        else:
            event.ignore()

    def event(self, event: QEvent) -> bool:
        """Show what is to be said of the slice under the pointer."""
        if event.type() == QEvent.Type.ToolTip and self._entry is not None:
            assert isinstance(event, QHelpEvent)
            said = self.tooltip_at(event.pos().x())
            QToolTip.showText(event.globalPos(), f"{said}\n{_LEGEND}", self)
            return True
        return bool(super().event(event))

    def _go_to(self, plane: int) -> None:
        if self._entry is not None:
            plane = int(np.clip(plane, 0, self._entry.shape[0] - 1))
            if plane != self._here:
                self._context.layers.show_plane(self._entry, plane)

    # -------------------------------------------------------------- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw a bar for every slice, or for every pixel where there are more slices."""
        if self._entry is None:
            return
        painter, colors = QPainter(self), self._colors()
        n_planes = self._entry.shape[0]
        n_cells = min(n_planes, self.width())
        states = merged(self._context.progress.states(self._entry.id), n_cells)
        width = self.width() / n_cells
        gap = 1.0 if width >= _WIDE_PX else 0.0
        painter.setPen(Qt.PenStyle.NoPen)
        for start, end, state in _runs(states, single=gap > 0):
            height = _BAR_PX[state]
            bar = QRectF(start * width, self.height() - height, (end - start) * width - gap, height)
            painter.fillRect(bar, QColor(colors.bars[state]))
        self._draw_here(painter, colors)
        self._draw_suggested(painter, colors)
        if self.hasFocus():
            painter.setPen(QColor(colors.here))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _draw_here(self, painter: QPainter, colors: _Colors) -> None:
        """Mark the slice in view: a frame around it, or a line where it is too narrow for one."""
        assert self._entry is not None
        width = self.width() / self._entry.shape[0]
        height = self.height() - _MARKS_PX
        if width >= _WIDE_PX:
            painter.setPen(QColor(colors.here))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(self._here * width, _MARKS_PX - 1, width - 1, height))
            painter.setPen(Qt.PenStyle.NoPen)
            return
        x = min(max(1.0, self.x_of(self._here) - 1), self.width() - 3)
        painter.fillRect(QRectF(x - 1, _MARKS_PX - 1, 4, height + 1), QColor(colors.ground))
        painter.fillRect(QRectF(x, _MARKS_PX - 1, 2, height + 1), QColor(colors.here))

    def _draw_suggested(self, painter: QPainter, colors: _Colors) -> None:
        """Put a small triangle over every slice that is suggested."""
        assert self._entry is not None
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.mark))
        for plane in self._context.progress.suggested(self._entry.id):
            x = min(max(4.0, self.x_of(plane)), self.width() - 4.0)
            corners = [QPointF(x - 4, 0), QPointF(x + 4, 0), QPointF(x, _MARKS_PX)]
            painter.drawPolygon(QPolygonF(corners))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _colors(self) -> _Colors:
        theme = get_theme(self._context.viewer.theme)
        ground, text = theme.background.as_hex(), theme.text.as_hex()
        if QColor(ground).lightness() < 128:
            return _Colors(_ON_DARK, _MARK_ON_DARK, text, ground)
        return _Colors(_ON_LIGHT, _MARK_ON_LIGHT, text, ground)


def merged(states: npt.NDArray[np.uint8], n_cells: int) -> npt.NDArray[np.uint8]:
    """Return the states of at most as many cells as there are slices; the farthest wins.

    >>> merged(np.array([0, 1, 3, 0, 0, 0], np.uint8), 3)
    array([1, 3, 0], dtype=uint8)
    """
    starts = np.arange(n_cells) * len(states) // n_cells
    farthest: npt.NDArray[np.uint8] = np.maximum.reduceat(states, starts)
    return farthest


def _runs(states: npt.NDArray[np.uint8], *, single: bool) -> list[tuple[int, int, SliceState]]:
    """Return first cell, cell after the last, and state of what is drawn in one go."""
    if single:
        return [(i, i + 1, SliceState(s)) for i, s in enumerate(states.tolist())]
    starts = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist()]
    ends = [*starts[1:], len(states)]
    return [(a, b, SliceState(int(states[a]))) for a, b in zip(starts, ends, strict=True)]
