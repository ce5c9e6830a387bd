"""What the steps of the dock have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget
from superqt import QCollapsible

from .context import Context
from .listen import listen

#: The greatest height in Qt, and a share of the room beside which that of a stretch is nothing.
_UNLIMITED, _ALL = 16_777_215, 100


class StepPanel(QWidget):
    """One step: a primary action, the few choices that matter, the rest under *Advanced*.

    Parameters
    ----------
    context : Context
        What the steps share.
    """

    #: On the step's button.
    TITLE: ClassVar[str]
    #: The status sentence while nothing else is to be said.
    HINT: ClassVar[str]

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(4, 4, 4, 4)
        self.column.setSpacing(6)
        self.column.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._sections: list[QCollapsible] = []
        listen(context.viewer.events.theme, self._show_arrows)

    def entered(self) -> None:
        """Bring what is shown up to date; called each time the step comes into view."""

    def primary(
        self,
        text: str,
        tooltip: str,
        slot: Callable[[], object],
        column: QVBoxLayout | None = None,
    ) -> QPushButton:
        """Add the one big button of the step, to its own column unless told another."""
        button = self.button(text, tooltip, slot)
        font = button.font()
        font.setBold(True)
        button.setFont(font)
        button.setMinimumHeight(32)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        (column or self.column).addWidget(button)
        return button

    def button(self, text: str, tooltip: str, slot: Callable[[], object]) -> QPushButton:
        """Make a button, without adding it to the layout."""
        button = QPushButton(text)
        button.setToolTip(tooltip)
        button.setProperty("tooltip_when_enabled", tooltip)
        button.clicked.connect(lambda: slot())
        return button

    def advanced(self, content: QWidget, title: str = "Advanced") -> QCollapsible:
        """Add a folded section."""
        section = QCollapsible(title)
        section.addWidget(content)
        return self._fold(section)

    def instead(self, of: QWidget, content: QWidget, title: str) -> QCollapsible:
        """Add a folded section that takes the place of a widget, and all room, while it is open."""
        section = QCollapsible(title)
        section.setContent(content)
        section.setDuration(0)
        section.layout().setAlignment(Qt.AlignmentFlag(0))

        def show(is_open: bool) -> None:
            of.setVisible(not is_open)
            policy = QSizePolicy.Policy.Expanding if is_open else QSizePolicy.Policy.Maximum
            section.setSizePolicy(QSizePolicy.Policy.Preferred, policy)
            self.column.setStretchFactor(section, _ALL if is_open else 0)
            if is_open:  # the section allows for what was in it when it was opened, and no more
                content.setMaximumHeight(_UNLIMITED)

        section.toggled.connect(show)
        return self._fold(section)

    def _fold(self, section: QCollapsible) -> QCollapsible:
        section.collapse(animate=False)
        self.column.addWidget(section)
        self._sections.append(section)
        self._show_arrows()
        return section

    def _show_arrows(self, *_: object) -> None:
        """Take the arrows of napari's theme; those of superqt are black on black."""
        folder = f"theme_{self.context.viewer.theme}:"
        for section in self._sections:
            section.setCollapsedIcon(QIcon(f"{folder}/right_arrow.svg"))
            section.setExpandedIcon(QIcon(f"{folder}/down_arrow.svg"))

    def enable(self, button: QPushButton, why_not: str | None) -> None:
        """Enable a button, or disable it and say why in its tooltip."""
        button.setEnabled(why_not is None)
        button.setToolTip(why_not or button.property("tooltip_when_enabled"))
