"""Grey values of a slice as a histogram, and thresholds in it as lines that can be dragged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_unetseg.config import PALETTE

_HEIGHT_PX = 84

#: How near to a line the mouse takes hold of it, in px.
_REACH_PX = 8

_LINE = QColor(PALETTE[5])

#: Grey values and names are written in letters of this size, in px.
_LETTERS_PX = 10

#: Of more lines than that, only the one that is held says where it stands.
_MOST_SAID = 2


class Histogram(QWidget):
    """Drawn by itself, so that it needs no library; counts are drawn as their square roots.

    Attributes
    ----------
    moved : Signal(int, float)
        Somebody drags a line: which one, and the grey value it stands at.
    """

    moved = Signal(int, float)

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT_PX)
        self.setMouseTracking(True)
        self.levels: tuple[float, ...] = ()
        self._names: tuple[str, ...] = ()
        self._heights: npt.NDArray[np.float64] = np.zeros(1)
        self._low, self._high = 0.0, 1.0
        self._can_be_dragged = False
        self._held: int | None = None

    def sizeHint(self) -> QSize:
        """As wide as the dock allows."""
        return QSize(200, _HEIGHT_PX)

    def show_values(
        self,
        counts: npt.NDArray[np.int64],
        span: tuple[float, float],
        levels: Sequence[float],
        names: Sequence[str] = (),
        *,
        can_be_dragged: bool,
    ) -> None:
        """Show a histogram.

        Parameters
        ----------
        counts : ndarray, shape (n,)
            Pixels in n bins of equal width.
        span : tuple of float
            The lowest and the highest grey value.
        levels : sequence of float
            Grey values at which lines stand.
        names : sequence of str
            What is written beside each; its grey value alone if empty.
        can_be_dragged : bool
            Whether a person may move them; else they are drawn thin.
        """
        # The fullest bin is often padding or saturated: it would flatten all others.
        top = float(np.partition(counts, -2)[-2]) if len(counts) > 1 else 1.0
        self._heights = np.sqrt(np.minimum(counts / max(top, 1.0), 1.0))
        self._low, self._high = span
        self._can_be_dragged = can_be_dragged
        self.setToolTip(
            "Grey values of the slice in view. Drag a line to set the threshold."
            if can_be_dragged
            else "Grey values of the slice in view, and the threshold that was found."
        )
        if self._held is None:
            self.levels = tuple(level for level in levels if np.isfinite(level))
        self._names = tuple(names) if len(names) == len(self.levels) else ()
        self.update()

    def said_of(self, line: int) -> str:
        """Return what is written beside a line."""
        if len(self.levels) > _MOST_SAID and self._held != line:
            return ""
        named = f"{self._names[line]} · " if self._names else ""
        return named + written(self.levels[line])

    def x_of(self, level: float) -> float:
        """Return where a grey value lies, in px from the left."""
        span = self._high - self._low
        return self.width() * (level - self._low) / span if span else 0.0

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the histogram, its lines, and what they say."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPixelSize(_LETTERS_PX)
        painter.setFont(font)
        self._draw_counts(painter)
        for line in range(len(self.levels)):
            self._draw_line(painter, line)
        ends = QRectF(0, self._foot(), self.width(), self.height() - self._foot())
        painter.setPen(self.palette().windowText().color())
        painter.drawText(ends, Qt.AlignmentFlag.AlignLeft, written(self._low))
        painter.drawText(ends, Qt.AlignmentFlag.AlignRight, written(self._high))
        painter.end()

    def _foot(self) -> int:
        """Return where the counts stand, and the grey values at the ends begin, in px."""
        return int(self.height()) - _LETTERS_PX - 4

    def _draw_counts(self, painter: QPainter) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        fill = self.palette().windowText().color()
        fill.setAlphaF(0.55)
        painter.setBrush(fill)
        width, foot, n = self.width(), self._foot(), len(self._heights)
        outline = [QPointF(0, foot)]
        for i, share in enumerate(self._heights):
            y = foot - share * (foot - 4)
            outline += [QPointF(i * width / n, y), QPointF((i + 1) * width / n, y)]
        painter.drawPolygon(QPolygonF([*outline, QPointF(width, foot)]))

    def _draw_line(self, painter: QPainter, line: int) -> None:
        thick = 3.0 if self._held == line else 2.0 if self._can_be_dragged else 1.0
        painter.setPen(QPen(_LINE, thick))
        x = min(max(self.x_of(self.levels[line]), 1.0), self.width() - 1.0)
        painter.drawLine(QPointF(x, 0), QPointF(x, self._foot()))
        if self._can_be_dragged:
            painter.fillRect(QRectF(x - 4, 0, 8, 8), _LINE)
        self._write_beside(painter, x, line)

    def _write_beside(self, painter: QPainter, x: float, line: int) -> None:
        """Write what a line says, on a row of its own, on its right where there is room."""
        said = self.said_of(line)
        if not said:
            return
        length = painter.fontMetrics().horizontalAdvance(said) + 4
        left = x + 6 if x + 6 + length <= self.width() else max(0.0, x - 6 - length)
        row = QRectF(left, line * (_LETTERS_PX + 5), length, _LETTERS_PX + 4)
        behind = self.palette().window().color()
        behind.setAlphaF(0.75)
        painter.fillRect(row, behind)
        painter.setPen(self.palette().windowText().color())
        painter.drawText(row, Qt.AlignmentFlag.AlignCenter, said)

    # ----------------------------------------------------------------- mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of the nearest line; a click elsewhere brings the only line there."""
        if event.button() is not Qt.MouseButton.LeftButton or not self._can_be_dragged:
            return
        x = event.position().x()
        self._held = self._line_at(x)
        if self._held is None and len(self.levels) == 1:
            self._held = 0
        self._drag_to(x)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag the line that is held, or show that one can be."""
        x = event.position().x()
        if self._held is not None:
            self._drag_to(x)
        can = self._can_be_dragged and self._line_at(x) is not None
        self.setCursor(Qt.CursorShape.SplitHCursor if can else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._held = None
        self.update()

    def _line_at(self, x: float) -> int | None:
        distances = [abs(self.x_of(level) - x) for level in self.levels]
        nearest = int(np.argmin(distances)) if distances else None
        return nearest if nearest is not None and distances[nearest] <= _REACH_PX else None

    def _drag_to(self, x: float) -> None:
        if self._held is None:
            return
        share = min(max(x / max(self.width(), 1), 0.0), 1.0)
        level = self._low + share * (self._high - self._low)
        levels = list(self.levels)
        levels[self._held] = level
        # Lines do not pass each other.
        below, above = levels[: self._held], levels[self._held + 1 :]
        level = min(max([level, *below[-1:]]), *above[:1]) if above else max([level, *below[-1:]])
        levels[self._held] = level
        self.levels = tuple(levels)
        self.update()
        self.moved.emit(self._held, level)


def written(grey_value: float) -> str:
    """Write a grey value with as many digits as a person reads.

    >>> written(0.0), written(117.25), written(41873.4), written(0.01234)
    ('0', '117.2', '41,873', '0.01234')
    """
    return f"{grey_value:,.0f}" if abs(grey_value) >= 1000 else f"{grey_value:.4g}"
