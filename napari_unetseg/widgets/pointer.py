"""A frame around a control of the window: here, please."""

from __future__ import annotations

from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QRegion
from qtpy.QtWidgets import QWidget

_WIDTH_PX = 3
_COLOR = QColor("#ff8a5c")


class Pointer(QWidget):
    """Lies over the window; has a hole where the control is, and lets the mouse through.

    Parameters
    ----------
    window : QWidget
        Its controls can be pointed at.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hide()

    def point_at(self, control: QWidget | None) -> None:
        """Frame what is seen of a control; None, or one out of sight, takes the frame away."""
        seen = None if control is None else self._seen(control)
        if seen is None:
            self.hide()
            return
        around = seen.adjusted(-_WIDTH_PX, -_WIDTH_PX, _WIDTH_PX, _WIDTH_PX)
        around &= self.parentWidget().rect()
        if around != self.geometry() or self.isHidden():
            self.setGeometry(around)
            inside = QRect(QPoint(0, 0), around.size()).adjusted(
                _WIDTH_PX, _WIDTH_PX, -_WIDTH_PX, -_WIDTH_PX
            )
            self.setMask(QRegion(self.rect()) - QRegion(inside))
            self.show()
        self.raise_()

    def _seen(self, control: QWidget) -> QRect | None:
        """Return where a control is in the window, as far as nothing that scrolls hides it."""
        window = self.parentWidget()
        if not control.isVisible() or control.window() is not window:
            return None
        part = control.visibleRegion().boundingRect()
        return None if part.isEmpty() else QRect(control.mapTo(window, part.topLeft()), part.size())

    def paintEvent(self, _: QPaintEvent) -> None:
        """Fill the frame; the hole is masked."""
        QPainter(self).fillRect(self.rect(), _COLOR)
