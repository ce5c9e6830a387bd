"""What a brush covers on its way."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from skimage.draw import line


def covered_by_brush(
    path: npt.NDArray[np.float64], brush_px: float, shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return which pixels a round brush has covered on its way.

    Parameters
    ----------
    path : ndarray, shape (n, 2)
        (y, x) in px, joined by straight lines.
    brush_px : float
        Diameter.
    shape : tuple of int
        Height and width in px.
    """
    reach = int(np.ceil(brush_px / 2)) + 1
    corners = np.round(path).astype(int)
    low, high = corners.min(axis=0) - reach, corners.max(axis=0) + reach + 1
    away = np.ones(high - low, bool)
    for start, end in zip(corners, [*corners[1:], corners[-1]], strict=True):
        away[line(*(start - low), *(end - low))] = False  # type: ignore[no-untyped-call]
    near = distance_transform_edt(away) <= brush_px / 2
    covered = np.zeros(shape, bool)
    top, left = np.maximum(low, 0)
    bottom, right = np.minimum(high, shape)
    if bottom > top and right > left:
        inside = near[top - low[0] : bottom - low[0], left - low[1] : right - low[1]]
        covered[top:bottom, left:right] = inside
    return covered


def pixels_along(
    path: npt.NDArray[np.float64], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the pixels along a path, in order, each sharing a side with the next.

    So no two pixels on either side of it touch, not even by a corner.

    Parameters
    ----------
    path : ndarray, shape (n, 2)
        (y, x) in px, joined by straight lines.
    shape : tuple of int
        Height and width in px; what lies outside is left out.

    Returns
    -------
    rows, columns : ndarray of int, shape (m,)

    >>> pixels_along(np.array([[0.0, 0.0], [2.0, 2.0]]), (3, 3))
    (array([0, 0, 1, 1, 2]), array([0, 1, 1, 2, 2]))
    """
    corners = np.round(path).astype(np.intp)
    lines = [corners[:1].T]
    for start, end in pairwise(corners):
        if (start != end).any():
            lines.append(np.stack(line(*start, *end))[:, 1:])  # type: ignore[no-untyped-call]
    rows, columns = np.concatenate(lines, axis=1)
    # Before a step to a corner, one to the side.
    both = np.repeat(np.stack((rows, columns)), 2, axis=1)
    both[1, 1:-1:2] = columns[1:]
    both = both[:, :-1]
    moved = np.ones(both.shape[1], bool)
    moved[1:] = (np.diff(both) != 0).any(axis=0)
    inside = ((both >= 0) & (both < np.array(shape)[:, None])).all(axis=0)
    rows, columns = both[:, moved & inside]
    return rows, columns
