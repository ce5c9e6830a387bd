"""Files that are written while a person goes on: how far they are, and the way out of it."""

from __future__ import annotations

import time
from threading import Event

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QProgressDialog, QWidget

from napari_unetseg.errors import UserError

from .newest import NewestWins, Question

_CANCELLED = "Saving was cancelled; no unfinished file is left."

#: Steps of the bar, and seconds from one look at how far it is to the next.
_STEPS, _LOOK_S = 1000, 0.02


class Saver:
    """Writes files in a thread. It lives as long as the viewer, whatever becomes of its dock.

    Attributes
    ----------
    answered : Signal(str)
        What was asked for is written; says what and where.
    failed : Signal(str)
        It is not; says why.
    progressed : Signal(float)
        Which part is done, from 0 to 1: while something is written, time and again.
    ended : Signal()
        Nothing is written any more.
    """

    answered = Signal(str)
    failed = Signal(str)
    progressed = Signal(float)
    ended = Signal()

    def __init__(self) -> None:
        self._thread = NewestWins()
        self._thread.answered.connect(self.answered.emit)
        self._thread.failed.connect(self.failed.emit)
        self._cancelled = Event()
        self._done = 0.0
        self._was_busy = False

    @property
    def busy(self) -> bool:
        """Whether something is being written."""
        return self._thread.busy

    def ask(self, question: Question) -> None:
        """Write something; `question` tells `reach` how far it is, and returns the sentence."""
        self._cancelled.clear()
        self._done = 0.0
        self._was_busy = True
        self._thread.ask(question)

    def reach(self, done: float) -> None:
        """Take note, in the thread that writes, which part is done.

        Raises
        ------
        UserError
            If a person has cancelled.
        """
        if self._cancelled.is_set():
            raise UserError(_CANCELLED)
        self._done = max(self._done, done)

    def cancel(self) -> None:
        """Leave what is being written, with the next slice; there is nothing of it then."""
        self._cancelled.set()

    def tell(self) -> None:
        """Say how far it is."""
        if self.busy:
            self.progressed.emit(self._done)
        elif self._was_busy:
            self._was_busy = False
            self.ended.emit()

    def finish(self, window: QWidget) -> None:
        """Return once everything is written, or cancelled; a dialog shows how far it is."""
        if not self.busy:
            return
        dialog = QProgressDialog(
            "The window closes once what is being saved is written.",
            "Do not save",
            0,
            _STEPS,
            window,
        )
        dialog.setWindowTitle("Saving")
        dialog.setWindowModality(Qt.WindowModality.ApplicationModal)
        dialog.setAutoReset(False)
        dialog.setMinimumDuration(0)
        dialog.canceled.connect(self.cancel)
        while self.busy:
            dialog.setValue(round(_STEPS * self._done))
            QApplication.processEvents()
            time.sleep(_LOOK_S)
        dialog.canceled.disconnect()
        dialog.close()
        dialog.deleteLater()
