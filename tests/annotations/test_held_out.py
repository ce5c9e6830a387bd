from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.annotations import (
    ALL_HELD_OUT,
    BLOCK_PX,
    assign_blocks,
    held_out,
    held_out_mask,
    new_blocks,
)
from napari_unetseg.annotations.held_out import HELD_OUT, TRAINS, UNDECIDED, box_layers
from napari_unetseg.images import Stack

#: Sections eight times as thick as pixels are wide: boxes are eight sections deep.
THICK = {"Z": 0.8, "Y": 0.1, "X": 0.1}


def stack_of(codes, sizes=THICK, n_frames=1):
    return Stack(codes.reshape(n_frames, -1, *codes.shape[1:]), "TZYX", sizes)


def decided(codes, stack=None):
    """Return what is decided of squares and of the boxes that they lie in."""
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack or stack_of(codes))
    return blocks & 3, blocks >> 2


def dense(shape=(6, 512, 512), planes=(0, 3), n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.zeros(shape, np.uint8)
    for plane in planes:
        codes[plane] = rng.integers(1, n_classes + 1, shape[1:])
    return codes


def test_about_one_block_in_eight_is_held_out_in_every_slice():
    codes = dense()
    squares, boxes = decided(codes)
    for plane in (0, 3):
        assert (squares[plane] == HELD_OUT).mean() == pytest.approx(1 / 8, abs=0.02)
        assert (boxes[plane] == HELD_OUT).mean() == pytest.approx(1 / 8, abs=0.02)
    assert not squares[[1, 2, 4, 5]].any()


def test_a_decision_is_never_changed_by_what_is_painted_later():
    rng = np.random.default_rng(1)
    codes = np.zeros((24, 300, 300), np.uint8)
    blocks = new_blocks(codes.shape)
    for _ in range(60):
        plane, y, x = rng.integers(0, 24), rng.integers(0, 290), rng.integers(0, 200)
        codes[plane, y : y + 5, x : x + 90] = rng.integers(1, 4)
        before = blocks.copy()
        assign_blocks(codes, blocks, stack_of(codes), [int(plane)])
        known = before != UNDECIDED
        assert (blocks[known] == before[known]).all()
        if rng.random() < 0.3:
            codes[plane] = 0  # as an undo may leave it
    for plane, y, x in np.argwhere(codes):
        assert blocks[plane, y // BLOCK_PX, x // BLOCK_PX]
    assert HELD_OUT in blocks & 3
    assert HELD_OUT in blocks >> 2


def test_the_same_annotations_give_the_same_blocks():
    first, second = new_blocks((6, 512, 512)), new_blocks((6, 512, 512))
    assign_blocks(dense(), first, stack_of(dense()))
    assign_blocks(dense(), second, stack_of(dense()))
    assert (first == second).all()


def test_every_class_with_many_blocks_is_represented_among_the_held_out():
    codes = np.zeros((1, 512, 512), np.uint8)
    codes[0, :, :256], codes[0, :, 256:] = 1, 2
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack_of(codes))
    for boxes in (False, True):
        out = held_out_mask(blocks, 0, (512, 512), boxes=boxes)
        assert set(np.unique(codes[0][out])) == {1, 2}


def test_a_few_pixels_all_train():
    codes = np.zeros((1, 512, 512), np.uint8)
    codes[0, ::64, ::64] = 1
    for states in decided(codes):
        assert set(np.unique(states)) == {TRAINS}


@pytest.mark.parametrize("shape", [(17, 23), (64, 64), (65, 130)])
def test_the_mask_has_the_shape_of_the_slice(shape):
    blocks = new_blocks((1, *shape))
    blocks[...] = ALL_HELD_OUT
    for boxes in (False, True):
        assert held_out_mask(blocks, 0, shape, boxes=boxes).shape == shape
        assert held_out_mask(blocks, 0, shape, boxes=boxes).all()


@pytest.mark.parametrize(
    ("sizes", "n_sections", "depths"),
    [
        (THICK, 16, [8, 8]),
        (THICK, 15, [15]),
        ({"Z": 2.0, "X": 0.1}, 10, [4, 3, 3]),  # 64 px are 3.2 sections
        ({"Z": 10.0, "X": 0.1}, 6, [3, 3]),  # at least 3, so that one has neighbours held out
        (THICK, 2, [2]),
        ({"X": 0.1}, 130, [65, 65]),  # of unknown shape: cubes
        ({}, 1, [1]),
    ],
)
def test_boxes_are_as_deep_as_wide_and_end_with_each_time_point(sizes, n_sections, depths):
    layers = box_layers(Stack(np.zeros((2, n_sections, 4, 4), np.uint8), "TZYX", sizes))
    expected = np.repeat(np.arange(2 * len(depths)), depths * 2)
    assert layers.tolist() == expected.tolist()


def test_all_annotated_squares_of_a_box_share_its_decision_and_differ_for_slices():
    codes = np.zeros((32, 300, 300), np.uint8)
    codes[::2] = dense((32, 300, 300), range(32))[::2]
    squares, boxes = decided(codes, stack_of(codes, n_frames=2))
    assert (boxes > 0).sum() == 16 * 25
    for first in range(0, 32, 8):
        box = boxes[first : first + 8 : 2]
        assert (box == box[0]).all()
        assert 1 <= (box[0] == HELD_OUT).sum() <= 5
    assert len({boxes[first].tobytes() for first in range(0, 32, 8)}) > 1
    assert (squares[0] != squares[2]).any()


@pytest.mark.parametrize("sizes", [{}, {"Z": 2.0, "X": 0.1}])
@pytest.mark.parametrize("n_frames", [1, 8])
def test_what_is_held_out_of_slices_does_not_depend_on_boxes(sizes, n_frames):
    codes = dense((24, 300, 300), range(24))
    squares, _ = decided(codes, stack_of(codes, sizes, n_frames))
    expected, _ = decided(codes, Stack(codes, "TYX"))
    assert (squares == expected).all()


def test_a_class_that_lies_in_one_box_alone_trains():
    codes = np.ones((8, 512, 512), np.uint8)
    for i in range(32):
        codes[:, 64 * (i // 4) + 3, 64 * (i % 4) + 5] = i + 10
    _, boxes = decided(codes)
    assert (boxes[:, :, :4] == TRAINS).all()
    assert (boxes[0, :, 4:] == HELD_OUT).sum() >= 6  # of 64: about as many as without it


def test_files_from_before_there_were_boxes_get_them_and_keep_their_squares():
    codes = dense((16, 300, 300), range(0, 16, 3))
    squares, boxes = decided(codes)
    blocks = squares.copy()
    assign_blocks(codes, blocks, stack_of(codes))
    assert (blocks & 3 == squares).all()
    assert (blocks >> 2 == boxes).all()


def test_decisions_stay_when_the_distance_of_sections_is_told_later():
    codes = dense((24, 512, 512), range(0, 24, 2))
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack_of(codes, {}))
    before = blocks.copy()
    codes[1::2] = 1
    assign_blocks(codes, blocks, stack_of(codes, THICK))
    assert (blocks[::2] == before[::2]).all()
    boxes = blocks.reshape(3, 8, 8, 8) >> 2
    assert (boxes == boxes[:, :1]).all()


def test_what_is_remembered_of_other_slices_decides_as_reading_them_anew():
    rng = np.random.default_rng(3)
    stack = Stack(np.zeros((5, 300, 260), np.uint8), "ZYX")
    codes = np.zeros((5, 300, 260), np.uint8)
    anew, remembered, known = new_blocks(codes.shape), new_blocks(codes.shape), {}
    for _ in range(60):
        plane = int(rng.integers(5))
        top, left = int(rng.integers(280)), int(rng.integers(240))
        codes[plane, top : top + 40, left : left + 30] = rng.integers(0, 4)
        assign_blocks(codes, anew, stack, [plane])
        assign_blocks(codes, remembered, stack, [plane], known)
        assert np.array_equal(anew, remembered)
    assert (anew & 3 == HELD_OUT).any()


@given(st.lists(st.tuples(*[st.integers(0, 2**20)] * 3), min_size=1, max_size=20))
def test_blocks_are_in_the_same_order_as_ever(blocks):
    def key(where):
        layer, y, x = where
        mixed = layer * 0x9E3779B1 + y * 0x85EBCA77 + x * 0xC2B2AE3D
        mixed ^= mixed >> 15
        return (mixed * 0x2C1B3C6D) & 0xFFFFFFFF

    assert held_out._shuffle_keys(np.array(blocks, np.int32)).tolist() == list(map(key, blocks))
