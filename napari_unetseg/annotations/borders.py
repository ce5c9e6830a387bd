"""Where labels are sure: away from the borders between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage


def away_from_borders(labels: npt.NDArray[Any], distance_px: int) -> npt.NDArray[np.bool_]:
    """Return which pixels have no other label near them.

    Methods that segment err most where labels meet.

    Parameters
    ----------
    labels : ndarray, shape (Y, X)
        Codes or ids.
    distance_px : int
        Along rows and columns, at least 0.

    Returns
    -------
    ndarray of bool, shape (Y, X)

    Examples
    --------
    >>> away_from_borders(np.array([[1, 1, 1, 2, 2, 2]]), 1).astype(int)
    array([[1, 1, 0, 0, 1, 1]])
    """
    size = 2 * distance_px + 1
    lowest = ndimage.minimum_filter(labels, size, mode="nearest")
    highest = ndimage.maximum_filter(labels, size, mode="nearest")
    return np.asarray(lowest == highest)
