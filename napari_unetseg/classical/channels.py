"""Channels of any dtype made alike, and the steepness of all of them together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .grey import intensity, sample, smoothed, working_dtype
from .step import View

#: The grey values of a channel run between these percentiles; beyond them are hot and dead pixels.
_RANGE_PERCENTILES = (0.1, 99.9)


def smooth_channels(view: View, sigma_px: float) -> npt.NDArray[Any]:
    """Return every channel after a Gaussian, in grey values of the image.

    Returns
    -------
    ndarray, shape (C, …), float32, or float64 for images of more than 16 bits
    """
    pixels = view.pixels.astype(working_dtype(view.pixels.dtype), copy=False)
    return np.stack([smoothed(channel, view.per_axis(sigma_px)) for channel in pixels])


def grey_range(grey: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the darkest and the brightest grey value, hot and dead pixels left out."""
    low, high = np.percentile(sample([grey]).astype(float), _RANGE_PERCENTILES)
    if low == high:  # all but a few pixels are alike
        return float(grey.min()), float(grey.max())
    return float(low), float(high)


def unit_range(grey: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return grey values as shares of their range, 0 to 1; hot and dead pixels lie outside."""
    low, high = grey_range(grey)
    return np.asarray((grey - low) / max(high - low, np.finfo(grey.dtype).tiny), np.float32)


def unit_channels(view: View, sigma_px: float) -> npt.NDArray[np.float32]:
    """Return every channel after a Gaussian, each as shares of its range, shape (C, …)."""
    return np.stack([unit_range(channel) for channel in smooth_channels(view, sigma_px)])


def unit_intensity(view: View) -> npt.NDArray[np.float32]:
    """Return the mean of the channels as shares of its range, shape without C."""
    return unit_range(intensity(view.pixels))


def steepness(view: View, sigma_px: float) -> npt.NDArray[np.float32]:
    """Return the length of the gradient of all channels together, per px of Y and X.

    Derivatives are central differences of the smoothed channels, each channel in shares of its
    range, so that a dim one counts as much as a bright one.
    """
    square: npt.NDArray[np.float32] = np.zeros(view.shape, np.float32)
    for channel in unit_channels(view, sigma_px):
        for axis, step_px in enumerate(view.per_axis(1.0)):
            slope = ndimage.correlate1d(channel, np.array([-0.5, 0, 0.5]) * step_px, axis)
            slope *= slope
            square += slope
    return np.sqrt(square, out=square)
