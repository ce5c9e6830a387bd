"""The nearest pixel of an outline."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .distance_totals import Distances

#: Pixels of two outlines are mostly close: so far, in pixels, it is looked around each of them.
_AROUND_PX = 4

Places = npt.NDArray[np.intp]


class Outline:
    """The pixels of an outline in a slice, ready to be looked for.

    Parameters
    ----------
    places : ndarray, shape (n, 2), int
        Rows and columns of its pixels.
    shape : tuple of int
        Height and width of the slice.
    spacing : tuple of float
        Size of a pixel along Y and X.
    """

    def __init__(
        self, places: Places, shape: tuple[int, int], spacing: tuple[float, float]
    ) -> None:
        self._places = places
        self._spacing = spacing
        self._shape = shape

    def distances(self, places: Places, at_most: float = np.inf) -> Distances:
        """Measure how far pixels are from the outline; infinity where that is more than `at_most`.

        Parameters
        ----------
        places : ndarray, shape (n, 2), int
            Rows and columns of pixels of the same slice.
        at_most : float
            In the unit of the spacing.

        Returns
        -------
        ndarray, shape (n,), float64
        """
        found = np.full(len(places), np.inf)
        if not len(self._places):
            return found
        left = self._look_around(places, found, at_most)
        if left.size and at_most > _AROUND_PX * min(self._spacing):
            far = places[left] * np.array(self._spacing)
            bound = np.nextafter(at_most, np.inf)
            found[left] = self._tree.query(far, distance_upper_bound=bound, workers=-1)[0]
        return found

    def _look_around(self, places: Places, found: Distances, at_most: float) -> Places:
        """Fill in short distances, and return which pixels have none."""
        width = self._shape[1] + 2 * _AROUND_PX
        at = (places[:, 0] + _AROUND_PX) * width + places[:, 1] + _AROUND_PX
        left = np.arange(len(places))
        for y, x, distance in _steps(self._spacing):
            if distance > at_most or not left.size:
                break
            hit = self._drawn[at + (y * width + x)]
            found[left[hit]] = distance
            left, at = left[~hit], at[~hit]
        return left

    @cached_property
    def _drawn(self) -> npt.NDArray[np.bool_]:
        """The outline as a mask, with a margin, flattened."""
        height, width = (n + 2 * _AROUND_PX for n in self._shape)
        mask = np.zeros((height, width), bool)
        mask[self._places[:, 0] + _AROUND_PX, self._places[:, 1] + _AROUND_PX] = True
        return mask.ravel()

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        points = self._places * np.array(self._spacing)
        return cKDTree(points, balanced_tree=False, compact_nodes=False)


@lru_cache(maxsize=8)
def _steps(spacing: tuple[float, float]) -> list[tuple[int, int, float]]:
    """List rows and columns to go, and how far that is: all that is near, the nearest first."""
    reach = range(-_AROUND_PX, _AROUND_PX + 1)
    every = [(float(np.hypot(y * spacing[0], x * spacing[1])), y, x) for y in reach for x in reach]
    near = sorted(step for step in every if step[0] <= _AROUND_PX * min(spacing))
    return [(y, x, distance) for distance, y, x in near]
