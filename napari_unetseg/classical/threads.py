"""How many slices, and how many parts of one, are computed at the same time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def parts_pool() -> ThreadPoolExecutor:
    """Return the threads that parts of a slice are computed on, the same for all slices.

    Nothing that runs on one of them waits for another.
    """
    return ThreadPoolExecutor(cores(), "parts")


def at_once(call: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """Return what calls return for items, in their order, computed on all cores.

    Not to be used by what is called.
    """
    return list(_searches_pool().map(call, items))


@cache
def _searches_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), "search")
