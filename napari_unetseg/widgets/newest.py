"""Work off the window's thread, where only the newest question matters."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

from qtpy.QtCore import QObject, Qt, Signal

from napari_unetseg.errors import UserError

Question: TypeAlias = Callable[[], object]


class NewestWins(QObject):
    """Answers questions in one thread; of those that wait, only the newest is asked.

    Has no Qt parent on purpose: a running question keeps it alive, so an answer that comes after
    its panel is gone finds nobody and does no harm.

    Attributes
    ----------
    answered : Signal(object)
        What the question returned; emitted in the window's thread.
    failed : Signal(str)
        The sentence of a `UserError`. Any other exception is raised in the window's thread.
    """

    answered = Signal(object)
    failed = Signal(str)
    _done = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="napari-unetseg")
        self._running: Future[object] | None = None
        self._waiting: Question | None = None
        # Never at once: an answer may be there before whoever asks has noted what is wanted.
        self._done.connect(self._on_done, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._running is not None

    def ask(self, question: Question) -> None:
        """Answer a question next, instead of those that wait."""
        self._waiting = question
        if self._running is None:
            self._start()

    def forget(self) -> None:
        """Do not answer what waits, nor tell what comes of the question under way."""
        self._waiting = None
        self._running = None

    def _start(self) -> None:
        question, self._waiting = self._waiting, None
        if question is not None:
            self._running = self._pool.submit(question)
            self._running.add_done_callback(lambda future: self._done.emit(future))

    def _on_done(self, future: Future[Any]) -> None:
        wanted = future is self._running
        if wanted or self._running is None:
            self._running = None
            self._start()
        if not wanted:
            return
        try:
            answer = future.result()
        except UserError as error:
            self.failed.emit(str(error))
        else:
            self.answered.emit(answer)
