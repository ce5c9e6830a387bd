"""From edges to areas: what edges close off or keep apart."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .method import is_beyond

EdgeOutput: TypeAlias = Literal["regions", "enclosed", "watershed", "edges"]
Mask: TypeAlias = npt.NDArray[np.bool_]


def widen(edges: Mask, radius_px: int) -> Mask:
    """Return `edges`, shape (…, Y, X), grown by `radius_px` along Y and X, squarely."""
    grown = edges
    for axis in (-2, -1):
        # Whole rows at a time: ten times as fast as a maximum filter of scipy.
        along = grown.copy()
        rows, source = np.moveaxis(along, axis, 0), np.moveaxis(grown, axis, 0)
        for shift in range(1, radius_px + 1):
            rows[shift:] |= source[:-shift]
            rows[:-shift] |= source[shift:]
        grown = along
    return grown


def close_gaps(edges: Mask, radius_px: int) -> Mask:
    """Return `edges` with gaps along Y and X up to ``2 · radius_px`` px bridged (a closing)."""
    if radius_px == 0:
        return edges
    height, width = edges.shape[-2:]
    around = [(0, 0)] * (edges.ndim - 2) + [(radius_px, radius_px)] * 2
    grown = widen(np.pad(edges, around), radius_px)
    shrunk = ~widen(~grown, radius_px)
    return shrunk[..., radius_px : radius_px + height, radius_px : radius_px + width]


def fill_regions(
    edges: Mask,
    grey: npt.NDArray[Any],
    level: float,
    foreground: str,
    *,
    enclosed: bool,
    wide: bool = False,
) -> Mask:
    """Return the areas between edges whose mean grey value is on the foreground's side.

    Parameters
    ----------
    edges : ndarray of bool, shape (Y, X) or (Z, Y, X)
        Barriers between areas (pixels of an area share sides, so a diagonal line is closed).
    grey : ndarray, shape of `edges`
    level : float
        Grey value halfway up the edges.
    enclosed : bool
        Only areas closed off on all sides, not those that the image's border cuts.
    wide : bool
        Whether structures may be so small or thin that they are edges throughout.

    Returns
    -------
    ndarray of bool, shape of `edges`
        Edge pixels connected to a chosen area belong to it if their own grey value is on its
        side: of a wide edge, the inner half. Where edges are `wide` and areas need not be enclosed,
        others on that side are structures of their own.
    """
    areas, n = ndimage.label(~edges)
    chosen = _beyond(areas, n, grey, level, foreground)
    if enclosed:
        for axis in range(areas.ndim):
            chosen[areas.take((0, -1), axis)] = False
    filled = chosen[areas]
    candidates = filled | (edges & is_beyond(grey, level, foreground))
    if wide and not enclosed:
        return np.asarray(candidates)
    candidates, n = ndimage.label(candidates)
    belongs = np.zeros(n + 1, bool)
    belongs[candidates[filled]] = True
    belongs[0] = False
    return np.asarray(belongs[candidates])


def flood_regions(
    relief: npt.NDArray[Any], grey: npt.NDArray[Any], level: float, foreground: str
) -> Mask:
    """Return the areas between the steepest lines whose mean grey value is the foreground's.

    A watershed from the flattest places: areas grow from there until they meet.

    Parameters
    ----------
    relief : ndarray, shape (Y, X) or (Z, Y, X)
        What is flooded from all its minima, such as the norm of the gradient.
    grey : ndarray, shape of `relief`
    level : float
        Grey value halfway up the edges.

    Returns
    -------
    ndarray of bool, shape of `relief`

    References
    ----------
    S. Beucher and F. Meyer, "The morphological approach to segmentation: the watershed
    transformation", in: Mathematical Morphology in Image Processing, Marcel Dekker 1993, 433–481.
    """
    # Takes a while to import, and forms are made from modules that import this one.
    from skimage.segmentation import watershed

    basins = watershed(relief)  # type: ignore[no-untyped-call]
    return np.asarray(_beyond(basins, int(basins.max()), grey, level, foreground)[basins])


def _beyond(
    areas: npt.NDArray[Any], n: int, grey: npt.NDArray[Any], level: float, foreground: str
) -> Mask:
    """Return which of `n` areas have a mean grey value on the foreground's side; not area 0."""
    sizes = np.bincount(areas.ravel(), minlength=n + 1)
    sums = np.bincount(areas.ravel(), weights=grey.ravel(), minlength=n + 1)
    chosen = is_beyond(sums / np.maximum(sizes, 1), level, foreground)
    chosen[0] = False
    return chosen
