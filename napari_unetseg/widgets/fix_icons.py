"""Pictures of the tools for proofreading, drawn in the colour of the theme."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QBrush, QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

#: Drawn on a square of so many px, twice as fine for screens that can show it.
_SIDE = 18
_FINE = 2


def fix_icon(tool: str, color: str) -> QIcon:
    """Return the picture of a tool; see `shortcuts.SHORTCUTS` for their names."""
    pixmap = QPixmap(_SIDE * _FINE, _SIDE * _FINE)
    pixmap.setDevicePixelRatio(_FINE)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(color), 1.5))
    _DRAWN[tool](painter, QBrush(QColor(color)))
    painter.end()
    return QIcon(pixmap)


def _points(*coordinates: tuple[float, float]) -> QPolygonF:
    return QPolygonF([QPointF(x, y) for x, y in coordinates])


def _line(painter: QPainter, x: float, y: float, to_x: float, to_y: float) -> None:
    painter.drawLine(QPointF(x, y), QPointF(to_x, to_y))


def _superpixel(painter: QPainter, full: QBrush) -> None:
    """Draw areas that meet, one of them full."""
    painter.setBrush(full)
    painter.drawPolygon(_points((2, 2), (9, 2), (11, 8), (6, 11), (2, 8)))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPolygon(_points((9, 2), (16, 2), (16, 10), (11, 8)))
    painter.drawPolyline(_points((2, 8), (2, 16), (16, 16), (16, 10)))
    _line(painter, 6, 11, 8, 16)


def _grow(painter: QPainter, full: QBrush) -> None:
    """Draw a drop in the area that it spreads over."""
    painter.setBrush(full)
    painter.drawEllipse(QPointF(9, 9), 2, 2)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(painter.pen().color(), 1.5, Qt.PenStyle.DotLine))
    painter.drawEllipse(QPointF(9, 9), 4.5, 4.5)
    painter.setPen(QPen(painter.pen().color(), 1.5))
    painter.drawEllipse(QPointF(9, 9), 7.5, 7.5)


def _smooth(painter: QPainter, full: QBrush) -> None:
    """Draw a jagged line that goes over into a curve."""
    painter.drawPolyline(_points((1, 12), (3, 7), (5, 12), (7, 7), (9, 12)))
    curve = QPainterPath(QPointF(9, 12))
    curve.cubicTo(11, 4, 14, 4, 17, 11)
    painter.drawPath(curve)


def _holes(painter: QPainter, full: QBrush) -> None:
    """Draw a ring, half filled."""
    painter.drawEllipse(QPointF(9, 9), 7, 7)
    painter.drawEllipse(QPointF(9, 9), 3.5, 3.5)
    painter.setBrush(full)
    painter.drawPie(QRectF(5.5, 5.5, 7, 7), 0, 360 * 8)


def _delete(painter: QPainter, full: QBrush) -> None:
    """Draw a piece, crossed out."""
    painter.drawEllipse(QPointF(9, 9), 7.2, 7.2)
    _line(painter, 6, 6, 12, 12)
    _line(painter, 6, 12, 12, 6)


def _split(painter: QPainter, full: QBrush) -> None:
    """Draw two halves beside a line."""
    painter.setBrush(full)
    painter.drawPie(QRectF(1, 3, 12, 12), 90 * 16, 180 * 16)
    painter.drawPie(QRectF(5, 3, 12, 12), -90 * 16, 180 * 16)
    painter.setPen(QPen(painter.pen().color(), 1, Qt.PenStyle.DashLine))
    _line(painter, 9, 0, 9, 18)


def _join(painter: QPainter, full: QBrush) -> None:
    """Draw two pieces and a bridge."""
    painter.setBrush(full)
    painter.drawEllipse(QPointF(4, 9), 3, 4)
    painter.drawEllipse(QPointF(14, 9), 3, 4)
    painter.setPen(QPen(painter.pen().color(), 2.5))
    _line(painter, 6, 9, 12, 9)


_DRAWN: dict[str, Callable[[QPainter, QBrush], None]] = {
    "superpixel": _superpixel,
    "grow": _grow,
    "smooth": _smooth,
    "holes": _holes,
    "delete": _delete,
    "split": _split,
    "join": _join,
}
