"""How the child sits in its system: pipes of its own, low priority, a share of the cores."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from typing import IO

import psutil

#: Niceness of the child: the window, at 0, gets the processor whenever it wants it.
NICENESS = 10


def take_over_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Keep stdin and stdout for messages alone.

    Whatever a library, or a process that it starts, prints from now on goes to stderr.

    Returns
    -------
    commands, events : binary file
        To read from and to write to.
    """
    commands = os.fdopen(os.dup(0), "rb")
    events = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return commands, events


def settle_down() -> None:
    """Give way to the window; leave Ctrl+C to it; say where a crash happened."""
    process = psutil.Process()
    process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(sys.stderr)
