"""Arrays that are costly to compute, kept for when they are asked for again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")


class Kept(Generic[T]):
    """The results asked for last, by what they were computed from; for any thread.

    Parameters
    ----------
    n_bytes : int
        How much is kept at most; what is larger alone is not kept.
    size : callable
        Tells the bytes of a result.
    """

    def __init__(self, n_bytes: int, size: Callable[[T], int]) -> None:
        self._n_bytes = n_bytes
        self._size = size
        self._lock = Lock()
        self._results: OrderedDict[object, T] = OrderedDict()

    def found(self, key: object) -> T | None:
        """Return a result that is there, or None."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def once(self, key: object, compute: Callable[[], T]) -> T:
        """Return a result, computed if it is not there."""
        kept = self.found(key)
        if kept is not None:
            return kept
        found = compute()
        with self._lock:
            self._results[key] = found
            while sum(map(self._size, self._results.values())) > self._n_bytes:
                self._results.popitem(last=False)
        return found


def digest(array: npt.NDArray[Any]) -> tuple[object, ...]:
    """Return what stands for the values of an array; 1 ms per MB."""
    values = np.ascontiguousarray(array)
    found = hashlib.blake2b(values.data, digest_size=16).hexdigest()
    return array.shape, array.dtype.str, found
