"""Pixels that tell how far they have been read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

#: Told which part of some work is done, from 0 to 1; what it raises ends the work.
Reached: TypeAlias = Callable[[float], object]


class WatchedPixels:
    """An array whose slices are read one after the other, and which tells of it.

    Parameters
    ----------
    pixels : ndarray, shape (…, Y, X)
    reached : callable
        Told before slices are read which part of them comes before.
    """

    def __init__(self, pixels: npt.NDArray[Any], reached: Reached) -> None:
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim
        self._pixels, self._reached = pixels, reached

    def __getitem__(self, where: Any) -> npt.NDArray[Any]:
        """Read some slices."""
        self._reached(self._before(where if isinstance(where, tuple) else (where,)))
        found: npt.NDArray[Any] = self._pixels[where]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read all of them."""
        self._reached(0.0)
        return np.array(self._pixels, dtype, copy=copy)

    def _before(self, where: tuple[Any, ...]) -> float:
        """Return which part of the slices comes before these."""
        shape, index = self.shape[:-2], 0
        asked = (*where, *(slice(None),) * len(shape))
        for part, n in zip(asked, shape, strict=False):
            first = part.indices(n)[0] if isinstance(part, slice) else part
            index = index * n + (first if isinstance(first, int | np.integer) else 0)
        return float(index) / math.prod(shape)
