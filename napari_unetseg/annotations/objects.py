"""Objects that have numbers: told apart, divided along a line, found by it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_unetseg.images import codes_to_masks
from napari_unetseg.measure import Pieces

from .brush import pixels_along
from .pieces import Mask, window_around

Ids = npt.NDArray[np.uint32]
Path = npt.NDArray[np.float64]

#: What a line cuts off that is a smaller share of the object stays with the part beside it.
_SLIVER = 0.01
_TOUCHING = np.ones((3, 3), bool)


def connected_objects(codes: npt.NDArray[np.uint8], n_frames: int = 1) -> Ids:
    """Give every connected component of a class its own id.

    Pixels that share a face are connected, across the slices of a frame too; pixels of different
    classes or frames never are.

    Parameters
    ----------
    codes : ndarray, shape (planes, Y, X), uint8
        1 background, k + 1 class k.
    n_frames : int
        Time points among the planes, T outermost.

    Returns
    -------
    ndarray, shape (planes, Y, X), uint32
        0 background, ids from 1 on, none used twice.
    """
    objects = pieces_of(codes, n_frames)
    return np.stack([objects.ids(plane) for plane in range(len(codes))])


def pieces_of(codes: Any, n_frames: int = 1, planes: Collection[int] | None = None) -> Pieces:
    """Give the ids of `connected_objects` slice by slice, of stacks larger than memory.

    Parameters
    ----------
    codes : ndarray, shape (planes, Y, X), uint8, or what is indexed as one
    n_frames : int
    planes : collection of int, optional
        Those on which anything is; the others are not read.
    """
    nothing = np.broadcast_to(np.uint8(0), codes.shape[1:])
    read = range(len(codes)) if planes is None else frozenset(planes)
    return Pieces(
        lambda plane: codes_to_masks(codes[plane]) if plane in read else nothing,
        len(codes),
        max(1, len(codes) // n_frames),
    )


def objects_along(ids: Ids, path: Path) -> list[int]:
    """Return the objects under a line, in order, each as often as it has pixels there.

    Parameters
    ----------
    ids : ndarray, shape (Y, X), uint32
    path : ndarray, shape (n, 2)
        (y, x) in px.

    >>> objects_along(np.array([[0, 4, 4, 0, 7]], np.uint32), np.array([[0.0, 0.0], [0.0, 4.0]]))
    [4, 4, 7]
    """
    height, width = ids.shape
    under = ids[pixels_along(path, (height, width))]
    return [int(i) for i in under[under > 0]]


def divide_along(inside: Mask, path: Path) -> npt.NDArray[np.intp] | None:
    """Divide an object on a slice by a line; no pixel of it is lost.

    Parameters
    ----------
    inside : ndarray of bool, shape (Y, X)
        The object.
    path : ndarray, shape (n, 2)
        (y, x) in px.

    Returns
    -------
    ndarray of int, shape (Y, X), or None
        0 outside, 1 the largest part, then the others; None where the line does not divide it.
    """
    parts = inside.astype(np.intp)
    if not inside.any():
        return None
    window = window_around(inside, 0)
    within, corner = inside[window], (window[0].start, window[1].start)
    line = pixels_along(path - corner, (within.shape[0], within.shape[1]))
    pieces, _ = ndimage.label(within, _TOUCHING)
    crossed = np.bincount(pieces[line], minlength=2)
    crossed[0] = 0
    piece = pieces == crossed.argmax()
    left = piece.copy()
    left[line] = False
    divided, _ = ndimage.label(left, _TOUCHING)
    sizes = np.bincount(divided.ravel())
    sizes[0] = 0
    large = np.flatnonzero(sizes >= max(2, _SLIVER * np.count_nonzero(piece)))
    if not crossed.any() or len(large) < 2:
        return None
    number = np.zeros(len(sizes), np.intp)
    number[large[np.argsort(-sizes[large], kind="stable")]] = np.arange(1, len(large) + 1)
    # Pixels of the line, and slivers, go with what is nearest; pieces apart with the largest part.
    of_piece = nearest_part(number[divided], piece)
    parts[window] = np.where(piece, of_piece, parts[window])
    return parts


def nearest_part(parts: npt.NDArray[np.intp], inside: Mask) -> npt.NDArray[np.intp]:
    """Give every pixel of an object the number of the nearest part.

    Parameters
    ----------
    parts : ndarray of int, shape (Y, X)
        0 where no part is; of this slice or of the one beside it.
    inside : ndarray of bool, shape (Y, X)
        The object on this slice.

    Returns
    -------
    ndarray of int, shape (Y, X)
        0 outside.

    >>> nearest_part(np.array([[1, 0, 0, 0, 2]]), np.array([[True, True, False, True, True]]))
    array([[1, 1, 0, 2, 2]])
    """
    both = inside | (parts > 0)
    window = window_around(both, 0)
    near = ndimage.distance_transform_edt(
        parts[window] == 0, return_distances=False, return_indices=True
    )
    nearest = np.zeros(parts.shape, np.intp)
    nearest[window] = np.where(inside[window], parts[window][tuple(near)], 0)
    return nearest
