"""Connected pieces of labels, numbered slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import label

Ids = npt.NDArray[np.uint32]


class Pieces:
    """Numbers for the connected pieces of labels (6-connected, 4 within a slice).

    Pixels of different values are never connected. Slices are labelled twice, once to learn which
    of their pieces belong together, so that memory grows with the number of pieces and not with
    that of slices.

    Parameters
    ----------
    labels : callable
        Returns the labels of a slice, shape (Y, X), or its mask; 0 is background.
    n_planes : int
    planes_per_volume : int
        Pieces are connected through so many slices: those of one time point.

    Examples
    --------
    >>> slices = np.array([[[1, 0, 2]], [[1, 1, 1]], [[0, 0, 2]]])
    >>> pieces = Pieces(lambda index: slices[index], 3, 3)
    >>> [pieces.ids(index).tolist() for index in range(3)]
    [[[1, 0, 2]], [[1, 1, 1]], [[0, 0, 3]]]
    """

    def __init__(
        self, labels: Callable[[int], npt.NDArray[Any]], n_planes: int, planes_per_volume: int
    ) -> None:
        self._labels = labels
        self._first = [0]
        touching = [np.zeros((0, 2), np.int64)]
        above: tuple[npt.NDArray[Any], npt.NDArray[np.int64]] | None = None
        for index in range(n_planes):
            values = labels(index)
            first = self._first[-1]
            if not values.any():
                above = None
                self._first.append(first)
                continue
            here = self._numbered(index, values)
            if above is not None and index % planes_per_volume:
                touching.append(_pairs(above[1], np.where(values == above[0], here, 0)))
            above = values, here
            self._first.append(max(first, int(here.max())))
        self._ids = _joined(np.concatenate(touching), self._first[-1])

    def ids(self, index: int) -> Ids:
        """Return the numbers of the pieces of a slice, shape (Y, X), 0 where there are none."""
        values = self._labels(index)
        if self._first[index] == self._first[index + 1]:
            return np.zeros(values.shape, np.uint32)
        return self._ids[self._numbered(index, values)].astype(np.uint32)

    def _numbered(self, index: int, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Give pieces of a slice numbers as if none touched one of another."""
        pieces: Any = label(values, background=0, connectivity=1)  # type: ignore[no-untyped-call]
        return np.where(pieces > 0, pieces + self._first[index], 0)


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
    # Nothing touches piece 0, which is background: as the first, it has number 0.
    numbers: npt.NDArray[np.int64] = connected_components(graph, directed=False)[1]
    return numbers
