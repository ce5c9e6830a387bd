"""What the window says, heard on a thread of its own while the main thread works."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO

from napari_unetseg.errors import UserError
from napari_unetseg.jobs.commands import (
    Cancel,
    Command,
    Freeze,
    LookAt,
    Painted,
    ReturnTo,
    Shutdown,
    Steering,
    Stop,
    Suggest,
)
from napari_unetseg.jobs.wire import read_command

from .job import Job

#: Seconds that a job has to end once nobody listens any more.
GRACE_S = 2.0

#: Seconds between looks at whether the parent is still there.
_LOOK_EVERY_S = 1.0


class Inbox:
    """Reads commands; hands out jobs and marks the one under way with what was asked of it.

    When the pipe closes or the parent is gone, the job under way is cancelled, and the process
    ends at the latest `GRACE_S` later, whatever the main thread is doing.

    Parameters
    ----------
    pipe : binary file
        Commands, one per line.
    on_malformed : function of (int, UserError)
        Told of lines that are no command, with the number of their job.
    """

    def __init__(self, pipe: IO[bytes], on_malformed: Callable[[int, UserError], None]) -> None:
        self._pipe = pipe
        self._on_malformed = on_malformed
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._latest: Job | None = None
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._watch_parent, daemon=True).start()

    def jobs(self, patience_s: Callable[[], float | None]) -> Iterator[Job]:
        """Yield jobs as they come, until there will be no more.

        Parameters
        ----------
        patience_s : function
            How long to wait for the next one; None: without end.
        """
        with suppress(queue.Empty):
            while (job := self._jobs.get(timeout=patience_s())) is not None:
                yield job

    def _listen(self) -> None:
        try:
            for line in self._pipe:
                number, message = read_command(line)
                if isinstance(message, Shutdown):
                    break
                self._take(number, message)
        finally:
            self._hang_up()

    def _take(self, number: int, message: Command | Steering | UserError) -> None:
        if isinstance(message, UserError):
            self._on_malformed(number, message)
        elif isinstance(message, Command):
            self._latest = Job(number, message)
            self._jobs.put(self._latest)
        elif self._latest is not None and number == self._latest.number:
            _steer(self._latest, message)

    def _hang_up(self) -> None:
        if self._latest is not None:
            self._latest.cancel = True
        self._jobs.put(None)
        time.sleep(GRACE_S)
        os._exit(1)

    def _watch_parent(self) -> None:
        """Notice a dead parent whose end of the pipe lives on in a process that it forked."""
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        self._hang_up()


def _steer(job: Job, message: Steering) -> None:
    match message:
        case LookAt():
            job.looked_at = message
        case Painted():
            job.painted.append(message)
        case Freeze():
            job.frozen = message.on
        case Suggest():
            job.suggest = message.n
        case ReturnTo():
            job.return_to, job.frozen = message.path, True
        case Stop():
            job.stop = True
        case Cancel():
            job.cancel = True
