"""What becomes of a program that another one ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Terminated(KeyboardInterrupt):
    """Another program asked this one to end."""


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM do within the block what Ctrl+C does: no half of a file stays.

    Once it has come it is not heard again, as some send it twice and what is half written has to be
    removed meanwhile.

    Raises
    ------
    Terminated
        If it came.
    """
    here, asked = os.getpid(), False

    def stop(number: int, _frame: Any) -> None:
        nonlocal asked
        if os.getpid() != here:  # in a process forked from this one, it ends as it always did
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if not asked:
            asked = True
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if asked:
            raise Terminated from interrupt
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
