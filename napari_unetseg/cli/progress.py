"""The progress bar of the command line, and its clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import psutil
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from napari_unetseg import events

#: Seconds between lines where there is no terminal to draw a bar on.
LINE_EVERY_S = 30.0


def bar(*, stays: bool = True) -> Progress:
    """Return a progress bar on stderr, so that stdout holds results alone.

    Parameters
    ----------
    stays : bool
        Leave it there at the end, and write it where there is no terminal.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=not stays,
        disable=not stays and not console.is_terminal,
    )


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
    score, said_at = "", time.monotonic()
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
                    progress.update(task, description=text, completed=event.fraction)
                    silent = not progress.console.is_terminal
                    if silent and time.monotonic() - said_at > LINE_EVERY_S:
                        said_at = time.monotonic()
                        progress.console.print(f"{text}, {event.fraction:.0%}{_left(event)}")
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


def _left(event: events.TrainingStep) -> str:
    if event.seconds_left is None:
        return ""
    return f", {timedelta(seconds=round(event.seconds_left))} left"


def process_started_at() -> float:
    """Return when this program was started, as of `time.time`."""
    # After a change of the system's clock the two may disagree; never count from the future.
    return min(float(psutil.Process(os.getpid()).create_time()), time.time())
