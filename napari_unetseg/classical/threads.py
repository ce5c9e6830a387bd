"""How many slices, and how many parts of one, are computed at the same time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

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


def in_bands(
    change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], image: npt.NDArray[Any], margin: int
) -> npt.NDArray[Any]:
    """Change an image in as many bands along its first axis as there are cores.

    Parameters
    ----------
    change : callable
        Returns an array of the shape it is given; looks no farther than `margin` along that axis.
    """
    length = len(image)
    thickness = -(-length // cores())
    if cores() == 1 or thickness < 2 * margin:
        return change(image)

    def of_band(start: int) -> npt.NDArray[Any]:
        first = max(0, start - margin)
        found = change(image[first : start + thickness + margin])
        return found[start - first : start - first + thickness]

    return np.concatenate(list(parts_pool().map(of_band, range(0, length, thickness))))


def at_once(call: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """Return what calls return for items, in their order, computed on all cores.

    Not to be used by what is called.
    """
    return list(_searches_pool().map(call, items))


@cache
def _searches_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), "search")
