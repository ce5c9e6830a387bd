"""Grey values of images of any dtype, smoothed and sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

#: Pixels that a percentile is taken from; 1024 × 1024 fits with every sixteenth pixel.
_SAMPLE_PX = 65536


def intensity(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return one grey value per pixel: the mean of the channels.

    Parameters
    ----------
    pixels : ndarray, shape (C, Y, X) or (C, Z, Y, X), any dtype

    Returns
    -------
    ndarray, shape (Y, X) or (Z, Y, X)
        float32 for up to 16 bits per pixel, else float64, so that no grey value is rounded away.
    """
    working = working_dtype(pixels.dtype)
    if pixels.shape[0] == 1:
        return np.asarray(pixels[0], working)
    return np.asarray(pixels.mean(axis=0, dtype=working))


def working_dtype(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    """Return the float type that holds every value of `dtype` up to 64 bits' last few."""
    fits = dtype.itemsize <= 2 or dtype == np.float32
    return np.float32 if fits else np.float64


def smoothed(image: npt.NDArray[Any], sigma_px: float | tuple[float, ...]) -> npt.NDArray[Any]:
    """Return `image` after a Gaussian; mirrored beyond its borders.

    Parameters
    ----------
    image : ndarray, shape (Y, X) or (Z, Y, X), float
    sigma_px : float or tuple of float
        Standard deviation along all axes, or along each, in steps of that axis.
    """
    if not np.any(sigma_px):
        return image
    return np.asarray(ndimage.gaussian_filter(image, sigma_px, mode="reflect"))


def sample(images: Sequence[npt.NDArray[Any]], n: int = _SAMPLE_PX) -> npt.NDArray[Any]:
    """Return about `n` values of `images`, evenly spread, always the same ones.

    The stride is odd, so that it walks through the columns of images whose width is even.
    """
    total = sum(image.size for image in images)
    stride = max(1, total // n) | 1
    return np.concatenate([image.ravel()[::stride] for image in images])


def thinned(features: npt.NDArray[Any], n: int = 4 * _SAMPLE_PX) -> npt.NDArray[Any]:
    """Return about `n` pixels of `features`, shape (F, Y, X), evenly spread, as (F, n)."""
    pixels = features.reshape(features.shape[0], -1)
    return pixels[:, :: max(1, pixels.shape[1] // n) | 1].copy()
