"""How much discs and balls overlap, and which to leave out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def without_overlaps(blobs: Floats, spacing_px: Sequence[float], most: float) -> Floats:
    """Leave out what overlaps with an earlier blob that is kept.

    Parameters
    ----------
    blobs : ndarray, shape (n, axes + 1)
        Centres in steps of each axis, then radii in px; the best first.
    spacing_px : sequence of float
        A step along each axis, in px.
    most : float
        Share of the smaller blob that may lie in the other, in [0, 1].
    """
    if len(blobs) < 2:
        return blobs
    # Forms are made from the module that imports this.
    from scipy.spatial import cKDTree

    centres, radii = blobs[:, :-1] * np.asarray(spacing_px), blobs[:, -1]
    pairs = cKDTree(centres).query_pairs(2 * radii.max(), output_type="ndarray")
    pairs = pairs[np.lexsort(pairs.T[::-1])]
    first, second = pairs.T
    distance = np.linalg.norm(centres[first] - centres[second], axis=1)
    overlap = share_of_smaller(distance, radii[first], radii[second], centres.shape[1])
    is_kept = np.ones(len(blobs), bool)
    for better, worse in pairs[overlap > most]:
        if is_kept[better]:
            is_kept[worse] = False
    return blobs[is_kept]


def share_of_smaller(distance: Floats, r1: Floats, r2: Floats, ndim: int) -> Floats:
    """Return which share of the smaller of two discs (balls for `ndim` 3) lies in the other.

    >>> share_of_smaller(np.array([0.0, 1.0, 3.0]), np.ones(3), np.ones(3), 2).round(3)
    array([1.   , 0.391, 0.   ])
    """
    small, large = np.minimum(r1, r2), np.maximum(r1, r2)
    d = np.clip(distance, np.maximum(large - small, 1e-9), large + small)
    if ndim == 3:
        lens = np.pi / (12 * d) * (large + small - d) ** 2
        lens *= d**2 + 2 * d * (large + small) - 3 * (large - small) ** 2
        return np.asarray(lens / (4 / 3 * np.pi * small**3))
    near = (d**2 + small**2 - large**2) / (2 * d * small)
    far = (d**2 + large**2 - small**2) / (2 * d * large)
    near, far = np.clip(near, -1, 1), np.clip(far, -1, 1)
    kite = (small + large - d) * (d + small - large) * (d - small + large) * (d + small + large)
    lens = small**2 * np.arccos(near) + large**2 * np.arccos(far)
    lens -= np.sqrt(np.maximum(kite, 0)) / 2
    return np.asarray(lens / (np.pi * small**2))
