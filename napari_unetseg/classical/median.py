"""The median of what lies around each pixel, by the way that is quickest for its number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .step import Pixels

#: Up to so many pixels around each, orders of whole rows are quicker than all else.
_FEW = 120

#: Pixels that are put in order at once: what a processor keeps at hand.
_AT_ONCE = 32768


def median(channel: Pixels, footprint: npt.NDArray[np.bool_]) -> Pixels:
    """Return the median of the pixels in a footprint, of the image mirrored beyond its edges.

    On 1024 × 1024 uint16 a disc of 3 px takes 25 ms, where `scipy.ndimage.median_filter` takes 400.

    Parameters
    ----------
    channel : ndarray, any dtype
    footprint : ndarray of bool, odd along each axis, with an odd number of pixels

    Returns
    -------
    ndarray
        Of the same shape and dtype.

    References
    ----------
    A. W. Paeth, "Median finding on a 3 × 3 grid", Graphics Gems (1990) 171–175, which forgets the
    smallest and the largest of some of the values, and takes in another, until one is left;
    T. S. Huang, G. J. Yang and G. Y. Tang, "A fast two-dimensional median filtering algorithm",
    IEEE Transactions on Acoustics, Speech, and Signal Processing 27 (1979) 13–18, for large discs.
    """
    if footprint.sum() <= _FEW:
        return _by_forgetting(channel, footprint)
    if channel.dtype == np.uint8 and channel.ndim == 2:
        return _by_histograms(channel, footprint)
    return np.asarray(ndimage.median_filter(channel, footprint=footprint, mode="reflect"))


def _by_forgetting(channel: Pixels, footprint: npt.NDArray[np.bool_]) -> Pixels:
    padded = np.pad(channel, [(size // 2, size // 2) for size in footprint.shape], "symmetric")
    offsets = np.argwhere(footprint)
    rows = max(1, _AT_ONCE // max(1, channel[0].size))
    out = np.empty_like(channel)
    for first in range(0, len(channel), rows):
        part = out[first : first + rows]
        around = []
        for offset in offsets:
            begins = (first + offset[0], *offset[1:])
            where = (slice(b, b + n) for b, n in zip(begins, part.shape, strict=True))
            around.append(padded[tuple(where)])
        part[...] = _middle(around)
    return out


def _middle(values: list[Pixels]) -> Pixels:
    """Return the median of an odd number of images, pixel by pixel.

    One more than half of them hold the median between their extremes, which can be forgotten.
    """
    n = len(values) // 2 + 2
    kept, rest = [value.copy() for value in values[:n]], values[n:]
    while len(kept) > 1:
        last = len(kept) - 1
        for i in range(len(kept) // 2):
            _put_in_order(kept[i], kept[last - i])
        for i in range(1, (len(kept) + 1) // 2):
            _put_in_order(kept[0], kept[i])
        for i in range(len(kept) // 2, last):
            _put_in_order(kept[i], kept[last])
        kept = kept[1:-1]
        if rest:
            kept.append(rest.pop().copy())
    return kept[0]


def _put_in_order(low: Pixels, high: Pixels) -> None:
    lower = np.minimum(low, high)
    np.maximum(low, high, out=high)
    low[...] = lower


def _by_histograms(channel: Pixels, footprint: npt.NDArray[np.bool_]) -> Pixels:
    from skimage.filters import rank

    reach = footprint.shape[0] // 2
    padded = np.pad(channel, reach, mode="symmetric")
    found = rank.median(padded, footprint.astype(np.uint8))  # type: ignore[no-untyped-call]
    return np.asarray(found[reach:-reach, reach:-reach])
