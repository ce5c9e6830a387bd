"""Connected pieces of masks, numbered slice by slice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.uint32]


class Pieces:
    """Numbers for the connected pieces of masks (6-connected, 4 within a slice).

    Slices are labelled twice, once to learn which of their pieces belong together, so that
    memory grows with the number of pieces and not with that of slices.

    Parameters
    ----------
    mask : callable
        Returns the mask of a slice, shape (Y, X).
    n_planes : int
    planes_per_volume : int
        Pieces are connected through so many slices: those of one time point.
    """

    def __init__(self, mask: Callable[[int], Mask], n_planes: int, planes_per_volume: int) -> None:
        self._mask = mask
        self._first = [0]
        touching = [np.zeros((0, 2), np.int64)]
        before: npt.NDArray[np.int64] | None = None
        for index in range(n_planes):
            pieces, n = ndimage.label(mask(index))
            here = np.where(pieces > 0, pieces + self._first[-1], 0)
            if before is not None and index % planes_per_volume:
                touching.append(_pairs(before, here))
            before = here
            self._first.append(self._first[-1] + n)
        self._ids = _joined(np.concatenate(touching), self._first[-1])

    def ids(self, index: int) -> Ids:
        """Return the numbers of the pieces of a slice, shape (Y, X), 0 where there are none."""
        pieces = ndimage.label(self._mask(index))[0]
        numbered = self._ids[np.where(pieces > 0, pieces + self._first[index], 0)]
        return numbered.astype(np.uint32)


def _pairs(before: npt.NDArray[np.int64], here: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """List which pieces of two slices lie on each other."""
    both = np.stack([before, here], axis=-1)[(before > 0) & (here > 0)]
    if not len(both):
        return both
    changes = np.concatenate([[True], (both[1:] != both[:-1]).any(axis=1)])
    return np.unique(both[changes], axis=0)


def _joined(touching: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    """Return a number for each of `n` pieces and 0, the same for those that touch."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array(
        (np.ones(len(touching), bool), (touching[:, 0], touching[:, 1])), shape=(n + 1, n + 1)
    )
    numbers: npt.NDArray[np.int64] = connected_components(graph, directed=False)[1]
    # Nothing touches piece 0, which is background: its number is swapped for 0.
    return np.where(numbers == numbers[0], 0, numbers + 1)
