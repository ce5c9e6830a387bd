"""Pieces split with a line, and joined along one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND

from .brush import covered_by_brush, pixels_along
from .pieces import Mask, number_pieces

Codes = npt.NDArray[np.uint8]
Path = npt.NDArray[np.float64]


def cut_along(codes: Codes, path: Path) -> Mask | None:
    """Return the pixels of a cut through the piece of which a line crosses most.

    It is as thin as it can be without the parts touching at a corner.

    Parameters
    ----------
    codes : ndarray, shape (Y, X), uint8
    path : ndarray, shape (n, 2)
        (y, x) in px.

    Returns
    -------
    ndarray of bool, shape (Y, X)
        None where the line crosses no class.
    """
    rows, columns = pixels_along(path, _shape(codes))
    pieces = number_pieces(codes)
    crossed = np.bincount(pieces[rows, columns], minlength=2)
    crossed[0] = 0
    if not crossed.any():
        return None
    inside = pieces[rows, columns] == crossed.argmax()
    cut = np.zeros(codes.shape, bool)
    cut[rows[inside], columns[inside]] = True
    return cut


def bridge_along(codes: Codes, path: Path, brush_px: float) -> tuple[Mask, int] | None:
    """Return the gap that a line crosses between two pieces of a class, and their code.

    Parameters
    ----------
    codes : ndarray, shape (Y, X), uint8
    path : ndarray, shape (n, 2)
        (y, x) in px, from one piece to the other.
    brush_px : float
        Width of the bridge.

    Returns
    -------
    gap : ndarray of bool, shape (Y, X)
        Background and unlabelled pixels; those of other classes stay.
    code : int
        None in place of both where the line does not lead from one piece to another of its class.
    """
    rows, columns = pixels_along(path, _shape(codes))
    pieces = number_pieces(codes)[rows, columns]
    met = np.flatnonzero(pieces)
    if not len(met):
        return None
    first, last = met[0], met[-1]
    code = codes[rows[first], columns[first]]
    if pieces[first] == pieces[last] or code != codes[rows[last], columns[last]]:
        return None
    # From where the line leaves the first piece for good to where it then comes to the other.
    left = np.flatnonzero(pieces == pieces[first])[-1]
    reached = left + np.flatnonzero(pieces[left:] == pieces[last])[0]
    between = np.stack((rows, columns), axis=1)[left : reached + 1].astype(np.float64)
    gap = covered_by_brush(between, brush_px, _shape(codes)) & (codes <= BACKGROUND)
    return gap, int(code)


def _shape(codes: Codes) -> tuple[int, int]:
    height, width = codes.shape
    return height, width
