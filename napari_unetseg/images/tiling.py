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
    """A piece of an image, with the context it is predicted from.

    Attributes
    ----------
    start, stop : tuple of int
        The part of the image that this tile answers for, in px per spatial axis.
    read_start, read_stop : tuple of int
        The part it is predicted from; it may begin before and end after the image, where the
        image is mirrored. All tiles of a plan have the same ``read_stop - read_start``.
    image_shape : tuple of int
        Of the image, spatial axes alone.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    read_start: tuple[int, ...]
    read_stop: tuple[int, ...]
    image_shape: tuple[int, ...]

    @property
    def read_shape(self) -> tuple[int, ...]:
        """Size of the input, in px per spatial axis."""
        return tuple(
            stop - start for start, stop in zip(self.read_start, self.read_stop, strict=True)
        )

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

    def read(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Cut the input out of an image, mirrored where it ends.

        Parameters
        ----------
        image : ndarray, shape (..., *image_shape)
            Channels first.

        Returns
        -------
        ndarray, shape (..., *read_shape)
            A view where nothing had to be mirrored.
        """
        spans = list(zip(self.read_start, self.read_stop, self.image_shape, strict=True))
        inside = tuple(slice(max(a, 0), min(b, n)) for a, b, n in spans)
        if all(a >= 0 and b <= n for a, b, n in spans):
            where: Any = (..., *inside)
            view: npt.NDArray[Any] = image[where]
            return view
        offset = image.ndim - len(spans)
        for axis, (start, stop, length) in enumerate(spans):
            image = np.take(image, mirrored(start, stop, length), axis=axis + offset)
        return image

    def write(self, output: npt.NDArray[Any], answer: npt.NDArray[Any]) -> None:
        """Copy this tile's part of an answer into `output`, which is modified.

        Parameters
        ----------
        output : ndarray, shape (..., *image_shape)
            The stitched result.
        answer : ndarray, shape (..., *read_shape)
            What the network said about the whole input.
        """
        where: Any = (..., *self.where)
        inner: Any = (..., *self.inner)
        output[where] = answer[inner]


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


def plan_tiles(
    shape: Sequence[int],
    tile: int | Sequence[int],
    halo: int | Sequence[int],
    multiple: int | Sequence[int] = 1,
) -> list[Tile]:
    """Cover an image with tiles of one size whose answers do not overlap.

    Tiles are made as even as possible, so that little beyond the image is computed.

    Parameters
    ----------
    shape : sequence of int
        Of the image in px, spatial axes alone.
    tile : int or sequence of int
        Largest size of an input, halo included.
    halo : int or sequence of int
        Context on every side whose answer is thrown away.
    multiple : int or sequence of int
        What every input size is divisible by: 2 to the number of poolings.

    Returns
    -------
    list of Tile
        In the order of the image, last axis fastest.

    Raises
    ------
    ValueError
        If halo and multiple leave nothing of a tile.
    """
    n_axes = len(shape)
    per_axis = [
        _plan_axis(*settings)
        for settings in zip(
            shape,
            _per_axis(tile, n_axes),
            _per_axis(halo, n_axes),
            _per_axis(multiple, n_axes),
            strict=True,
        )
    ]
    tiles = []
    for spans in product(*per_axis):
        start, stop, read_start, read_stop = zip(*spans, strict=True)
        tiles.append(Tile(start, stop, read_start, read_stop, tuple(shape)))
    return tiles


def _per_axis(value: int | Sequence[int], n_axes: int) -> Sequence[int]:
    return (value,) * n_axes if isinstance(value, int) else value


def _plan_axis(length: int, tile: int, halo: int, multiple: int) -> list[tuple[int, int, int, int]]:
    """Return (start, stop, read_start, read_stop) of each tile along one axis."""
    largest = tile - tile % multiple - 2 * halo
    if largest < 1:
        raise ValueError(
            f"a tile of {tile} px with a halo of {halo} px on both sides and sizes divisible by "
            f"{multiple} leaves nothing to predict"
        )
    n_tiles = -(-length // largest)
    core = -(-length // n_tiles)
    if n_tiles > 1 and -(-core // multiple) * multiple <= largest:
        core = -(-core // multiple) * multiple  # pooling then sees the same grid in every tile
    size = -(-(core + 2 * halo) // multiple) * multiple
    return [
        (start, min(start + core, length), start - halo, start - halo + size)
        for start in range(0, length, core)
    ]
