"""The progress bar of the command line, and its clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psutil
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from napari_unetseg import events

from .printing import console, printable

#: Seconds between lines where there is no terminal to draw a bar on.
LINE_EVERY_S = 30.0


class _Description(ProgressColumn):
    """What is being done, as it is written."""

    def render(self, task: Task) -> Text:
        return Text(printable(task.description))


class Bar(Progress):
    """A bar on stderr, so that stdout holds results alone; without a terminal, lines.

    A task that knows better than its speed tells how long it takes has a field ``seconds_left``.

    Parameters
    ----------
    stays : bool
        Leave it there at the end, and write it where there is no terminal.
    """

    def __init__(self, *, stays: bool) -> None:
        columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        terminal = console(stderr=True)
        super().__init__(
            _Description(),
            *columns,
            console=terminal,
            transient=not stays,
            disable=not stays and not terminal.is_terminal,
        )
        self._said_at = time.monotonic()

    def update(self, task_id: TaskID, *args: Any, **changes: Any) -> None:
        """Change a task, as `Progress` does."""
        super().update(task_id, *args, **changes)
        self._say_line(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Advance a task, as `Progress` does."""
        super().advance(task_id, advance)
        self._say_line(task_id)

    def _say_line(self, task_id: TaskID) -> None:
        if self.console.is_terminal or time.monotonic() - self._said_at <= LINE_EVERY_S:
            return
        self._said_at = time.monotonic()
        task = next(task for task in self.tasks if task.id == task_id)
        seconds = task.fields.get("seconds_left", task.time_remaining)
        left = "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
        done = "" if task.total is None else f", {task.percentage:.0f}%"
        self.console.print(f"{task.description}{done}{left}")


def bar(*, stays: bool = True) -> Bar:
    """Return a bar of progress; see `Bar`."""
    return Bar(stays=stays)


def show_training(
    training: Iterator[events.Event], said_of_start: Callable[[events.TrainingStarted], str]
) -> None:
    """Draw a progress bar from the events of a training; without a terminal, write lines.

    Parameters
    ----------
    training : iterator of Event
    said_of_start : callable
        Puts what training begins with into a sentence.
    """
    score = ""
    with bar() as progress:
        task = progress.add_task("Starting", total=1.0)
        for event in training:
            match event:
                case events.Preparing(sentence):
                    progress.update(task, description=sentence)
                case events.TrainingStarted():
                    progress.console.print(said_of_start(event))
                case events.HeldOutScored():
                    score = f", held-out mean IoU {event.mean_iou:.3f}"
                case events.TrainingStep():
                    text = f"Step {event.step}, loss {event.loss:.3f}{score}"
                    left = {"completed": event.fraction, "seconds_left": event.seconds_left}
                    progress.update(task, description=text, **left)
                case events.Progress():
                    done = event.done / event.total
                    progress.update(task, description=event.stage, completed=done)
                case events.SourceScored():
                    progress.console.print(
                        f"On the annotations of the base: mean IoU {event.mean_before:.3f} before, "
                        f"{event.mean_after:.3f} after."
                    )
                case events.Warned(sentence):
                    progress.console.print(sentence)
        progress.update(task, completed=1.0)


def process_started_at() -> float:
    """Return when this program was started, as of `time.time`."""
    # After a change of the system's clock the two may disagree; never count from the future.
    return min(float(psutil.Process(os.getpid()).create_time()), time.time())
