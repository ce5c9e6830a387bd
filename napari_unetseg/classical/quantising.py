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
    means = group_means(labels, pixels)
    if pixels.dtype.kind in "iub":
        means = means.round()
    painted = np.empty_like(pixels)
    for of_groups, out in zip(means.T, painted, strict=True):
        out[...] = of_groups.astype(pixels.dtype)[labels]
    return painted


def group_means(labels: npt.NDArray[np.integer[Any]], pixels: Pixels) -> npt.NDArray[np.float64]:
    """Return the mean of each group, shape (groups, C); row ``k`` is that of label ``k``.

    Parameters
    ----------
    labels : ndarray, shape (Y, X) or (Z, Y, X)
    pixels : ndarray, shape (C, Y, X) or (C, Z, Y, X)
    """
    groups = labels.ravel()
    n_px = np.maximum(np.bincount(groups), 1)
    return np.stack([np.bincount(groups, channel.ravel()) / n_px for channel in pixels], axis=1)
