"""A job as the child sees it: its command, and what the window has said since."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from napari_unetseg.events import Event, Progress
from napari_unetseg.jobs.commands import Command, LookAt, Painted

Emit = Callable[[Event], None]


class Cancelled(Exception):
    """The window wants nothing more of this job."""


@dataclass(eq=False, slots=True)
class Job:
    """A command under way. The inbox's thread writes, the main thread reads.

    Attributes
    ----------
    number : int
        Goes with every event.
    looked_at : LookAt or None
        The slice in view.
    stop, cancel : bool
        What the window has asked for.
    frozen : bool
        Whether nothing is to be learned for the time being.
    return_to : str or None
        Checkpoint to take the weights of.
    suggest : int
        How many regions are asked for; 0 for none.
    painted : deque of Painted
        What has changed, the oldest first.
    """

    number: int
    command: Command
    looked_at: LookAt | None = None
    stop: bool = False
    cancel: bool = False
    frozen: bool = False
    return_to: str | None = None
    suggest: int = 0
    painted: deque[Painted] = field(default_factory=deque)

    def check(self) -> None:
        """Raise `Cancelled` where the window has asked for that."""
        if self.cancel:
            raise Cancelled

    def take_painted(self) -> list[Painted]:
        """Return what has changed since this was called last."""
        return [self.painted.popleft() for _ in range(len(self.painted))]

    def planes_by_interest(self, image: str, n_planes: int) -> Iterator[int]:
        """Yield every slice once: each time the one nearest to what is in view then."""
        left = np.ones(n_planes, bool)
        for _ in range(n_planes):
            looked_at = self.looked_at
            here = looked_at.plane if looked_at is not None and looked_at.image == image else 0
            candidates = np.flatnonzero(left)
            plane = int(candidates[np.abs(candidates - here).argmin()])
            left[plane] = False
            yield plane


class Countdown:
    """Reports work that is counted in items, with the time it will still take.

    Parameters
    ----------
    stage : str
        What is being done, as a person would say it.
    total : int
        Items in all.
    """

    def __init__(self, emit: Emit, stage: str, total: int) -> None:
        self._emit = emit
        self._stage = stage
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        emit(Progress(stage, 0, total))

    def advance(self) -> None:
        """Report that one more item is finished."""
        self._done += 1
        left = (time.monotonic() - self._began) / self._done * (self._total - self._done)
        self._emit(Progress(self._stage, self._done, self._total, left))
