"""A line across the image that the mouse moves to the side."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

#: Wide enough to be caught by the mouse; the line in its middle is narrower.
_WIDTH_PX = 15
_LINE_PX = 3
_KNOB_PX = 11


class SwipeLine(QWidget):
    """Lies over the canvas, from top to bottom, and stays where it is when the image moves.

    Parameters
    ----------
    canvas : QWidget

    Attributes
    ----------
    moved : Signal()
        `at` is another.
    at : float
        From 0, the left side of the canvas, to 1.
    """

    moved = Signal()

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.at = 0.5
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.setToolTip("Drag: on the left is the first, on the right the second.")
        self.hide()
        canvas.installEventFilter(self)
        self._place()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Catch the line."""
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move it along."""
        canvas = self.parentWidget()
        assert canvas is not None
        x = self.mapToParent(event.pos()).x()
        self.at = min(max(x / max(1, canvas.width()), 0.0), 1.0)
        self._place()
        self.moved.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep to the canvas."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw a white line with dark sides, to be seen on anything."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = self.width() // 2
        painter.fillRect(middle - _LINE_PX, 0, 2 * _LINE_PX, self.height(), QColor(0, 0, 0, 90))
        painter.fillRect(middle - _LINE_PX // 2, 0, _LINE_PX, self.height(), QColor("white"))
        painter.setBrush(QColor("white"))
        painter.setPen(QColor(0, 0, 0, 160))
        painter.drawEllipse(
            middle - _KNOB_PX // 2, (self.height() - _KNOB_PX) // 2, _KNOB_PX, _KNOB_PX
        )

    def _place(self) -> None:
        canvas = self.parentWidget()
        assert canvas is not None
        x = round(self.at * canvas.width()) - _WIDTH_PX // 2
        self.setGeometry(x, 0, _WIDTH_PX, canvas.height())
