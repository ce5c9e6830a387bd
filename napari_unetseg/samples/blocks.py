"""Planes as small squares, whose pixels are worked on together."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .fields import Floats

_T = TypeVar("_T", bound=np.generic)


def to_blocks(plane: Floats, side: int) -> Floats:
    """Cut (Y, X) into (blocks, pixels), repeating the edge where blocks do not fit."""
    height, width = plane.shape
    plane = np.pad(plane, ((0, -height % side), (0, -width % side)), mode="edge")
    n_y, n_x = plane.shape[0] // side, plane.shape[1] // side
    cut = plane.reshape(n_y, side, n_x, side).swapaxes(1, 2)
    return cut.reshape(n_y * n_x, side * side)


def from_blocks(blocks: npt.NDArray[_T], shape: tuple[int, int], side: int) -> npt.NDArray[_T]:
    """Put (blocks, pixels) together to a plane of some shape."""
    height, width = shape
    n_y, n_x = -(-height // side), -(-width // side)
    plane = blocks.reshape(n_y, n_x, side, side).swapaxes(1, 2)
    return plane.reshape(n_y * side, n_x * side)[:height, :width]
