"""An image in the few colours of its clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .step import Pixels


def quantised(labels: npt.NDArray[np.integer[Any]], pixels: Pixels) -> Pixels:
    """Paint each pixel with the mean of its group: an image of few colours.

    Parameters
    ----------
    labels : ndarray, shape (Y, X) or (Z, Y, X)
        Codes of clusters, ids of superpixels, or any other labels.
    pixels : ndarray, shape (C, Y, X) or (C, Z, Y, X)
        The image.

    Returns
    -------
    ndarray, shape and dtype of `pixels`

    Examples
    --------
    >>> quantised(np.array([[1, 1, 2]]), np.array([[[10, 20, 200]]], np.uint8)).tolist()
    [[[15, 15, 200]]]
    """
    groups = labels.ravel()
    n_px = np.maximum(np.bincount(groups), 1)
    painted = np.empty_like(pixels)
    for channel, out in zip(pixels, painted, strict=True):
        means = np.bincount(groups, channel.ravel()) / n_px
        if pixels.dtype.kind in "iu":
            means = means.round()
        out[...] = means.astype(pixels.dtype)[labels]
    return painted
