"""The part of a plane where annotations say most."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import UNLABELLED

#: Windows are compared at multiples of this many px.
_STEP_PX = 32


def busiest_window(codes: npt.NDArray[np.uint8], side_px: int) -> tuple[slice, slice]:
    """Return the rows and columns of a square that holds much of every annotated class.

    Parameters
    ----------
    codes : ndarray, shape (Y, X), uint8
        0 unlabelled.
    side_px : int
        Side of the square, in px, a multiple of 32; a smaller plane is returned whole.

    Returns
    -------
    rows, columns : slice
        Of the square with the largest sum, over classes, of the share of a class's pixels in it.
    """
    n_steps = side_px // _STEP_PX
    total = np.zeros([max(1, (size - side_px) // _STEP_PX + 1) for size in codes.shape])
    starts = [np.arange(0, size, _STEP_PX) for size in codes.shape]
    for code in np.flatnonzero(np.bincount(codes.ravel())[UNLABELLED + 1 :]) + UNLABELLED + 1:
        rows = np.add.reduceat(codes == code, starts[0], axis=0, dtype=np.int64)
        counts = np.add.reduceat(rows, starts[1], axis=1)
        counted = np.pad(counts.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
        (top, below), (left, right) = (
            (np.arange(n), np.minimum(np.arange(n) + n_steps, size))
            for n, size in zip(total.shape, counts.shape, strict=True)
        )
        inside = (
            counted[np.ix_(below, right)]
            - counted[np.ix_(top, right)]
            - counted[np.ix_(below, left)]
            + counted[np.ix_(top, left)]
        )
        total += inside / counted[-1, -1]
    y, x = np.unravel_index(int(total.argmax()), total.shape)
    corner = int(y) * _STEP_PX, int(x) * _STEP_PX
    return slice(corner[0], corner[0] + side_px), slice(corner[1], corner[1] + side_px)
