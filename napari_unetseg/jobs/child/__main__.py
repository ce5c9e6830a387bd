"""``python -m napari_unetseg.jobs.child``: commands on stdin, events on stdout."""

from __future__ import annotations

import os
import signal
import threading
from typing import IO, TYPE_CHECKING

from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, Finished, FinishReason
from napari_unetseg.jobs.commands import BaselineCommand
from napari_unetseg.jobs.wire import write_event
from napari_unetseg.termination import Terminated, terminated_like_interrupted

from .failures import describe_failure
from .inbox import Inbox
from .job import Cancelled, Job
from .library import NetworkLibrary
from .surroundings import give_way, settle_down, take_over_pipes

if TYPE_CHECKING:
    from .network import NetworkJobs

#: Seconds without a job after which a process that has used a graphics card ends. Hundreds of MB
#: there are given back only then; the window starts another child, which holds none.
RETIRE_AFTER_S = 60.0


class Child:
    """Runs one job after the other and reports on each.

    Parameters
    ----------
    commands, events : binary file
        Where commands come from, where events go.
    """

    def __init__(self, commands: IO[bytes], events: IO[bytes]) -> None:
        self._events = events
        self._lock = threading.Lock()
        self._network_jobs: NetworkJobs | None = None
        self._inbox = Inbox(commands, self._report_malformed)
        self._library = NetworkLibrary()

    def run(self) -> None:
        """Work until the window hangs up."""
        for job in self._inbox.jobs(self._patience_s):
            self._send(job.number, self._finish(job))
            self._library.free_memory()

    def _patience_s(self) -> float | None:
        return RETIRE_AFTER_S if self._library.holds_accelerator() else None

    def _finish(self, job: Job) -> Finished:
        try:
            return self._work(job)
        except Cancelled:
            return Finished(FinishReason.CANCELLED, "Cancelled.")
        except Exception as error:  # noqa: BLE001 - nothing lies above: it is told
            return describe_failure(error)

    def _work(self, job: Job) -> Finished:
        def emit(event: Event) -> None:
            self._send(job.number, event)

        self._library.settle(job, emit)
        give_way()  # not before: somebody may be waiting for the library
        if isinstance(job.command, BaselineCommand):
            from .baseline import run_baseline

            return run_baseline(job.command, job, emit)
        self._library.require()
        from napari_unetseg.learning.cores import FREE_CORES

        from .network import NetworkJobs

        if self._network_jobs is None:
            self._network_jobs = NetworkJobs()
        FREE_CORES.follow()

        def emit_and_follow(event: Event) -> None:
            self._send(job.number, event)
            FREE_CORES.follow()  # in trainings by steps too: the window comes first

        return self._network_jobs.run(job.command, job, emit_and_follow)

    def _report_malformed(self, number: int, error: UserError) -> None:
        self._send(number, Finished(FinishReason.FAILED, str(error)))

    def _send(self, number: int, event: Event) -> None:
        with self._lock:
            self._events.write(write_event(number, event))
            self._events.flush()


def main() -> None:
    """Take commands from stdin until it closes."""
    commands, events = take_over_pipes()
    settle_down()
    try:
        with terminated_like_interrupted():
            Child(commands, events).run()
    except Terminated:  # the window is told by what
        os.kill(os.getpid(), signal.SIGTERM)
    # Not `sys.exit`: torch may still be loading on its thread, and nothing is left to save.
    os._exit(0)


if __name__ == "__main__":
    main()
