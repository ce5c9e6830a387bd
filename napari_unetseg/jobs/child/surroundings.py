"""How the child sits in its system: pipes of its own, low priority."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from typing import IO

import psutil

#: Of the child where it computes; the window's is 0.
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
    """Leave Ctrl+C to the window; say where a crash happened."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(sys.stderr)


def give_way() -> None:
    """Let the window have the processor whenever it wants it.

    To be called from the thread that computes, before it has others help it: Linux counts niceness
    by thread, and they inherit it.
    """
    process = psutil.Process()
    if os.name == "nt":
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    elif process.nice() < NICENESS:  # only root may go back
        process.nice(NICENESS)
