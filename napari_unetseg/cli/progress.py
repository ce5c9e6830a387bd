"""The progress bar of the command line, and its clock."""

from __future__ import annotations

import os
import time

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


def bar() -> Progress:
    """Return a progress bar on stderr, so that stdout holds results alone."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def process_started_at() -> float:
    """Return when this program was started, as of `time.time`."""
    # After a change of the system's clock the two may disagree; never count from the future.
    return min(float(psutil.Process(os.getpid()).create_time()), time.time())
