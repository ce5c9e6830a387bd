"""Answers come when the window gets to them, and never while a question is asked."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from qtpy.QtWidgets import QApplication

from napari_unetseg.widgets.newest import NewestWins

pytestmark = pytest.mark.window


class AtOnce:
    """A thread that has answered before whoever asked goes on."""

    def submit(self, question):
        future: Future[object] = Future()
        future.set_result(question())
        return future


def test_an_answer_that_is_there_at_once_is_told_afterwards(qapp):
    worker, told = NewestWins(), []
    worker._pool = AtOnce()
    worker.answered.connect(told.append)
    worker.ask(lambda: 1)
    assert (worker.busy, told) == (True, [])
    worker.ask(lambda: 2)
    for _ in range(3):
        QApplication.processEvents()
    assert (worker.busy, told) == (False, [1, 2])
