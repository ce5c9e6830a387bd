"""From edges to areas: what the edges of a plane close off or keep apart."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .method import is_beyond

EdgeOutput: TypeAlias = Literal["regions", "enclosed", "edges"]
Mask: TypeAlias = npt.NDArray[np.bool_]


def widen(edges: Mask, radius_px: int) -> Mask:
    """Return `edges` grown by `radius_px` in every direction, squarely."""
    grown = edges
    for axis in (0, 1):
        # Whole rows at a time: ten times as fast as a maximum filter of scipy.
        along, source = grown.copy(), grown
        for shift in range(1, radius_px + 1):
            _rows(along, axis)[shift:] |= _rows(source, axis)[:-shift]
            _rows(along, axis)[:-shift] |= _rows(source, axis)[shift:]
        grown = along
    return grown


def close_gaps(edges: Mask, radius_px: int) -> Mask:
    """Return `edges` with gaps up to ``2 · radius_px`` px bridged (a morphological closing)."""
    height, width = edges.shape
    grown = widen(np.pad(edges, radius_px), radius_px)
    shrunk = ~widen(~grown, radius_px)
    return shrunk[radius_px : radius_px + height, radius_px : radius_px + width]


def _rows(mask: Mask, axis: int) -> Mask:
    return mask if axis == 0 else mask.T


def fill_regions(
    edges: Mask, grey: npt.NDArray[Any], level: float, foreground: str, *, enclosed: bool
) -> Mask:
    """Return the areas between edges whose mean grey value is on the foreground's side.

    Parameters
    ----------
    edges : ndarray of bool, shape (Y, X)
        Barriers between areas (areas are 4-connected, so a diagonal line is closed).
    grey : ndarray, shape (Y, X)
    level : float
        Grey value halfway up the edges.
    enclosed : bool
        Only areas closed off on all sides, not those that the plane's border cuts.

    Returns
    -------
    ndarray of bool, shape (Y, X)
        Edge pixels connected to a chosen area belong to it if their own grey value is on its
        side: of a wide edge, the inner half.
    """
    areas, n = ndimage.label(~edges)
    sizes = np.bincount(areas.ravel(), minlength=n + 1)
    sums = np.bincount(areas.ravel(), weights=grey.ravel(), minlength=n + 1)
    chosen = is_beyond(sums / np.maximum(sizes, 1), level, foreground)
    if enclosed:
        border = np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])
        chosen[border] = False
    chosen[0] = False  # the edges themselves
    filled = chosen[areas]
    candidates, n = ndimage.label(filled | (edges & is_beyond(grey, level, foreground)))
    belongs = np.zeros(n + 1, bool)
    belongs[candidates[filled]] = True
    belongs[0] = False
    return np.asarray(belongs[candidates])
