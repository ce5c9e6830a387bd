"""How many slices, and how many parts of one, are computed at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def parts_pool() -> ThreadPoolExecutor:
    """Return the threads that parts of a slice are computed on, the same for all slices.

    Nothing that runs on one of them waits for another.
    """
    return ThreadPoolExecutor(cores(), "parts")
