"""Pieces of a class on a slice: what is connected, what it encloses, what is too small.

Pixels of a class that touch, by a side or a corner, are one piece.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label

from napari_unetseg.config import BACKGROUND

Codes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Window = tuple[slice, slice]
_TOUCHING = np.ones((3, 3), bool)


def piece_at(codes: Codes, point: tuple[int, int]) -> Mask:
    """Return the piece of a slice that a pixel belongs to.

    >>> piece_at(np.array([[2, 2, 1], [1, 1, 2]], np.uint8), (0, 0)).astype(int)
    array([[1, 1, 0],
           [0, 0, 1]])
    """
    labelled, _ = ndimage.label(codes == codes[point], _TOUCHING)
    piece: Mask = labelled == labelled[point]
    return piece


def window_around(mask: Mask, margin: int) -> Window:
    """Return the part of a slice that holds a mask and some pixels around it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    return np.s_[top : rows[-1] + margin + 1, left : columns[-1] + margin + 1]


def enclosed_by(shape: Mask) -> Mask:
    """Return the holes of a shape: what lies in it and is joined to no edge of the slice."""
    holes = np.zeros_like(shape)
    if shape.any():
        window = window_around(shape, 1)
        inside = shape[window]
        # An edge of the window is outside, or lies on the edge of the slice.
        areas, n_areas = ndimage.label(~inside)
        enclosed = np.ones(n_areas + 1, bool)
        for edge in (areas[0], areas[-1], areas[:, 0], areas[:, -1]):
            enclosed[edge] = False
        enclosed[0] = False
        holes[window] = enclosed[areas]
    return holes


def hole_at(codes: Codes, point: tuple[int, int]) -> tuple[Mask, int] | None:
    """Return the smallest hole of a class that a pixel lies in, and the code of that class.

    Returns
    -------
    hole : ndarray of bool, shape (Y, X)
    code : int
        None in place of both where no class encloses the pixel.
    """
    found: tuple[Mask, int] | None = None
    for code in np.unique(codes[codes > BACKGROUND]):
        holes = enclosed_by(codes == code)
        if holes[point]:
            areas, _ = ndimage.label(holes)
            hole: Mask = areas == areas[point]
            if found is None or np.count_nonzero(hole) < np.count_nonzero(found[0]):
                found = hole, int(code)
    return found


def number_pieces(codes: Codes) -> npt.NDArray[np.int64]:
    """Give every piece of a class a number, from 1; the rest of the slice is 0."""
    classes = np.where(codes > BACKGROUND, codes, 0)
    pieces: npt.NDArray[np.int64] = label(classes, connectivity=2)  # type: ignore[no-untyped-call]
    return pieces


@dataclass(frozen=True, slots=True)
class SmallPieces:
    """Pieces of classes that are smaller than a person wants them.

    Attributes
    ----------
    where : ndarray of bool, shape (Y, X)
        Those in which nothing is painted.
    n : int
        How many these are.
    n_painted : int
        How many others are as small, but painted on.
    """

    where: Mask
    n: int
    n_painted: int


def small_pieces(codes: Codes, below_px: int, painted: Mask) -> SmallPieces:
    """Find the pieces of a slice that have fewer pixels than `below_px`.

    Parameters
    ----------
    codes : ndarray, shape (Y, X), uint8
    painted : ndarray of bool, shape (Y, X)
        What a person said; a piece with any of it is meant.
    """
    labelled = number_pieces(codes)
    sizes = np.bincount(labelled.reshape(-1))
    small = sizes < below_px
    small[0] = False
    said = np.zeros(len(sizes), bool)
    said[labelled[painted]] = True
    free = small & ~said
    return SmallPieces(free[labelled], int(free.sum()), int((small & said).sum()))
