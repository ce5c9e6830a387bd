"""``python -m napari_unetseg.jobs.child``: commands on stdin, events on stdout."""

from __future__ import annotations

import os
import threading
from typing import IO

from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, Finished, FinishReason
from napari_unetseg.jobs.commands import BaselineCommand, PredictCommand, PredictFilesCommand
from napari_unetseg.jobs.wire import write_event

from .failures import describe_failure
from .inbox import Inbox
from .job import Cancelled, Job
from .library import NetworkLibrary
from .surroundings import settle_down, take_over_pipes


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
        self._models: object = None
        self._inbox = Inbox(commands, self._report_malformed)
        self._library = NetworkLibrary()

    def run(self) -> None:
        """Work until the window hangs up."""
        for job in self._inbox.jobs():
            self._send(job.number, self._finish(job))
            self._library.free_memory()

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

        command = job.command
        self._library.settle(job, emit)
        if isinstance(command, BaselineCommand):
            from .baseline import run_baseline

            return run_baseline(command, job, emit)
        self._library.require()
        from .prediction import LastModel, run_predict, run_predict_files
        from .training import run_training

        if not isinstance(self._models, LastModel):
            self._models = LastModel()
        match command:
            case PredictCommand():
                return run_predict(command, job, emit, self._models)
            case PredictFilesCommand():
                return run_predict_files(command, job, emit, self._models)
            case _:
                return run_training(command, job, emit, self._models)

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
    Child(commands, events).run()
    # Not `sys.exit`: torch may still be loading on its thread, and nothing is left to save.
    os._exit(0)


if __name__ == "__main__":
    main()
