"""Which annotated pixels are kept to score with, decided once and for good.

Space is divided into squares of `BLOCK_PX` in each slice, and also, for networks that see several
sections, into boxes: the squares above one another in as many sections as make the box as deep as
it is wide. Otherwise the sections just above and below a held-out square would train, and such a
network would be scored on what it has nearly seen. When a square or a box first gets an annotation
it is decided whether it trains or is held out, so that scores of one round compare with those of
the next, whatever is painted in between.

Both decisions stand in one byte per square: bits 0 and 1 say what becomes of the square, bits 2 and
3 what becomes of the box it lies in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from napari_unetseg.images import Codes, Stack

#: Side of a block, in px.
BLOCK_PX = 64

#: A box is at least this deep: its middle section has held-out ones above and below.
MIN_BOX_SECTIONS = 3

#: About one annotated block in this many is held out, of each class and in each slice.
ONE_IN = 8

#: With fewer annotated pixels than this in the whole stack, every one of them trains.
MIN_LABELLED_PX = 2000

UNDECIDED, TRAINS, HELD_OUT = 0, 1, 2

_BOX_BITS = 2
_SQUARE = (1 << _BOX_BITS) - 1

#: Which codes occur in which square, by slice: shape (codes, blocks_y, blocks_x), bool.
Presence: TypeAlias = dict[int, npt.NDArray[np.bool_]]

#: A square that is held out itself and lies in a held-out box.
ALL_HELD_OUT = HELD_OUT | HELD_OUT << _BOX_BITS


def new_blocks(shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Return the blocks of a stack in which nothing is annotated yet.

    Parameters
    ----------
    shape : tuple of int
        Of the annotations: planes, height and width in px.

    Returns
    -------
    ndarray, shape (planes, blocks_y, blocks_x), uint8
        Of the square, 0 undecided, 1 trains, 2 held out; plus four times the same of its box.
    """
    n_planes, height, width = shape
    return np.zeros((n_planes, -(-height // BLOCK_PX), -(-width // BLOCK_PX)), np.uint8)


def assign_blocks(
    codes: Codes,
    blocks: npt.NDArray[np.uint8],
    stack: Stack,
    planes: Iterable[int] | None = None,
    known: Presence | None = None,
) -> None:
    """Decide every square and box with annotations that is undecided; changes `blocks` in place.

    One is held out when a class in it has fewer than one in `ONE_IN` held out so far, unless its
    slice, or its layer of boxes, has its share already; a box only when all of its classes train in
    another. The order is a fixed shuffle, so the same annotations in the same order give the same
    decision.

    Parameters
    ----------
    codes : ndarray or LazyCodes, shape (planes, Y, X), uint8
        Annotations: 0 unlabelled.
    blocks : ndarray, shape (planes, blocks_y, blocks_x), uint8
        As from `new_blocks`. What is decided in it stays, also when `stack` has got voxels of
        another shape since; a new part of a box then trains where any other part does.
    stack : Stack
        What is annotated: the sections of its time points and the shape of its voxels make boxes.
    planes : iterable of int, optional
        Slices in which something may be new; all by default.
    known : dict of int to ndarray, optional
        Which codes occur in which square, by slice: filled here, and taken for granted for slices
        other than `planes`, which then need not be read. Begin with an empty one.
    """
    known = {} if known is None else known
    presence = {
        plane: _classes_per_block(codes[plane])
        for plane in (range(len(codes)) if planes is None else planes)
    }
    known.update(presence)
    # Up to `HELD_OUT` nothing is decided, or the square alone: so in files from before boxes.
    if not any((there & (blocks[p] <= HELD_OUT)).any() for p, there in presence.items()):
        return
    for plane in map(int, np.flatnonzero(blocks.any(axis=(1, 2)))):
        if plane not in known:
            known[plane] = _classes_per_block(codes[plane])
        presence[plane] = known[plane]
    layers = box_layers(stack)
    # Nothing is decided of any other slice: a stroke must not cost more the more slices there are.
    squares = {plane: blocks[plane] & np.uint8(_SQUARE) for plane in presence}
    boxes = _states_of_boxes({plane: blocks[plane] for plane in presence}, layers)
    all_train = not _has_enough(codes, presence)
    _decide(squares, presence, all_train=all_train)
    _decide(boxes, _in_layers(presence, layers), all_train=all_train, each_class_trains=True)
    for plane, there in presence.items():
        of_box = blocks[plane] >> _BOX_BITS
        new = there.any(axis=0) & (of_box == UNDECIDED)
        of_box[new] = boxes[int(layers[plane])][new]
        blocks[plane] = squares[plane] | of_box << _BOX_BITS


def held_out_mask(
    blocks: npt.NDArray[np.uint8], plane: int, plane_shape: tuple[int, int], *, boxes: bool = False
) -> npt.NDArray[np.bool_]:
    """Return which pixels of a slice lie in held-out squares, or in held-out boxes.

    Returns
    -------
    ndarray, shape (Y, X), bool
    """
    states = blocks[plane] >> _BOX_BITS if boxes else blocks[plane] & _SQUARE
    mask: npt.NDArray[np.bool_] = states == HELD_OUT
    height, width = plane_shape
    mask = mask.repeat(BLOCK_PX, axis=0).repeat(BLOCK_PX, axis=1)
    return mask[:height, :width]


def box_layers(stack: Stack) -> npt.NDArray[np.intp]:
    """Return which layer of boxes each slice lies in; none reaches across time points.

    The sections of a time point are shared out evenly, so that no box at the end is a thin one.
    Voxels of unknown shape count as cubes.

    Returns
    -------
    ndarray, shape (planes,), int
        Ascending from 0.
    """
    sizes, depth = stack.pixel_size_um, stack.size("Z")
    aspect = sizes["X"] / sizes["Z"] if "X" in sizes and "Z" in sizes else 1.0
    n_layers = max(1, depth // max(MIN_BOX_SECTIONS, round(BLOCK_PX * aspect)))
    frame, z = np.divmod(np.arange(stack.n_planes), depth)
    layers: npt.NDArray[np.intp] = frame * n_layers + z * n_layers // depth
    return layers


def _has_enough(codes: Codes, planes: Iterable[int]) -> bool:
    """Return whether so much is annotated that some is held out; reads no more than that takes."""
    labelled_px = 0
    for plane in planes:
        labelled_px += int(np.count_nonzero(codes[plane]))
        if labelled_px >= MIN_LABELLED_PX:
            return True
    return False


def _states_of_boxes(
    blocks: dict[int, npt.NDArray[np.uint8]], layers: npt.NDArray[np.intp]
) -> dict[int, npt.NDArray[np.uint8]]:
    """Return what was decided of each box, by layer, from the blocks of slices."""
    found: dict[int, npt.NDArray[np.uint8]] = {}
    for plane, of_plane in blocks.items():
        found.setdefault(int(layers[plane]), np.zeros_like(of_plane))[...] |= of_plane >> _BOX_BITS
    for states in found.values():
        states[states == TRAINS | HELD_OUT] = TRAINS
    return found


def _in_layers(
    presence: dict[int, npt.NDArray[np.bool_]], layers: npt.NDArray[np.intp]
) -> dict[int, npt.NDArray[np.bool_]]:
    """Return which codes occur in which box, by layer, from which occur in which square."""
    n_codes = max(len(there) for there in presence.values())
    found: dict[int, npt.NDArray[np.bool_]] = {}
    for plane, there in presence.items():
        empty = np.zeros((n_codes, *there.shape[1:]), bool)
        found.setdefault(int(layers[plane]), empty)[: len(there)] |= there
    return found


def _decide(
    states: dict[int, npt.NDArray[np.uint8]],
    presence: dict[int, npt.NDArray[np.bool_]],
    *,
    all_train: bool,
    each_class_trains: bool = False,
) -> None:
    """Decide the undecided of squares, by slice, or of boxes, by layer; changes `states`."""
    new = [np.zeros((0, 3), np.int32)]
    for layer, there in presence.items():
        found = np.argwhere(there.any(axis=0) & (states[layer] == UNDECIDED))
        new.append(np.insert(found, 0, layer, axis=1).astype(np.int32))
    where = np.concatenate(new)
    if all_train:
        for layer, y, x in where.tolist():
            states[layer][y, x] = TRAINS
        return
    tally = _Tally(presence, states, each_class_trains=each_class_trains)
    for number in np.argsort(_shuffle_keys(where), kind="stable"):
        layer, y, x = where[number].tolist()
        states[layer][y, x] = tally.decide(layer, np.flatnonzero(presence[layer][:, y, x]))


class _Tally:
    """How many blocks of each class and of each layer train and are held out."""

    def __init__(
        self,
        presence: dict[int, npt.NDArray[np.bool_]],
        states: dict[int, npt.NDArray[np.uint8]],
        *,
        each_class_trains: bool,
    ) -> None:
        n_codes = max(p.shape[0] for p in presence.values())
        self.each_class_trains = each_class_trains
        self.of_class = np.zeros((256, 2), np.int64)
        self.of_layer = {layer: [0, 0] for layer in presence}
        for layer, present in presence.items():
            for column, state in enumerate((TRAINS, HELD_OUT)):
                counts = (present & (states[layer] == state)).sum(axis=(1, 2))
                self.of_class[:n_codes, column][: len(counts)] += counts
                self.of_layer[layer][column] += int((states[layer] == state).sum())

    def decide(self, layer: int, codes: npt.NDArray[np.intp]) -> int:
        """Return `TRAINS` or `HELD_OUT` for one new block with these classes, and count it."""
        trains, held = self.of_layer[layer]
        wanted = (self.of_class[codes, 1] + 1) * ONE_IN <= self.of_class[codes].sum(axis=1) + 1
        out = bool(wanted.any()) and held * ONE_IN <= trains + held
        if self.each_class_trains:
            out = out and bool(self.of_class[codes, 0].all())
        self.of_class[codes, int(out)] += 1
        self.of_layer[layer][int(out)] += 1
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


def _shuffle_keys(where: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """Order blocks so that neighbours are far apart: a multiplicative hash of each position."""
    layer, y, x = where.T.astype(np.uint64)
    mixed = layer * np.uint64(0x9E3779B1) + y * np.uint64(0x85EBCA77) + x * np.uint64(0xC2B2AE3D)
    mixed ^= mixed >> np.uint64(15)
    keys: npt.NDArray[np.uint64] = mixed * np.uint64(0x2C1B3C6D) & np.uint64(0xFFFFFFFF)
    return keys
