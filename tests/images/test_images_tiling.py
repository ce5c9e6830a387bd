"""Tiles cover an image once, in sizes a network can pool, with mirrored context."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unetseg.images import mirrored, plan_tiles

plans = st.tuples(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(0, 12),
    st.sampled_from([1, 2, 4, 16]),
    st.integers(1, 60),
)


@settings(max_examples=150, deadline=None)
@given(plans)
def test_tiles_stitch_back_to_the_image(plan):
    shape, halo, multiple, core = plan
    image = np.arange(2 * shape[0] * shape[1]).reshape(2, *shape)
    stitched = np.full_like(image, -1)
    times = np.zeros(shape, int)
    tile_px = core + 2 * halo + multiple - 1
    tiles = plan_tiles(shape, tile_px, halo, multiple)
    for tile in tiles:
        piece = tile.read(image)
        assert piece.shape == (2, *tile.read_shape)
        assert all(n % multiple == 0 and n <= tile_px for n in tile.read_shape)
        tile.write(stitched, piece)
        times[tile.where] += 1
    np.testing.assert_array_equal(stitched, image)
    assert (times == 1).all()
    assert len({tile.read_shape for tile in tiles}) == 1


@settings(max_examples=60, deadline=None)
@given(plans)
def test_every_answer_has_its_halo_around_it(plan):
    shape, halo, multiple, core = plan
    for tile in plan_tiles(shape, core + 2 * halo + multiple - 1, halo, multiple):
        for inner, length in zip(tile.inner, tile.read_shape, strict=True):
            assert inner.start >= halo
            assert length - inner.stop >= halo


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 20), st.integers(0, 60), st.integers(0, 60))
def test_mirroring_is_numpys_reflection(length, before, after):
    reference = np.pad(np.arange(length), (before, after), mode="reflect")
    np.testing.assert_array_equal(mirrored(-before, length + after, length), reference)


def test_tiles_see_the_same_pooling_grid():
    starts = {tile.read_start[0] % 16 for tile in plan_tiles((1000, 1000), 320, 24, 16)}
    assert len(starts) == 1


def test_a_tile_inside_the_image_is_a_view():
    image = np.zeros((1, 100, 100))
    middle = plan_tiles((100, 100), 40, 2, 1)[4]
    assert np.shares_memory(middle.read(image), image)


def test_volumes_tile_too():
    volume = np.random.default_rng(0).random((1, 9, 30, 31))
    stitched = np.zeros_like(volume)
    for tile in plan_tiles((9, 30, 31), (8, 16, 16), (1, 2, 2), (1, 4, 4)):
        tile.write(stitched, tile.read(volume))
    np.testing.assert_array_equal(stitched, volume)


def test_a_halo_that_leaves_nothing_is_an_error():
    with pytest.raises(ValueError, match="leaves nothing"):
        plan_tiles((100, 100), 32, 16, 16)
