"""Slices between two annotated ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_unetseg.config import BACKGROUND, UNLABELLED

Codes = npt.NDArray[np.uint8]
Distances = npt.NDArray[np.float32]


def interpolate(below: Codes, above: Codes, n_between: int) -> Codes:
    """Turn the shapes on one slice gradually into those on another.

    Between the slices, a pixel belongs to the class whose signed distance, mixed from those of both
    slices, is largest, and to none where all are outside; to background if that is inside where no
    class is. A class that is one piece on both slices moves in a straight line from where it is on
    one to where it is on the other.

    Parameters
    ----------
    below, above : ndarray, shape (Y, X), uint8
        Codes; what is unlabelled is no shape.
    n_between : int
        Slices from one to the other, both excluded.

    Returns
    -------
    ndarray, shape (n_between, Y, X), uint8
        Of codes that are on both slices.

    References
    ----------
    S. P. Raya, J. K. Udupa, "Shape-based interpolation of multidimensional objects", IEEE
    Transactions on Medical Imaging 9, 1990.
    """
    between = np.full((n_between, *below.shape), UNLABELLED, np.uint8)
    largest = np.zeros(between.shape, np.float32)
    on_both = np.intersect1d(below, above)
    for code in [*on_both[on_both > BACKGROUND], *on_both[on_both == BACKGROUND]]:
        shapes = below == code, above == code
        path = _path(*shapes)
        distances = [_signed_distance(shape) for shape in shapes]
        for i in range(n_between):
            mixed = _mixed(distances, path, (i + 1) / (n_between + 1))
            if code == BACKGROUND:  # it has no shape of its own to be moved
                inside = (mixed >= 0) & (between[i] == UNLABELLED)
            else:
                inside = mixed > largest[i]
            between[i][inside] = code
            largest[i][inside] = mixed[inside]
    return between


def _path(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return how far a shape moves along Y and X; not at all if it is in pieces."""
    if any(ndimage.label(shape, np.ones((3, 3)))[1] != 1 for shape in (one, other)):
        return np.zeros(2)
    start, end = (np.argwhere(shape).mean(axis=0) for shape in (one, other))
    moved: npt.NDArray[np.float64] = end - start
    return moved


def _signed_distance(shape: npt.NDArray[np.bool_]) -> Distances:
    """Return the distance in px to the border of a shape, negative outside."""
    if shape.all():
        return np.full(shape.shape, max(shape.shape), np.float32)
    inside: Distances = ndimage.distance_transform_edt(shape)
    outside: Distances = ndimage.distance_transform_edt(~shape)
    # The border runs between pixels.
    return (np.where(shape, inside - 0.5, 0.5 - outside)).astype(np.float32)


def _mixed(
    distances: Sequence[Distances], path: npt.NDArray[np.float64], share: float
) -> Distances:
    """Mix two shapes on their way from the first to the second."""
    first, second = distances
    if path.any():
        first = ndimage.shift(first, share * path, order=1, mode="nearest")
        second = ndimage.shift(second, (share - 1) * path, order=1, mode="nearest")
    mixed: Distances = (1 - share) * first + share * second
    return mixed
