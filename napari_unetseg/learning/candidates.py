"""Parts of slices that could be annotated next, and how near they are to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_unetseg.annotations import BLOCK_PX
from napari_unetseg.annotations.held_out import box_layers
from napari_unetseg.images import Stack

from .data import TrainingImage


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a slice.

    Attributes
    ----------
    image : int
        Which of several.
    plane : int
        Along the flattened T · Z axis.
    y, x, height, width : int
        In px.
    """

    image: int
    plane: int
    y: int
    x: int
    height: int
    width: int

    def cells(self, side_px: int) -> tuple[slice, slice]:
        """Return rows and columns of the squares of a side that it lies in, whole or in part."""
        along_y = slice(self.y // side_px, -(-(self.y + self.height) // side_px))
        return along_y, slice(self.x // side_px, -(-(self.x + self.width) // side_px))


def regions_of_slice(image: int, stack: Stack, plane: int, side_px: int) -> list[Region]:
    """Cover a slice with regions that overlap by half; of a smaller one, all of it is one."""
    height, width = (min(n, side_px) for n in stack.plane_shape)
    rows, columns = (_starts(n, side_px) for n in stack.plane_shape)
    return [Region(image, plane, y, x, height, width) for y in rows for x in columns]


def _starts(length: int, side: int) -> list[int]:
    """List where regions begin along an axis, of which the last ends with the slice.

    >>> _starts(600, 256)
    [0, 128, 256, 344]
    """
    last = max(0, length - side)
    return [*range(0, last, max(1, side // 2)), last]


def touched_squares(image: TrainingImage, plane: int) -> npt.NDArray[np.bool_]:
    """Return in which squares of a slice anything is annotated: shape (blocks_y, blocks_x)."""
    painted = image.codes[plane] > 0
    starts = [np.arange(0, n, BLOCK_PX) for n in painted.shape]
    rows = np.logical_or.reduceat(painted, starts[0], axis=0)
    squares: npt.NDArray[np.bool_] = np.logical_or.reduceat(rows, starts[1], axis=1)
    return squares


def touched_share(region: Region, squares: npt.NDArray[np.bool_]) -> float:
    """Return in which share of the squares that a region lies in anything is annotated."""
    return float(squares[region.cells(BLOCK_PX)].mean())


class Nearness:
    """How near regions of some stacks are to each other, from 0, apart, to 1, the same.

    The share of a region that another one covers. From slice to slice it falls linearly, to 0 at
    as many sections as a box of held-out annotations has, which is about as deep as it is wide:
    what lies within it is likely to show the same structures.

    Parameters
    ----------
    stacks : sequence of Stack
    """

    def __init__(self, stacks: Sequence[Stack]) -> None:
        self._depths = [stack.size("Z") for stack in stacks]
        self._reach = [int(np.bincount(box_layers(stack)).max()) for stack in stacks]

    def to(self, here: Region, regions: Sequence[Region]) -> npt.NDArray[np.float64]:
        """Return how near each of several regions is to one: shape (regions,)."""
        return np.fromiter((self._pair(here, there) for there in regions), float, len(regions))

    def _pair(self, a: Region, b: Region) -> float:
        if a.image != b.image:
            return 0.0
        (frame_a, z_a), (frame_b, z_b) = (divmod(r.plane, self._depths[a.image]) for r in (a, b))
        along_z = 1 - abs(z_a - z_b) / self._reach[a.image]
        if frame_a != frame_b or along_z <= 0:
            return 0.0
        return along_z * _overlap(a.y, b.y, a.height) * _overlap(a.x, b.x, a.width)


def _overlap(a: int, b: int, side: int) -> float:
    return max(0.0, 1 - abs(a - b) / side)
