import numpy as np
import pytest

from napari_unetseg.classical.features_at import features_at, squares_around
from napari_unetseg.classical.filter_bank import Bank, filter_bank
from napari_unetseg.classical.step import View

BANKS = [
    Bank(),
    Bank((1.3,), edges=False, texture=False),
    Bank((0.3, 2.0), lines=False),
    Bank((1.0,), edges=False, lines=False, texture=False),
    Bank((20.0,)),
]


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 5), (40, 52), (200, 130)])
def test_features_of_some_pixels_are_those_of_the_whole_slice_to_the_last_bit(shape, bank):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (2, *shape)).astype(np.uint8)
    where = np.sort(random.choice(pixels[0].size, min(60, pixels[0].size), replace=False))
    y, x = np.unravel_index(where, shape)
    found = features_at(pixels, y, x, squares_around(y, x, bank), bank)
    whole = filter_bank(View(pixels), bank)
    np.testing.assert_array_equal(found, whole[:, y, x].T)


def test_every_pixel_lies_in_its_square_and_few_squares_hold_a_stroke():
    y, x = np.nonzero(np.eye(100, dtype=bool))
    squares = squares_around(y, x, Bank())
    inside = (y - squares.top[squares.of], x - squares.left[squares.of])
    assert min(map(np.min, inside)) >= 0
    assert max(map(np.max, inside)) < squares.side
    assert len(squares.top) <= 100 / squares.side + 1
