"""Which annotated pixels are kept to score with, decided once and for good.

Space is divided into squares of `BLOCK_PX` in each slice. When a square first gets an annotation
it is decided whether it trains or is held out, so that scores of one round compare with those of
the next, whatever is painted in between.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

#: Side of a block, in px.
BLOCK_PX = 64

#: About one annotated block in this many is held out, of each class and in each slice.
ONE_IN = 8

#: With fewer annotated pixels than this in the whole stack, every one of them trains.
MIN_LABELLED_PX = 2000

UNDECIDED, TRAINS, HELD_OUT = 0, 1, 2


def new_blocks(shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Return the blocks of a stack in which nothing is annotated yet.

    Parameters
    ----------
    shape : tuple of int
        Of the annotations: planes, height and width in px.

    Returns
    -------
    ndarray, shape (planes, blocks_y, blocks_x), uint8
        0 undecided, 1 trains, 2 held out.
    """
    n_planes, height, width = shape
    return np.zeros((n_planes, -(-height // BLOCK_PX), -(-width // BLOCK_PX)), np.uint8)


def assign_blocks(
    codes: npt.NDArray[np.uint8],
    blocks: npt.NDArray[np.uint8],
    planes: Iterable[int] | None = None,
) -> None:
    """Decide every block that has annotations and is undecided; `blocks` is changed in place.

    A block is held out when a class in it has fewer than one in `ONE_IN` of its blocks held out
    so far, unless the slice has its share already. The order is a fixed shuffle of the blocks, so
    the same annotations in the same order give the same decision.

    Parameters
    ----------
    codes : ndarray, shape (planes, Y, X), uint8
        Annotations: 0 unlabelled.
    blocks : ndarray, shape (planes, blocks_y, blocks_x), uint8
        As from `new_blocks`.
    planes : iterable of int, optional
        Slices in which something may be new; all by default.
    """
    changed = list(range(len(codes)) if planes is None else planes)
    new: list[tuple[int, int, int]] = []
    presence = {}
    for plane in changed:
        presence[plane] = _classes_per_block(codes[plane])
        annotated = presence[plane].any(axis=0)
        new += [(plane, y, x) for y, x in np.argwhere(annotated & (blocks[plane] == UNDECIDED))]
    if not new:
        return
    decided = [int(p) for p in np.flatnonzero(blocks.any(axis=(1, 2)))]
    for plane in decided:
        if plane not in presence:
            presence[plane] = _classes_per_block(codes[plane])
    labelled_px = sum(int(np.count_nonzero(codes[plane])) for plane in presence)
    if labelled_px < MIN_LABELLED_PX:
        for where in new:
            blocks[where] = TRAINS
        return
    tally = _Tally(presence, blocks)
    for where in sorted(new, key=_shuffle_key):
        plane, y, x = where
        blocks[where] = tally.decide(plane, np.flatnonzero(presence[plane][:, y, x]))


def held_out_mask(
    blocks: npt.NDArray[np.uint8], plane: int, plane_shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return which pixels of a slice lie in held-out blocks.

    Returns
    -------
    ndarray, shape (Y, X), bool
    """
    mask: npt.NDArray[np.bool_] = blocks[plane] == HELD_OUT
    height, width = plane_shape
    mask = mask.repeat(BLOCK_PX, axis=0).repeat(BLOCK_PX, axis=1)
    return mask[:height, :width]


class _Tally:
    """How many blocks of each class and of each slice train and are held out."""

    def __init__(
        self, presence: dict[int, npt.NDArray[np.bool_]], blocks: npt.NDArray[np.uint8]
    ) -> None:
        n_codes = max(p.shape[0] for p in presence.values())
        self.of_class = np.zeros((256, 2), np.int64)
        self.of_plane = {plane: [0, 0] for plane in presence}
        for plane, present in presence.items():
            for column, state in enumerate((TRAINS, HELD_OUT)):
                counts = (present & (blocks[plane] == state)).sum(axis=(1, 2))
                self.of_class[:n_codes, column][: len(counts)] += counts
                self.of_plane[plane][column] += int((blocks[plane] == state).sum())

    def decide(self, plane: int, codes: npt.NDArray[np.intp]) -> int:
        """Return `TRAINS` or `HELD_OUT` for one new block with these classes, and count it."""
        trains, held = self.of_plane[plane]
        wanted = (self.of_class[codes, 1] + 1) * ONE_IN <= self.of_class[codes].sum(axis=1) + 1
        out = bool(wanted.any()) and held * ONE_IN <= trains + held
        self.of_class[codes, int(out)] += 1
        self.of_plane[plane][int(out)] += 1
        return HELD_OUT if out else TRAINS


def _classes_per_block(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return which codes occur in which block: shape (codes, blocks_y, blocks_x), code 0 never."""
    n_codes = int(plane.max(initial=0)) + 1
    starts_y = np.arange(0, plane.shape[0], BLOCK_PX)
    starts_x = np.arange(0, plane.shape[1], BLOCK_PX)
    present = np.zeros((n_codes, len(starts_y), len(starts_x)), bool)
    for code in range(1, n_codes):
        rows = np.logical_or.reduceat(plane == code, starts_y, axis=0)
        present[code] = np.logical_or.reduceat(rows, starts_x, axis=1)
    return present


def _shuffle_key(where: tuple[int, int, int]) -> int:
    """Order blocks so that neighbours are far apart: a multiplicative hash of the position."""
    plane, y, x = (int(i) for i in where)
    mixed = plane * 0x9E3779B1 + y * 0x85EBCA77 + x * 0xC2B2AE3D
    mixed ^= mixed >> 15
    return (mixed * 0x2C1B3C6D) & 0xFFFFFFFF
