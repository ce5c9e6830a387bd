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
        Side of the square, in px; a smaller plane is returned whole.

    Returns
    -------
    rows, columns : slice
        Of the square with the largest sum, over classes, of the share of a class's pixels in it.
    """
    height, width = codes.shape
    rows = list(range(0, max(1, height - side_px + 1), _STEP_PX))
    columns = list(range(0, max(1, width - side_px + 1), _STEP_PX))
    total = np.zeros((len(rows), len(columns)))
    for code in np.unique(codes[codes != UNLABELLED]):
        counted = np.pad((codes == code).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
        below = [min(y + side_px, height) for y in rows]
        right = [min(x + side_px, width) for x in columns]
        inside = (
            counted[np.ix_(below, right)]
            - counted[np.ix_(rows, right)]
            - counted[np.ix_(below, columns)]
            + counted[np.ix_(rows, columns)]
        )
        total += inside / counted[-1, -1]
    y, x = np.unravel_index(int(total.argmax()), total.shape)
    return slice(rows[y], rows[y] + side_px), slice(columns[x], columns[x] + side_px)
