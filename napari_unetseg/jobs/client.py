"""The window's side of a job: submit, steer, poll."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from napari_unetseg.events import Event, Finished, FinishReason, Preparing, Warned

from .commands import (
    BaselineCommand,
    Cancel,
    Command,
    CompareCommand,
    Freeze,
    LiveCommand,
    LookAt,
    Painted,
    PredictCommand,
    PredictFilesCommand,
    PreviewModelsCommand,
    ReturnTo,
    Shutdown,
    Steering,
    Stop,
    Suggest,
    SuggestCommand,
    TrainCommand,
)
from .process import ChildProcess, Exited, describe_exit
from .wire import NO_JOB, read_event, write_command

#: Seconds that a job has to end by itself after `Worker.cancel`.
GRACE_S = 3.0

_AGAIN: dict[type[Command], str] = {
    TrainCommand: "press Train to start again",
    LiveCommand: "switch Live on again",
    PredictCommand: "start the segmentation again",
    PredictFilesCommand: "start again; the files written so far are complete",
    BaselineCommand: "apply the method again",
    SuggestCommand: "press Suggest again",
    CompareCommand: "compare again",
    PreviewModelsCommand: "look at another slice to see the models again",
}


class JobState(StrEnum):
    """What a `Worker` is doing."""

    IDLE = "idle"
    PREPARING = "preparing"
    RUNNING = "running"
    CANCELLING = "cancelling"


class Worker:
    """A child process for jobs, one at a time.

    ::

                submit()              first result            Finished
        IDLE ────────────► PREPARING ─────────────► RUNNING ───────────► IDLE
                               │                       │                   ▲
                               └───────┬───────────────┘                   │
                              cancel() ▼                     Finished,     │
                                   CANCELLING ─────────────────────────────┘
                                        or the child is killed after `grace_s`

    Whatever happens to the child, every job ends with exactly one `Finished`, and the next
    `submit` works: it starts a new child where the last one is gone. No method waits for the
    child but `close`, which takes about a second at most. Call everything from one thread.

    A child that has used a graphics card ends by itself after some time without a job, as only that
    gives the card back, and is replaced at the next `poll`.

    The child ends when this object is closed or collected, when the interpreter exits and, because
    its pipe closes then, when this process is killed.

    Parameters
    ----------
    command : sequence of str, optional
        What to run as the child.
    grace_s : float
        How long a cancelled job may take to end by itself before its process is killed.
    """

    def __init__(self, command: Sequence[str] | None = None, *, grace_s: float = GRACE_S) -> None:
        self._command = command
        self._grace_s = grace_s
        self._child: ChildProcess | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._state = JobState.IDLE
        self._job = NO_JOB
        self._kind: type[Command] = TrainCommand
        self._unheard: Command | None = None
        self._heard = False
        self._looked_at: LookAt | None = None
        self._kill_at = 0.0
        self._waiting: list[Event] = []
        self._last_stderr = ""

    @property
    def state(self) -> JobState:
        """What is going on; changes in `submit`, `cancel` and `poll`."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Process id of the child; None where none runs."""
        return self._child.pid if self._child is not None and self._child.is_running else None

    def start(self) -> None:
        """Start the child, so that it has loaded its libraries when the first job comes.

        Returns at once. Without effect where the child runs already, or cannot be started:
        `submit` tries again and tells.
        """
        try:
            self._ensure_child()
        except OSError as error:
            self._last_stderr = str(error)

    def submit(self, command: Command) -> int:
        """Begin a job; its events come from `poll`.

        Returns
        -------
        int
            The job's number.

        Raises
        ------
        RuntimeError
            If a job is under way.
        """
        if self._state is not JobState.IDLE:
            raise RuntimeError(f"a job is {self._state}; wait for its Finished")
        self._job += 1
        self._kind, self._unheard = type(command), command
        self._state = JobState.PREPARING
        self._send(command)
        return self._job

    def look_at(self, image: str, plane: int, box: list[int] | None = None) -> None:
        """Say which slice is in view; it is remembered for jobs to come.

        Parameters
        ----------
        box : list of int, optional
            What is in sight of it: see `LookAt`.
        """
        self._looked_at = LookAt(image, plane, box)
        self._steer(self._looked_at)

    def painted(self, change: Painted) -> None:
        """Say which annotations have changed; without effect unless training follows them."""
        self._steer(change)

    def freeze(self, on: bool) -> None:
        """Let training that follows a person pause, or go on."""
        self._steer(Freeze(on))

    def suggest(self, n: int) -> None:
        """Ask training that follows a person where painting is worth most next."""
        self._steer(Suggest(n))

    def return_to(self, checkpoint: str) -> None:
        """Let training that follows a person take the weights of a checkpoint, and pause."""
        self._steer(ReturnTo(checkpoint))

    def stop(self) -> None:
        """End training, or a comparison, and keep what there is; nothing else heeds it."""
        self._steer(Stop())

    def cancel(self) -> None:
        """End the job: by itself within the grace, otherwise by killing its process.

        `poll` has to be called on for either to happen.
        """
        if self._state in (JobState.PREPARING, JobState.RUNNING):
            self._state = JobState.CANCELLING
            self._kill_at = time.monotonic() + self._grace_s
            self._steer(Cancel())

    def poll(self) -> list[Event]:
        """Return what has happened since the last call; never waits."""
        received: list[bytes | Exited] = [] if self._child is None else self._child.received()
        items, self._waiting = [*self._waiting, *received], []
        events = []
        for item in items:
            event = self._understand(item)
            if event is not None:
                self._follow(event)
                events.append(event)
        if self._state is JobState.CANCELLING and time.monotonic() > self._kill_at:
            self._abandon()
            self._state = JobState.IDLE
            events.append(Finished(FinishReason.CANCELLED, "Cancelled."))
        return events

    def stderr_tail(self) -> str:
        """Return the last lines that the child, or the one before it, wrote to stderr."""
        return self._child.stderr() if self._child is not None else self._last_stderr

    def close(self) -> None:
        """End the child: ask, then insist. A job under way ends without a `Finished`."""
        if self._finalizer is not None:
            self._finalizer()
        self._child = self._finalizer = None
        self._waiting = []
        self._state = JobState.IDLE

    def _send(self, command: Command) -> None:
        try:
            child = self._ensure_child()
        except OSError as error:
            sentence = f"The background process cannot be started: {error}."
            self._waiting.append(Finished(FinishReason.FAILED, sentence))
            return
        child.send(write_command(self._job, command))
        if self._looked_at is not None:
            self._steer(self._looked_at)

    def _ensure_child(self) -> ChildProcess:
        if self._child is None or not self._child.is_running:
            self._forget_child()
            self._child = child = ChildProcess(self._command)
            self._heard = False
            self._finalizer = weakref.finalize(self, child.end, write_command(NO_JOB, Shutdown()))
        return self._child

    def _forget_child(self) -> None:
        if self._child is not None:
            self._last_stderr = self._child.stderr()
        if self._finalizer is not None:
            self._finalizer.detach()
        self._child = self._finalizer = None

    def _steer(self, message: Steering) -> None:
        if self._child is not None and self._state is not JobState.IDLE:
            self._child.send(write_command(self._job, message))

    def _understand(self, item: bytes | Exited | Event) -> Event | None:
        """Turn what has come into an event; None where it is not of the present job."""
        if isinstance(item, Exited):
            return self._exited(item)
        if not isinstance(item, bytes):
            return item
        try:
            job, event = read_event(item)
        except (KeyError, TypeError, ValueError):
            if self._child is not None:
                self._child.keep(item)  # said by something that is no child of this version
            return None
        if job != self._job or self._state is JobState.IDLE:
            return None
        self._heard, self._unheard = True, None
        return event

    def _exited(self, item: Exited) -> Event | None:
        self._forget_child()
        if self._state is JobState.IDLE:
            if item.returncode == 0 and self._heard:
                self.start()  # it has retired, to let go of the accelerator
            return None
        if self._state is JobState.CANCELLING:
            return Finished(FinishReason.CANCELLED, "Cancelled.")
        if item.returncode == 0 and self._unheard is not None:
            command, self._unheard = self._unheard, None
            self._send(command)  # it retired before it heard of the job
            return None
        what = "training" if self._kind in (TrainCommand, LiveCommand) else "background"
        return Finished(
            FinishReason.FAILED,
            f"The {what} process ended unexpectedly ({describe_exit(item.returncode)}). "
            f"Your annotations are safe; {_AGAIN[self._kind]}.",
            self._last_stderr,
        )

    def _abandon(self) -> None:
        """Kill the child and forget it; nothing that it has said since counts."""
        if self._child is not None:
            self._child.kill()
        self._forget_child()

    def _follow(self, event: Event) -> None:
        if isinstance(event, Finished):
            self._state = JobState.IDLE
        elif self._state is JobState.PREPARING and not isinstance(event, Preparing | Warned):
            self._state = JobState.RUNNING
