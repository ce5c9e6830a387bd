"""A small arrow that shows and hides what is seldom needed."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QToolButton, QWidget


class Fold(QToolButton):
    """A button with an arrow; what it unfolds is hidden at first.

    Parameters
    ----------
    text, tooltip : str
    widgets : sequence of QWidget
        What is shown while it is unfolded.
    """

    def __init__(self, text: str, tooltip: str, widgets: Sequence[QWidget]) -> None:
        super().__init__()
        self._widgets = widgets
        self.setText(text)
        self.setToolTip(tooltip)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setAutoRaise(True)
        self.setCheckable(True)
        self.toggled.connect(self._unfold)
        self._unfold(False)

    def _unfold(self, on: bool) -> None:
        self.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        for widget in self._widgets:
            widget.setVisible(on)
