"""Shapes between two annotated slices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.annotations import interpolate

SIDE = 64


def disc(y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.indices((SIDE, SIDE))
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def codes_of(*shapes: np.ndarray) -> np.ndarray:
    """Return background with shapes of code 2, 3, …"""
    codes = np.ones((SIDE, SIDE), np.uint8)
    for code, shape in enumerate(shapes, 2):
        codes[shape] = code
    return codes


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_a_disc_grows_from_slice_to_slice() -> None:
    between = interpolate(codes_of(disc(32, 32, 6)), codes_of(disc(32, 32, 22)), 3)
    assert between.shape == (3, SIDE, SIDE)
    for plane, radius in zip(between, (10, 14, 18), strict=True):
        assert iou(plane == 2, disc(32, 32, radius)) > 0.9
        assert set(np.unique(plane)) == {1, 2}, "what is painted completely stays so"


def test_a_shape_that_jumps_moves_in_between() -> None:
    between = interpolate(codes_of(disc(14, 14, 8)), codes_of(disc(46, 50, 8)), 1)
    assert iou(between[0] == 2, disc(30, 32, 8)) > 0.85


def test_strokes_stay_strokes_and_what_is_on_one_slice_alone_ends_there() -> None:
    below, above = np.zeros((2, SIDE, SIDE), np.uint8)
    below[10:14, 5:40], above[12:16, 5:40] = 2, 2
    above[40:50, 40:50] = 3
    between = interpolate(below, above, 2)
    assert set(np.unique(between)) == {0, 2}
    assert between[0][12, 20] == 2
    assert not between[:, 30:].any()


def test_classes_meet_without_a_gap() -> None:
    left = np.zeros((SIDE, SIDE), bool)
    left[:, :20] = True
    wide = np.zeros((SIDE, SIDE), bool)
    wide[:, :40] = True
    (middle,) = interpolate(codes_of(left, ~left), codes_of(wide, ~wide), 1)
    assert (middle[:, :30] == 2).all()
    assert (middle[:, 30:] == 3).all()


@pytest.mark.parametrize("code", [1, 2])
def test_a_slice_of_one_class_alone_stays_as_it_is(code: int) -> None:
    whole = np.full((5, 7), code, np.uint8)
    assert (interpolate(whole, whole, 2) == code).all()


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, (12, 15), elements=st.integers(0, 3)), st.integers(0, 4))
def test_between_two_equal_slices_nothing_changes(codes: np.ndarray, n: int) -> None:
    between = interpolate(codes, codes, n)
    assert between.shape == (n, 12, 15)
    assert (between == codes).all()


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, (9, 11), elements=st.integers(0, 3)),
    arrays(np.uint8, (9, 11), elements=st.integers(0, 3)),
)
def test_the_way_back_is_the_way_there(below: np.ndarray, above: np.ndarray) -> None:
    there, back = interpolate(below, above, 3), interpolate(above, below, 3)[::-1]
    assert set(np.unique(there)) <= set(np.unique(below)) & set(np.unique(above)) | {0}
    # Where two classes are equally near, the first wins either way.
    assert (there == back).mean() > 0.99
