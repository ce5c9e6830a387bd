"""What is going on, how far it is, and the way out of it: always at the bottom of the dock."""

from __future__ import annotations

import time

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_unetseg.jobs import JobState

from .context import Context
from .listen import listen
from .shortcuts import PAGE
from .shortcuts_page import shortcuts_page

#: What is said to a person stays for so long at least, whatever a training remarks.
READ_S = 6.0


class StatusLine(QWidget):
    """What was said last and what to do next; progress, *Cancel*, the tour, *?* for all keys.

    Parameters
    ----------
    context : Context
    next_line : QLabel
        Says what to do next.
    """

    def __init__(self, context: Context, next_line: QLabel) -> None:
        super().__init__()
        self._context = context
        self.next = next_line
        self._said_at = -READ_S
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setMinimumWidth(1)  # a path cannot be wrapped; the tooltip has it whole
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self._on_cancel)
        self.keys = QPushButton(PAGE.key)
        self.keys.setToolTip(f"{PAGE.sentence} ({PAGE.key})")
        self.keys.setFixedWidth(26)
        self.keys.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.keys.clicked.connect(shortcuts_page(context).toggle)
        self.tour = QPushButton("Tour")
        self.tour.setToolTip("Five minutes on a sample, from the first stroke to a model.")
        self.tour.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel)
        row.addWidget(self.tour)
        row.addWidget(self.keys)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._build_said())
        column.addLayout(row)
        listen(context.said, self.say)
        listen(context.taken_back, self.take_back)
        listen(context.controller.status, self.say)
        listen(context.controller.remarked, self.remark)
        listen(context.controller.progressed, self.show_progress)
        listen(context.controller.state_changed, self.show_state)
        listen(context.saver.progressed, self._on_saving)
        listen(context.saver.ended, self._on_saved)
        self.show_state(context.controller.state)

    def _build_said(self) -> QWidget:
        said = QWidget()
        column = QVBoxLayout(said)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.sentence)
        column.addWidget(self.next)
        column.addStretch(1)
        # Four lines always have room, so that nothing jumps when a sentence is long.
        said.setMinimumHeight(4 * self.sentence.fontMetrics().lineSpacing() + 2)
        return said

    def say(self, sentence: str) -> None:
        """Show a sentence."""
        self._said_at = time.monotonic()
        self._show(sentence)

    def remark(self, sentence: str) -> None:
        """Show a sentence unless the last one has hardly been read."""
        if time.monotonic() - self._said_at > READ_S:
            self._show(sentence)

    def _show(self, sentence: str) -> None:
        self.sentence.setText(sentence)
        self.sentence.setToolTip(sentence)
        self.sentence.setVisible(bool(sentence))

    def take_back(self, sentence: str) -> None:
        """Take back a sentence if it is still the last one."""
        if self.sentence.text() == sentence:
            self.say("")

    def forget(self) -> None:
        """Take back what was said of another step, unless something is running and has the word."""
        if self._context.controller.state is JobState.IDLE:
            self.say("")

    def show_progress(self, fraction: float | None, seconds_left: float | None) -> None:
        """Move the bar; without a fraction it shows that something is going on."""
        self.bar.setRange(0, 0 if fraction is None else 1000)
        if fraction is not None:
            self.bar.setValue(round(1000 * fraction))
        self.bar.setFormat(_time_left(seconds_left) if seconds_left is not None else "%p %")

    def _on_saving(self, fraction: float) -> None:
        """Show how far what is being saved is, unless something is running: that has the bar."""
        if self._context.controller.state is JobState.IDLE:
            self.show_progress(fraction, None)
            self.cancel.setEnabled(True)
            self.cancel.setToolTip("Do not save; the window goes on.")

    def _on_saved(self) -> None:
        self.show_state(self._context.controller.state)

    def _on_cancel(self) -> None:
        """End what is running, or else what is being saved."""
        if self._context.controller.state is JobState.IDLE:
            self._context.saver.cancel()
        else:
            self._context.controller.cancel()

    def show_state(self, state: JobState) -> None:
        """Enable *Cancel* while there is something to cancel."""
        running = state in (JobState.PREPARING, JobState.RUNNING)
        self.cancel.setEnabled(running)
        self.cancel.setToolTip(
            "End what is running; annotations stay, and so does the model from before."
            if running
            else "Nothing is running."
        )
        if state is JobState.IDLE:
            self.show_progress(0.0, None)
            self.bar.setFormat("")


def _time_left(seconds: float) -> str:
    """Write a duration as a person would say it.

    >>> _time_left(75), _time_left(8)
    ('1 min 15 s left', '8 s left')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s left" if minutes else f"{rest} s left"
