"""Outlines made smooth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

from .pieces import Mask, window_around

Codes = npt.NDArray[np.uint8]

#: Beyond so many standard deviations a Gaussian weighs nothing.
_REACH = 4


def smooth_shape(shape: Mask, sigma_px: float) -> Mask:
    """Round a shape off, and keep its area; it may lie at the edge of the slice.

    A Gaussian of the shape is cut at the value that leaves as many pixels as there were, so that
    what is thin does not vanish.

    Parameters
    ----------
    shape : ndarray of bool, shape (Y, X)
    sigma_px : float
        Standard deviation: what is narrower goes.
    """
    smooth = np.zeros_like(shape)
    n_px = int(np.count_nonzero(shape))
    if not n_px:
        return smooth
    window = window_around(shape, int(np.ceil(_REACH * sigma_px)))
    blurred = ndimage.gaussian_filter(
        shape[window].astype(np.float32), sigma_px, mode="nearest", truncate=_REACH
    )
    values = blurred.reshape(-1)
    # Of pixels that are alike at the cut, those stay in that were.
    values = values + np.float32(1e-6) * shape[window].reshape(-1)
    kept = np.zeros(len(values), bool)
    kept[np.argpartition(values, len(values) - n_px)[len(values) - n_px :]] = True
    smooth[window] = kept.reshape(blurred.shape)
    return smooth


def smooth_piece(codes: Codes, piece: Mask, sigma_px: float, kept: Mask) -> Codes:
    """Round a piece of a class off; what it leaves goes to what lies beside it.

    Parameters
    ----------
    codes : ndarray, shape (Y, X), uint8
        Of which all of `piece` is alike.
    piece : ndarray of bool, shape (Y, X)
    sigma_px : float
        See `smooth_shape`.
    kept : ndarray of bool, shape (Y, X)
        Pixels beside the piece that it must not take.
    """
    after = codes.copy()
    smooth = smooth_shape(piece, sigma_px)
    after[smooth & ~kept] = codes[piece][0]
    window = window_around(piece, 1)
    inside = piece[window]
    lost = np.argwhere(inside & ~smooth[window])
    rim = np.argwhere(ndimage.maximum_filter(inside, 3) & ~inside)
    if len(lost) and len(rim):
        # A tree for few questions: made in half the time.
        tree = KDTree(rim, balanced_tree=False, compact_nodes=False)
        _, nearest = tree.query(lost)
        after[window][tuple(lost.T)] = codes[window][tuple(rim[nearest].T)]
    return after


def smooth_under(codes: Codes, covered: Mask, sigma_px: float) -> Codes:
    """Give every covered pixel the code that prevails around it.

    Parameters
    ----------
    codes : ndarray, shape (Y, X), uint8
    covered : ndarray of bool, shape (Y, X)
        Where anything may change.
    sigma_px : float
        Standard deviation of the Gaussian with which the surroundings are weighed.
    """
    after = codes.copy()
    if not covered.any():
        return after
    window = window_around(covered, int(np.ceil(_REACH * sigma_px)))
    part = codes[window]
    most = np.zeros(part.shape, np.float32)
    prevailing = part.copy()
    for code in np.unique(part):
        share = ndimage.gaussian_filter(
            (part == code).astype(np.float32), sigma_px, mode="nearest", truncate=_REACH
        )
        more = share > most
        most[more], prevailing[more] = share[more], code
    after[window][covered[window]] = prevailing[covered[window]]
    return after
