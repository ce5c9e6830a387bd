"""The tour at the top of the dock: offered to who is new, then one step after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_unetseg.project import is_first_run, remember_answer

from .context import Context
from .listen import listen
from .pointer import Pointer
from .shortcuts_page import shortcuts_page
from .tour import STEPS, Tour

if TYPE_CHECKING:
    from .dock import SegmentationDock

#: How often the frame follows its control, which may scroll, move or be hidden.
_FOLLOW_MS = 100

_OFFER = "New here? A tour of five minutes on a sample ends with a model of your own."
_OPENING = "The sample is being made."
_REFUSED = "The tour is under Tour at the bottom whenever you like."
_LEFT = "The tour is under Tour at the bottom whenever you like; it goes on where it was left."


class TourBar(QWidget):
    """The sentence of the step at hand, a way out of it, and a frame around what to use.

    Hidden while nobody is on the tour and it is not offered.

    Parameters
    ----------
    context : Context
    dock : SegmentationDock
        With the controls that are pointed at.
    """

    def __init__(self, context: Context, dock: SegmentationDock) -> None:
        super().__init__()
        self._context = context
        self._dock = dock
        self._offered = is_first_run(context.workspace.session)
        self.tour = Tour(context, self)
        self._build()
        window = context.viewer.window._qt_window  # noqa: SLF001 - napari names its window nowhere
        self.pointer = Pointer(window)
        self.destroyed.connect(self.pointer.deleteLater)
        self._leaves = QShortcut(QKeySequence(Qt.Key.Key_Escape), window)
        self._leaves.activated.connect(self.leave)
        self._leaves.setEnabled(False)
        self.destroyed.connect(self._leaves.deleteLater)
        self._following = QTimer(self)
        self._following.setInterval(_FOLLOW_MS)
        self._following.timeout.connect(self.tour.look_at_hand)
        self._following.timeout.connect(self._follow)
        self.tour.changed.connect(self._show)
        listen(context.workspace.images_changed, self._on_images_changed)
        self._show()

    def _build(self) -> None:
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.number = QLabel()
        self.take = QPushButton("Take the tour")
        self.take.clicked.connect(self.start)
        self.out = QPushButton()
        self.out.clicked.connect(self.leave)
        row = QHBoxLayout()
        row.addWidget(self.number)
        row.addStretch(1)
        row.addWidget(self.take)
        row.addWidget(self.out)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 2, 4, 2)
        column.setSpacing(2)
        column.addWidget(self.text)
        column.addLayout(row)

    def start(self) -> None:
        """Begin, or go on where it was left."""
        self._answer()
        self.tour.start()
        self._show()

    def leave(self) -> None:
        """Give Esc and the room back; nothing else is changed."""
        done, begun = self.tour.step is STEPS[-1], self.tour.is_on
        self._answer()
        self.tour.leave()
        if not done:
            self._context.say(_LEFT if begun else _REFUSED)

    def _answer(self) -> None:
        self._offered = False
        remember_answer(self._context.workspace.session)

    def _on_images_changed(self) -> None:
        """Who works on an image already needs no offer, until the next start."""
        self._offered = False
        self._show()

    def _show(self) -> None:
        step, on = self.tour.step, self.tour.is_on
        self.setVisible(on or self._offered)
        self.text.setText(_OFFER if not on else _OPENING if step is None else step.text)
        self.number.setText(f"Step {self.tour.number} of {len(STEPS)}" if step else "")
        self.take.setVisible(not on)
        self.out.setText(_out(on, step is STEPS[-1]))
        self.out.setToolTip("The sample stays open, with what is painted (Esc)." if on else "")
        if on:
            self._following.start()
        else:
            self._following.stop()
        self._follow()

    def _follow(self) -> None:
        """Keep the frame where the control is, and Esc to who needs it more."""
        step = self.tour.step
        at = None if step is None else step.at
        self.pointer.point_at(at(self._dock) if at and self._dock.isVisible() else None)
        self._leaves.setEnabled(self.tour.is_on and not self._is_esc_taken())

    def _is_esc_taken(self) -> bool:
        """Tell whether Esc closes the page of keys, puts a tool down or gives a polygon up."""
        active = self._context.viewer.layers.selection.active
        return (
            shortcuts_page(self._context).isVisible()
            or bool(self._context.proofreader.tool)
            or str(getattr(active, "mode", "")) == "polygon"
        )


def _out(on: bool, done: bool) -> str:
    return ("Done" if done else "Leave the tour") if on else "No, thanks"
