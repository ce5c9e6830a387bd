"""As many threads as other programs leave cores.

Threads that share an operation wait for each other at its end, and spin while they do. With a core
of their own each that is the fastest way: a training step of the default network takes 0.13 s on
two cores, and 0.25 s where waiting threads are put to sleep. But where another program takes one
of the two cores, the same step takes 3.5 s, and 0.2 s with a single thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch

#: Seconds between two looks at what other programs do.
EVERY_S = 0.5

#: Share of a core that other programs may use of those that are computed on.
TOLERATED = 0.2

#: Share of the time between two looks in which this process has to have computed itself.
WORKED = 0.5


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds since something earlier, all cores together.

    Attributes
    ----------
    at : float
        When, by a clock.
    busy : float
        That cores have worked, or were withheld by the host.
    own : float
        That this process has computed.
    """

    at: float
    busy: float
    own: float


class FreeCores(threading.local):
    """Sets how many threads PyTorch computes with; it counts them for each thread that calls it.

    Never more than there were when this was made, or than somebody else has set since.
    """

    def __init__(self) -> None:
        self._most = self._set = self._free = torch.get_num_threads()
        self._last = usage()

    def follow(self) -> None:
        """Compute with as many threads as others leave cores; looks at them when it is time."""
        self._notice_others()
        if self._most > 1 and time.monotonic() - self._last.at >= EVERY_S:
            before, self._last = self._last, usage()
            # While this process waited, others may have worked that now wait for it.
            waited = self._last.own - before.own < WORKED * (self._last.at - before.at)
            free = threads_for(before, self._last, len(_cores()))
            self._free = self._most if waited else free
        self._use(min(self._free, self._most))

    def use_all(self) -> None:
        """Compute with as many threads as there were."""
        self._notice_others()
        self._use(self._most)

    def _notice_others(self) -> None:
        if torch.get_num_threads() != self._set:
            self._most = self._set = torch.get_num_threads()

    def _use(self, n_threads: int) -> None:
        if n_threads != self._set:
            self._set = n_threads
            torch.set_num_threads(n_threads)


@contextmanager
def cores_left_to(n_processes: int) -> Iterator[None]:
    """Compute with as many threads as some processes of one's own leave cores, at least 1."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before - n_processes))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_for(before: Usage, after: Usage, n_cores: int) -> int:
    """Return how many threads have a core of their own, at least 1."""
    busy, own = after.busy - before.busy, after.own - before.own
    others = max(0.0, busy - own) / (after.at - before.at)
    return max(1, int(n_cores - others + TOLERATED))


def usage() -> Usage:
    """Measure what the cores have done that this process may run on."""
    own = psutil.Process().cpu_times()
    every = psutil.cpu_times(percpu=True)
    busy = sum(sum(every[i]) - _idle(every[i]) for i in _cores() if i < len(every))
    return Usage(time.monotonic(), busy, own.user + own.system)


def _cores() -> list[int]:
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        allowed: list[int] = process.cpu_affinity()
        return allowed
    return list(range(psutil.cpu_count()))


def _idle(times: object) -> float:
    """Return idle seconds; those of guests are counted in others as well."""
    return sum(getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))


#: One for all, because what others do is the same for all.
FREE_CORES = FreeCores()
