"""A child process behind pipes, seen from the window: nothing here ever waits for it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

#: How the child is started. ``-P`` keeps a ``random.py`` in the current folder out of its imports.
CHILD = ("-P", "-m", "napari_unetseg.jobs.child")

#: Lines of the child's stderr kept for a report.
STDERR_LINES = 200


@dataclass(frozen=True, slots=True)
class Exited:
    """The child is gone; nothing more will come from it.

    Attributes
    ----------
    returncode : int
        As `subprocess.Popen` has it: −9 for killed by signal 9.
    """

    returncode: int


class ChildProcess:
    """A process that takes and gives lines.

    One thread writes, so that a child that does not read never holds up the window; one reads
    what comes back, one reads stderr.

    Parameters
    ----------
    command : sequence of str, optional
        What to run.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._process = subprocess.Popen(
            command or (sys.executable, *CHILD),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._incoming: queue.SimpleQueue[bytes | Exited] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._gone = threading.Event()
        self._owner = os.getpid()
        pipes = self._process.stdin, self._process.stdout, self._process.stderr
        stdin, stdout, stderr = (pipe for pipe in pipes if pipe is not None)
        listener = _thread(self._keep_stderr, stderr)
        _thread(self._write, stdin)
        _thread(self._read, stdout, listener)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the child is there and listens."""
        return self._process.poll() is None and not self._gone.is_set()

    def send(self, line: bytes) -> None:
        """Have a line written; returns at once."""
        self._outgoing.put(line)

    def received(self) -> list[bytes | Exited]:
        """Return the lines that have come since the last call, and at the very end `Exited`."""
        items = []
        with suppress(queue.Empty):
            while True:
                items.append(self._incoming.get_nowait())
        return items

    def stderr(self) -> str:
        """Return the last lines of the child's stderr."""
        return "\n".join(self._stderr.copy())

    def keep(self, line: bytes) -> None:
        """Put a line among those of stderr, for a report."""
        self._stderr.append(line.decode("utf-8", "replace").rstrip())

    def kill(self) -> None:
        """End the child now; `Exited` follows."""
        if os.getpid() == self._owner:  # a forked copy of the window has no say
            self._process.kill()

    def end(self, line: bytes, patience_s: float = 0.5) -> None:
        """Ask the child to go with a last line, then make it go.

        Blocks for about `patience_s` at most where the child obeys, and twice that otherwise.
        """
        if os.getpid() != self._owner:
            return
        self._outgoing.put(line)
        self._outgoing.put(None)
        for force in (self._process.terminate, self._process.kill):
            if self._gone.wait(patience_s):
                return
            force()
        self._gone.wait(patience_s)

    def _write(self, pipe: IO[bytes]) -> None:
        # A broken pipe means that the child is gone, which is `_read`'s to tell.
        with suppress(OSError), pipe:
            while (line := self._outgoing.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _read(self, pipe: IO[bytes], stderr_listener: threading.Thread) -> None:
        with pipe:
            for line in pipe:
                self._incoming.put(line)
        # The child alone holds the other end of this pipe: it is ending, or of no use any more.
        try:
            returncode = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            returncode = self._process.wait()
        self._outgoing.put(None)
        stderr_listener.join(timeout=0.5)
        self._incoming.put(Exited(returncode))
        self._gone.set()

    def _keep_stderr(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                self.keep(line)


def describe_exit(returncode: int) -> str:
    """Say in a few words how a process ended.

    Examples
    --------
    >>> describe_exit(-9)
    'signal 9: killed; often out of memory'
    >>> describe_exit(3)
    'exit code 3'
    """
    if returncode >= 0:
        return f"exit code {returncode}"
    number = -returncode
    why = {
        "SIGKILL": "killed; often out of memory",
        "SIGTERM": "ended by another program",
        "SIGBUS": "a file could not be written; often the disk is full",
        "SIGSEGV": "crashed inside a library",
        "SIGILL": "the processor lacks an instruction that a library uses",
        "SIGABRT": "given up by a library",
    }
    name = signal.Signals(number).name if number in set(signal.Signals) else ""
    return f"signal {number}: {why.get(name, name.lower() or 'unknown')}"


def _thread(run: object, *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=run, args=arguments, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread
