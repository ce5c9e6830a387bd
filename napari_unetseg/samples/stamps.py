"""Small round things drawn with subpixel positions."""

from __future__ import annotations

import numpy as np

from .fields import Floats


def stamp_rings(plane: Floats, at: Floats, radius: Floats, rim_px: float, weight: Floats) -> None:
    """Add soft rings to a plane, in place; those over the edge are cut.

    Parameters
    ----------
    plane : ndarray, shape (Y, X)
        Changed in place.
    at : ndarray, shape (n, 2)
        Centres, y and x in px.
    radius, weight : ndarray, shape (n,)
        Of the rim's middle, in px (0 draws a disc as wide as the rim); and how much to add there.
    rim_px : float
        Standard deviation of the rim's profile.
    """
    if not len(at):
        return
    half = int(np.ceil(radius.max() + 3 * rim_px)) + 1
    offsets = np.arange(-half, half + 1)
    y = np.floor(at[:, 0, None, None]).astype(int) + offsets[None, :, None]
    x = np.floor(at[:, 1, None, None]).astype(int) + offsets[None, None, :]
    distance = np.sqrt((y - at[:, 0, None, None]) ** 2 + (x - at[:, 1, None, None]) ** 2)
    profile = np.exp(-0.5 * ((distance - radius[:, None, None]) / rim_px) ** 2)
    profile *= weight[:, None, None]
    height, width = plane.shape
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    flat = (y * width + x)[inside]
    plane += np.bincount(flat, profile[inside], plane.size).reshape(plane.shape)
