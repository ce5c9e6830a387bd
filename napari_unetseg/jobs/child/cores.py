"""How many cores a job computes on: those that nobody else is using."""

from __future__ import annotations

import time

import psutil

#: Seconds between looks at the load.
LOOK_EVERY_S = 1.0


class CoreShare:
    """Keeps torch's threads to the cores that other processes leave free.

    Its threads work in step, so one that has to share a core holds up all: with three other busy
    processes on 2 cores, training steps on 64 × 64 px patches took 0.86 s with two threads and
    0.14 s with one.

    The load is measured from the making of the object, and from each look, to the next look.
    """

    def __init__(self) -> None:
        self._cores = psutil.cpu_count() or 1
        self._process = psutil.Process()
        self._most = 0
        self._current = 0
        psutil.cpu_percent()  # counts from its last call on
        self._note()

    def adapt(self) -> None:
        """Change the number of threads where the load has changed; takes next to no time.

        To be called from the thread that computes: torch counts its threads for each.
        """
        import torch

        if not self._most:
            self._most = self._current = torch.get_num_threads()
        elapsed = time.monotonic() - self._looked_at
        if elapsed < LOOK_EVERY_S:
            return
        own = (self._own_s() - self._own_before_s) / elapsed
        others = psutil.cpu_percent() / 100 * self._cores - own
        self._note()
        wanted = min(self._most, max(1, round(self._cores - others)))
        if wanted != self._current:
            self._current = wanted
            torch.set_num_threads(wanted)

    def _note(self) -> None:
        self._own_before_s = self._own_s()
        self._looked_at = time.monotonic()

    def _own_s(self) -> float:
        used = self._process.cpu_times()
        return float(used.user + used.system)
