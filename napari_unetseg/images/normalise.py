"""Grey values as numbers near [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import NormalisationConfig

from .sampling import sample_pixels
from .stack import Stack

#: How far from 0 a scaled value may lie. A hot pixel would else outweigh all others, or be more
#: than the half precision in which training keeps pixels can hold.
LARGEST = 100.0


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Which grey values become 0 and 1, per channel.

    Attributes
    ----------
    low, high : tuple of float
        One per channel, ``high > low``.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def apply(self, plane: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Scale a slice linearly; values outside `low` … `high` lie outside [0, 1], up to ±100.

        Parameters
        ----------
        plane : ndarray, shape (C, Y, X)
            Of any integer or float type.

        Returns
        -------
        ndarray, shape (C, Y, X), float32
        """
        # float32 counts whole numbers to 2²⁴; wider types subtract in float64 first.
        working: Any = np.float32 if plane.dtype.itemsize <= 2 else np.float64
        low = np.array(self.low)[:, None, None]
        span = np.array(self.high)[:, None, None] - low
        scaled = plane.astype(working)
        scaled -= low.astype(working)
        scaled /= span.astype(working)
        np.clip(scaled, -LARGEST, LARGEST, out=scaled)
        result: npt.NDArray[np.float32] = scaled.astype(np.float32, copy=False)
        return result


def fit_normalisation(stack: Stack, config: NormalisationConfig) -> Normalisation:
    """Take percentiles of each channel from a regular sample of a stack's pixels."""
    return normalisation_of(sample_pixels(stack), config)


def normalisation_of(sample: npt.NDArray[Any], config: NormalisationConfig) -> Normalisation:
    """Take percentiles of each channel from some pixels.

    Where the percentiles coincide, as in an image that is almost all background, the sample's
    extremes take their place, and 0 … 1 above a constant.

    Parameters
    ----------
    sample : ndarray, shape (C, n)
    config : NormalisationConfig
    """
    sample = sample.astype(np.float64)
    asked = (config.low_percentile, config.high_percentile)
    low, high = np.percentile(sample, asked, axis=1)
    flat = high <= low
    low = np.where(flat, sample.min(axis=1), low)
    high = np.where(flat, sample.max(axis=1), high)
    high = np.where(high <= low, low + 1, high)
    return Normalisation(tuple(low.tolist()), tuple(high.tolist()))
