"""Tiles cover an image once, in sizes a network can pool, with mirrored context."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unetseg.images import even_size, mirrored, plan_tiles, read_mirrored

AXIS = st.tuples(
    st.integers(1, 90),  # length
    st.integers(1, 60),  # kept
    st.integers(0, 3),  # halo, in multiples
    st.integers(0, 2),  # border, in multiples
    st.sampled_from([1, 2, 4, 16]),
)
PLANS = st.lists(AXIS, min_size=2, max_size=2)


def plan(axes, **box):
    shape, kept, halo, border, multiple = map(list, zip(*axes, strict=True))
    halo = [h * m for h, m in zip(halo, multiple, strict=True)]
    border = [b * m for b, m in zip(border, multiple, strict=True)]
    return shape, halo, border, multiple, plan_tiles(shape, kept, halo, border, multiple, **box)


@settings(max_examples=150, deadline=None)
@given(PLANS)
def test_tiles_stitch_back_to_the_image(axes):
    shape, _, _, _, tiles = plan(axes)
    image = np.arange(2 * shape[0] * shape[1]).reshape(2, *shape)
    stitched = np.full_like(image, -1)
    times = np.zeros(shape, int)
    for tile in tiles:
        piece = read_mirrored(image, tile.read_start, tile.read_stop)
        stitched[(..., *tile.where)] = piece[(..., *tile.inner)]
        times[tile.where] += 1
    np.testing.assert_array_equal(stitched, image)
    assert (times == 1).all()


@settings(max_examples=100, deadline=None)
@given(PLANS)
def test_a_tile_sees_its_halo_as_far_as_the_border_and_begins_and_ends_on_the_pooling_grid(axes):
    shape, halo, border, multiple, tiles = plan(axes)
    for tile in tiles:
        for axis in range(2):
            end = -(-shape[axis] // multiple[axis]) * multiple[axis] + border[axis]
            before = tile.start[axis] - tile.read_start[axis]
            after = tile.read_stop[axis] - tile.stop[axis]
            assert before >= halo[axis] or tile.read_start[axis] == -border[axis]
            assert after >= halo[axis] or tile.read_stop[axis] == end
            assert tile.read_start[axis] % multiple[axis] == 0
            assert tile.read_stop[axis] % multiple[axis] == 0
            assert before < halo[axis] + multiple[axis]
            assert after < halo[axis] + multiple[axis] or tile.read_stop[axis] == end


@settings(max_examples=100, deadline=None)
@given(PLANS, st.data())
def test_a_box_alone_can_be_covered(axes, data):
    shape = [axis[0] for axis in axes]
    start = [data.draw(st.integers(0, n - 1)) for n in shape]
    stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True)]
    times = np.zeros(shape, int)
    for tile in plan(axes, start=start, stop=stop)[-1]:
        times[tile.where] += 1
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    assert (times[box] == 1).all()
    assert times.sum() == times[box].sum()


@given(st.integers(1, 500), st.integers(1, 200), st.sampled_from([1, 2, 16]))
def test_tiles_are_even_and_no_more_than_they_must_be(length, kept, multiple):
    size = even_size(length, kept, multiple)
    largest = -(-kept // multiple) * multiple
    assert size % multiple == 0
    assert size <= largest
    assert -(-length // size) <= -(-length // largest)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 20), st.integers(0, 60), st.integers(0, 60))
def test_mirroring_is_numpys_reflection(length, before, after):
    reference = np.pad(np.arange(length), (before, after), mode="reflect")
    np.testing.assert_array_equal(mirrored(-before, length + after, length), reference)
    np.testing.assert_array_equal(
        read_mirrored(np.arange(length), [-before], [length + after]), reference
    )


def test_a_box_inside_the_image_is_a_view():
    image = np.zeros((3, 100, 100))
    assert read_mirrored(image, (10, 20), (30, 40)).base is image


@pytest.mark.parametrize("shape", [(1, 1), (1, 40)])
def test_an_image_one_pixel_wide_is_repeated(shape):
    assert read_mirrored(np.ones(shape), (-4, -4), (5, 44)).sum() == 9 * 48
