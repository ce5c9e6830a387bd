"""Channels of any dtype made alike, and the steepness of all of them together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .grey import smoothed, working_dtype
from .step import View

#: The brightest grey value is one that so many pixels reach, the darkest likewise: fewer, or fewer
#: than a thousandth of an image, may be hot or dead. A percentile would overlook a few small spots.
_COUNTING_PX = 30


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
    left_out = min(_COUNTING_PX, grey.size // 1000)
    ends = np.partition(grey.ravel(), [left_out, grey.size - 1 - left_out])
    low, high = float(ends[left_out]), float(ends[grey.size - 1 - left_out])
    if low == high:  # all but a few pixels are alike
        return float(grey.min()), float(grey.max())
    return low, high


def unit_range(
    grey: npt.NDArray[Any], ends: tuple[float, float] | None = None
) -> npt.NDArray[np.float32]:
    """Return grey values, float, as shares of their range, or that given, from 0 to 1."""
    low, high = grey_range(grey) if ends is None else ends
    if low == high:
        return np.zeros(grey.shape, np.float32)
    shares = (np.clip(grey, low, high) - low) / (high - low)
    return np.asarray(shares, np.float32)


def unit_channels(view: View, sigma_px: float) -> npt.NDArray[np.float32]:
    """Return every channel after a Gaussian, as shares of the widest range among them, (C, …).

    A channel with nothing but noise stays faint beside the others.
    """
    channels = smooth_channels(view, sigma_px)
    ends = [grey_range(channel) for channel in channels]
    widest = max(high - low for low, high in ends)
    return np.stack(
        [
            unit_range(channel, (low, high)) * np.float32((high - low) / (widest or 1.0))
            for channel, (low, high) in zip(channels, ends, strict=True)
        ]
    )


def steepness(view: View, sigma_px: float) -> npt.NDArray[np.float32]:
    """Return the length of the gradient of all channels together, per px of Y and X.

    Derivatives are central differences of the smoothed channels, in shares of the widest range of
    a channel.
    """
    square: npt.NDArray[np.float32] = np.zeros(view.shape, np.float32)
    for channel in unit_channels(view, sigma_px):
        for axis, step_px in enumerate(view.per_axis(1.0)):
            slope = ndimage.correlate1d(channel, np.array([-0.5, 0, 0.5]) * step_px, axis)
            slope *= slope
            square += slope
    return np.sqrt(square, out=square)
