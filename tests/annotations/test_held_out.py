from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.annotations import BLOCK_PX, assign_blocks, held_out_mask, new_blocks
from napari_unetseg.annotations.held_out import HELD_OUT, TRAINS, UNDECIDED


def dense(shape=(6, 512, 512), planes=(0, 3), n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.zeros(shape, np.uint8)
    for plane in planes:
        codes[plane] = rng.integers(1, n_classes + 1, shape[1:])
    return codes


def test_about_one_block_in_eight_is_held_out_in_every_slice():
    codes = dense()
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks)
    for plane in (0, 3):
        assert (blocks[plane] == HELD_OUT).mean() == pytest.approx(1 / 8, abs=0.02)
    assert not blocks[[1, 2, 4, 5]].any()


def test_a_decision_is_never_changed_by_what_is_painted_later():
    rng = np.random.default_rng(1)
    codes = np.zeros((4, 300, 300), np.uint8)
    blocks = new_blocks(codes.shape)
    for _ in range(60):
        plane, y, x = rng.integers(0, 4), rng.integers(0, 290), rng.integers(0, 200)
        codes[plane, y : y + 5, x : x + 90] = rng.integers(1, 4)
        before = blocks.copy()
        assign_blocks(codes, blocks, [int(plane)])
        decided = before != UNDECIDED
        assert (blocks[decided] == before[decided]).all()
    annotated = np.zeros_like(blocks, bool)
    for plane, y, x in np.argwhere(codes):
        annotated[plane, y // BLOCK_PX, x // BLOCK_PX] = True
    assert ((blocks != UNDECIDED) == annotated).all()


def test_the_same_annotations_give_the_same_blocks():
    first, second = new_blocks((6, 512, 512)), new_blocks((6, 512, 512))
    assign_blocks(dense(), first)
    assign_blocks(dense(), second)
    assert (first == second).all()


def test_every_class_with_many_blocks_is_represented_among_the_held_out():
    codes = np.zeros((1, 512, 512), np.uint8)
    codes[0, :, :256], codes[0, :, 256:] = 1, 2
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks)
    out = held_out_mask(blocks, 0, (512, 512))
    assert set(np.unique(codes[0][out])) == {1, 2}


def test_a_few_pixels_all_train():
    codes = np.zeros((1, 512, 512), np.uint8)
    codes[0, ::64, ::64] = 1
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks)
    assert set(np.unique(blocks)) == {TRAINS}


@pytest.mark.parametrize("shape", [(17, 23), (64, 64), (65, 130)])
def test_the_mask_has_the_shape_of_the_slice(shape):
    blocks = new_blocks((1, *shape))
    blocks[...] = HELD_OUT
    assert held_out_mask(blocks, 0, shape).shape == shape
    assert held_out_mask(blocks, 0, shape).all()
