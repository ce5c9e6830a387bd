"""Histograms of grey values, from which thresholds are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .step import Pixels

#: Bins for values that are not counted one by one; enough for 16 bits with a few hot pixels.
N_BINS = 1024

#: Pixels counted at most; scikit-image adds counts up in float32, which is exact up to here.
_COUNTED_PX = 2**24


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many pixels have which grey value.

    Attributes
    ----------
    counts : ndarray, shape (n,), int64
        The first and the last are not 0.
    grey : ndarray, shape (n,), float64
        The middle of each bin, ascending, evenly spaced.
    lowest : float
        The darkest grey value.
    """

    counts: npt.NDArray[np.int64]
    grey: npt.NDArray[np.float64]
    lowest: float

    @property
    def is_flat(self) -> bool:
        """Whether all pixels are of one bin."""
        return len(self.counts) == 1


def count(images: Sequence[Pixels], n_bins: int = N_BINS, *, exact: bool = True) -> Histogram:
    """Count the grey values of images.

    Parameters
    ----------
    images : sequence of ndarray
        Of any shapes.
    n_bins : int
        For values that are not counted one by one.
    exact : bool
        Whether integers of up to 16 bits are counted one by one whatever their range; if not, bins
        are as wide as keeps their number down to `n_bins`, a whole number of grey values each.
    """
    stride = max(1, -(-sum(image.size for image in images) // _COUNTED_PX))
    flat = [image.ravel()[:: stride if stride == 1 else stride | 1] for image in images]
    low = min(values.min() for values in flat)
    high = max(values.max() for values in flat)
    if all(values.dtype.kind in "iu" and values.dtype.itemsize <= 2 for values in flat):
        span = int(high) - int(low) + 1
        return _of_integers(flat, int(low), span, 1 if exact else -(-span // n_bins))
    if low == high:
        total = sum(values.size for values in flat)
        return Histogram(np.array([total]), np.array([low], np.float64), float(low))
    return _of_floats(flat, low, high, n_bins)


def _of_integers(flat: list[Pixels], low: int, span: int, width: int) -> Histogram:
    counts = np.zeros(span + -span % width, np.int64)
    for values in flat:
        counts[:span] += np.bincount(values.astype(np.intp) - low, minlength=span)
    if width > 1:
        counts = counts.reshape(-1, width).sum(axis=1)
    grey = low + (width - 1) / 2 + width * np.arange(len(counts), dtype=np.float64)
    return Histogram(counts, grey, float(low))


def _of_floats(flat: list[Pixels], low: Any, high: Any, n_bins: int) -> Histogram:
    width = (float(high) - float(low)) / n_bins
    counts = np.zeros(n_bins, np.int64)
    for values in flat:
        bins = ((values - low) * (1 / width)).astype(np.intp)
        counts += np.bincount(np.minimum(bins, n_bins - 1, out=bins), minlength=n_bins)
    grey = float(low) + width * (np.arange(n_bins, dtype=np.float64) + 0.5)
    return Histogram(counts, grey, float(low))
