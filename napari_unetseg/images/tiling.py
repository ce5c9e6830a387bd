"""Overlap tiles: a part of an image is predicted from a larger, mirrored surrounding.

O. Ronneberger, P. Fischer and T. Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015, figure 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Tile:
    """A box of an image, with the context it is predicted from.

    Attributes
    ----------
    start, stop : tuple of int
        The part of the image that this tile answers for, in px per spatial axis.
    read_start, read_stop : tuple of int
        The part it is predicted from; it may begin before and end after the image, where the
        image is mirrored.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    read_start: tuple[int, ...]
    read_stop: tuple[int, ...]

    @property
    def where(self) -> tuple[slice, ...]:
        """Where the answer belongs in the image."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def inner(self) -> tuple[slice, ...]:
        """Where the answer is in the output for the whole input."""
        return tuple(
            slice(a - r, b - r)
            for a, b, r in zip(self.start, self.stop, self.read_start, strict=True)
        )


def mirrored(start: int, stop: int, length: int) -> npt.NDArray[np.intp]:
    """List indices from `start` to `stop`, reflected at both ends of an axis, ends not repeated.

    >>> mirrored(-2, 5, 4).tolist()
    [2, 1, 0, 1, 2, 3, 2]
    """
    if length == 1:
        return np.zeros(stop - start, np.intp)
    period = 2 * (length - 1)
    phase = np.arange(start, stop) % period
    return np.minimum(phase, period - phase).astype(np.intp)


def read_mirrored(
    image: npt.NDArray[Any], start: Sequence[int], stop: Sequence[int]
) -> npt.NDArray[Any]:
    """Cut a box out of the last axes of an image, mirrored where the image ends.

    Parameters
    ----------
    image : ndarray, shape (…, *spatial)
    start, stop : sequence of int
        In px per spatial axis; any of them may lie outside the image.

    Returns
    -------
    ndarray, shape (…, *(stop − start))
        A view where nothing had to be mirrored.
    """
    spans = list(zip(start, stop, image.shape[-len(start) :], strict=True))
    if all(a >= 0 and b <= n for a, b, n in spans):
        where: Any = (..., *(slice(a, b) for a, b, _ in spans))
        view: npt.NDArray[Any] = image[where]
        return view
    for axis, (first, last, length) in enumerate(spans, -len(spans)):
        image = np.take(image, mirrored(first, last, length), axis=axis)
    return image


def plan_tiles(
    shape: Sequence[int],
    kept: Sequence[int],
    halo: Sequence[int],
    border: Sequence[int],
    multiple: Sequence[int],
    *,
    start: Sequence[int] | None = None,
    stop: Sequence[int] | None = None,
) -> list[Tile]:
    """Cover an image, or a box of it, with tiles whose answers do not overlap and meet exactly.

    Every tile is read from a multiple of `multiple` to another, so that poolings see one grid,
    and with the halo around what is kept of it, but never further than `border` beyond the image.

    Parameters
    ----------
    shape : sequence of int
        Of the image in px, spatial axes alone; the other parameters have as many entries.
    kept : sequence of int
        Largest size of the part of a tile that is kept; see `even_size`.
    halo : sequence of int
        Context that an answer needs on every side, a multiple.
    border : sequence of int
        Mirrored around the image, a multiple.
    multiple : sequence of int
        What is divisible by it has even poolings: 2 to the number of poolings.
    start, stop : sequence of int, optional
        The box to cover; all of the image where left out.

    Returns
    -------
    list of Tile
        In the order of the image, last axis fastest.
    """
    start = [0] * len(shape) if start is None else start
    stop = shape if stop is None else stop
    per_axis = [
        _plan_axis(*axis)
        for axis in zip(shape, kept, halo, border, multiple, start, stop, strict=True)
    ]
    return [Tile(*zip(*spans, strict=True)) for spans in product(*per_axis)]


def even_size(length: int, kept: int, multiple: int) -> int:
    """Return the size of tiles as even as their number allows, a multiple.

    >>> even_size(100, 64, 16)
    64
    >>> even_size(130, 64, 16)
    48
    """
    n_tiles = -(-length // (-(-kept // multiple) * multiple))
    return -(-length // (n_tiles * multiple)) * multiple


def _plan_axis(
    length: int, kept: int, halo: int, border: int, multiple: int, start: int, stop: int
) -> list[tuple[int, int, int, int]]:
    """Return (start, stop, read_start, read_stop) of each tile along one axis."""
    base = start - start % multiple
    size = even_size(stop - base, kept, multiple)
    end = -(-length // multiple) * multiple + border
    spans = []
    for first in range(base, stop, size):
        last = min(first + size, stop)
        read_stop = -(-last // multiple) * multiple + halo
        spans.append((max(first, start), last, max(-border, first - halo), min(end, read_stop)))
    return spans
