"""Search the settings of a method, off the window's thread, and stop when told to."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QPushButton

from napari_unetseg.classical import Chain
from napari_unetseg.workspace import ImageEntry
from napari_unetseg.workspace.baseline_fits import SearchTime, fit_chain

from .newest import NewestWins

_WHAT = "Search the settings of the method that agree best with what you painted."
_TICK_MS = 200


class FitButton(QPushButton):
    """Begins a search; pressed again, ends it with the best settings so far.

    Attributes
    ----------
    pressed_to_fit : Signal()
        A person wants settings to be searched: call `search`.
    fitted : Signal(object)
        A `FittedBaseline`.
    failed : Signal(str)
        Why there is none.
    """

    pressed_to_fit = Signal()
    fitted = Signal(object)
    failed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("tooltip_when_enabled", _WHAT)
        self._time = SearchTime()
        self._worker = NewestWins()
        # In this order: who hears of the end asks whether it is busy, and what it says of itself.
        for ended, told in (
            (self._worker.answered, self.fitted),
            (self._worker.failed, self.failed),
        ):
            ended.connect(self._show)
            ended.connect(told)
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._show)
        self.clicked.connect(self._on_clicked)
        self._show()

    @property
    def busy(self) -> bool:
        """Whether settings are being searched."""
        return self._worker.busy

    def search(self, chain: Chain, entries: Sequence[ImageEntry]) -> None:
        """Search the settings of the chain's method."""
        time = self._time = SearchTime()
        self._worker.ask(lambda: fit_chain(chain, entries, spent=time.spent))
        self._timer.start()
        self._show()

    def stop(self) -> None:
        """End the search soon."""
        self._time.is_over = True

    def hideEvent(self, event: QHideEvent) -> None:
        """End the search: nobody sees it, and a window that is closed would wait for it."""
        super().hideEvent(event)
        if not event.spontaneous():
            self.stop()

    def _on_clicked(self) -> None:
        if self.busy:
            self.stop()
        else:
            self.pressed_to_fit.emit()

    def _show(self, *_: object) -> None:
        if not self.busy:
            self._timer.stop()
        text = "Fit to my annotations"
        if self.busy:
            text = f"Stop ({self._time.elapsed_s:.0f} of {self._time.longest_s:.0f} s)"
        self.setText(text)
        self.setProperty(
            "tooltip_when_enabled",
            "Stop, and take the best settings that were found so far." if self.busy else _WHAT,
        )
