"""Pieces, outlines, cuts, superpixels and areas that grow, on slices alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.measure import label, perimeter
from skimage.morphology import flood

from napari_unetseg.annotations import (
    Superpixels,
    bridge_along,
    cut_along,
    enclosed_by,
    grow,
    hole_at,
    piece_at,
    pixels_along,
    small_pieces,
    smooth_piece,
    smooth_shape,
    smooth_under,
)

SIDE = 64
CODES = arrays(np.uint8, (12, 15), elements=st.integers(0, 3))
POINTS = st.tuples(st.integers(0, 11), st.integers(0, 14))


def disc(y: float, x: float, radius: float, side: int = SIDE) -> np.ndarray:
    rows, columns = np.indices((side, side))
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def background() -> np.ndarray:
    return np.ones((SIDE, SIDE), np.uint8)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def n_pieces(mask: np.ndarray) -> int:
    return int(ndimage.label(mask, np.ones((3, 3)))[1])


# ---------------------------------------------------------------------- pieces


@settings(max_examples=60, deadline=None)
@given(CODES, POINTS)
def test_a_piece_is_what_a_flood_with_corners_covers(codes, point):
    np.testing.assert_array_equal(piece_at(codes, point), flood(codes, point, connectivity=2))


@settings(max_examples=60, deadline=None)
@given(arrays(bool, (12, 15)))
def test_holes_are_those_of_scipy(shape):
    expected = ndimage.binary_fill_holes(shape) & ~shape
    np.testing.assert_array_equal(enclosed_by(shape), expected)


def test_a_shape_open_to_the_edge_of_the_slice_has_no_hole():
    shape = np.zeros((10, 10), bool)
    shape[0:6, 2] = shape[0:6, 7] = shape[5, 2:8] = True
    assert not enclosed_by(shape).any()
    assert not enclosed_by(np.zeros((4, 4), bool)).any()


def test_of_holes_in_each_other_the_smallest_is_found():
    codes = background()
    codes[disc(32, 32, 28)] = 2
    codes[disc(32, 32, 22)] = 1
    codes[disc(32, 32, 16)] = 3
    codes[disc(32, 32, 8)] = 1
    inner, code = hole_at(codes, (32, 32))
    assert code == 3
    np.testing.assert_array_equal(inner, disc(32, 32, 8))
    outer, code = hole_at(codes, (32, 12))
    assert code == 2
    assert outer[32, 12]
    assert hole_at(codes, (1, 1)) is None


def test_small_pieces_are_counted_and_painted_ones_are_meant():
    codes = background()
    codes[2:4, 2:4] = 2  # 4 px
    codes[10:13, 10:13] = 3  # 9 px, touches the next by a corner, and is another class
    codes[13:15, 13:15] = 2  # 4 px, painted on
    codes[30:50, 30:50] = 2
    painted = np.zeros(codes.shape, bool)
    painted[14, 14] = painted[40, 40] = True
    small = small_pieces(codes, 9, painted)
    assert (small.n, small.n_painted, small.where.sum()) == (1, 1, 4)
    assert small.where[2:4, 2:4].all()
    small = small_pieces(codes, 10, painted)
    assert (small.n, small.n_painted) == (2, 1)
    everything = small_pieces(codes, 10_000, np.zeros(codes.shape, bool))
    np.testing.assert_array_equal(everything.where, codes > 1)


# -------------------------------------------------------------------- outlines


@settings(max_examples=40, deadline=None)
@given(arrays(bool, (20, 23)), st.floats(0.5, 4))
def test_smoothing_keeps_the_area(shape, sigma):
    assert smooth_shape(shape, sigma).sum() == shape.sum()


def test_a_ragged_disc_becomes_round_and_a_membrane_stays():
    ragged = disc(32, 32, 18)
    ragged[32:34, 8:16] = True
    ragged[20:44:4, 48:52] ^= True
    smooth = smooth_shape(ragged, 2)
    assert perimeter(smooth) < 0.85 * perimeter(ragged)
    assert iou(smooth, disc(32, 32, 18)) > 0.94
    membrane = np.zeros((SIDE, SIDE), bool)
    membrane[30:32] = True
    np.testing.assert_array_equal(smooth_shape(membrane, 3), membrane)


def test_a_piece_at_the_edge_of_the_slice_does_not_draw_back_from_it():
    shape = np.zeros((SIDE, SIDE), bool)
    shape[20:40, :25] = True
    assert smooth_shape(shape, 2)[24:36, 0].all()


def test_a_smoothed_piece_leaves_its_teeth_to_what_is_beside_and_takes_nothing_that_is_kept():
    codes = background()
    codes[:, 32:] = 3
    codes[16:48, 16:32] = 2
    codes[30:32, 32:38] = 2  # a tooth into the other class
    codes[30:32, 20:22] = 1  # a hole in it
    piece = piece_at(codes, (20, 20))
    kept = np.zeros(codes.shape, bool)
    kept[30, 20] = True
    after = smooth_piece(codes, piece, 2, kept)
    assert (after[30:32, 35:38] == 3).all()
    assert after[31, 21] == 2
    assert after[30, 20] == 1
    assert set(np.unique(after)) == {1, 2, 3}
    far = ~ndimage.binary_dilation(piece, iterations=9)
    np.testing.assert_array_equal(after[far], codes[far])


def test_under_the_brush_the_prevailing_class_wins_and_nothing_else_changes():
    codes = background()
    codes[:, 32:] = 2
    codes[20, 20] = 3  # a speck
    codes[40, 20] = 3
    codes[20:22, 32:36] = 1  # a notch
    covered = disc(20, 26, 10)
    after = smooth_under(codes, covered, 2)
    assert after[20, 20] == 1
    assert (after[20:22, 34:36] == 2).all()
    assert after[40, 20] == 3
    np.testing.assert_array_equal(after[~covered], codes[~covered])


@settings(max_examples=30, deadline=None)
@given(CODES)
def test_smoothing_under_a_brush_invents_no_class(codes):
    after = smooth_under(codes, np.ones(codes.shape, bool), 1.5)
    assert set(np.unique(after)) <= set(np.unique(codes))
    whole = np.full(codes.shape, 2, np.uint8)
    np.testing.assert_array_equal(smooth_under(whole, whole > 0, 1.5), whole)


# ------------------------------------------------------------------------ cuts


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 14), st.integers(-3, 17)), min_size=1, max_size=5))
def test_pixels_along_a_path_share_sides(points):
    path = np.array(points, float)
    rows, columns = pixels_along(path, (12, 15))
    assert ((rows >= 0) & (rows < 12) & (columns >= 0) & (columns < 15)).all()
    inside = ((path >= 0) & (path < (12, 15))).all(axis=1)
    assert {tuple(p) for p in path[inside].astype(int)} <= set(zip(rows, columns, strict=True))
    if inside.all():
        steps = abs(np.diff(rows)) + abs(np.diff(columns))
        assert (steps == 1).all()


@pytest.mark.parametrize("path", [[(10, 8), (50, 60)], [(32, 0), (32, 63)], [(3, 40), (60, 33)]])
def test_a_line_across_splits_a_piece_in_two_and_is_thin(path):
    codes = background()
    codes[disc(32, 32, 15)] = 2
    codes[60:63, 30:40] = 2  # another piece, hardly crossed
    cut = cut_along(codes, np.array(path, float))
    left = (codes == 2) & ~cut & disc(32, 32, 16)
    assert n_pieces(left) == 2
    assert cut.sum() <= 2 * 31
    assert not cut[60:63].any()
    assert (codes[cut] == 2).all()


def test_a_line_that_crosses_no_class_cuts_nothing():
    assert cut_along(background(), np.array([[3.0, 3.0], [50.0, 50.0]])) is None


def test_a_bridge_joins_two_pieces_of_a_class_and_leaves_other_classes_alone():
    codes = background()
    codes[20:40, 5:25] = codes[20:40, 40:60] = 2
    codes[28:30, 30:32] = 3
    gap, code = bridge_along(codes, np.array([[30.0, 10.0], [30.0, 55.0]]), 5)
    assert code == 2
    after = codes.copy()
    after[gap] = code
    assert n_pieces(after == 2) == 1
    assert (after[28:30, 30:32] == 3).all()
    rows, _ = np.nonzero(gap)
    assert rows.min() >= 27
    assert rows.max() <= 33


@pytest.mark.parametrize(
    "path",
    [
        [(30, 10), (30, 20)],  # in one piece
        [(30, 10), (10, 10)],  # to none
        [(30, 10), (55, 55)],  # to another class
        [(2, 2), (5, 5)],
    ],
)
def test_no_bridge_leads_anywhere_else(path):
    codes = background()
    codes[20:40, 5:25] = codes[20:40, 40:60] = 2
    codes[50:60, 50:60] = 3
    assert bridge_along(codes, np.array(path, float), 5) is None


# ------------------------------------------------------------- by grey values


def image_of(shape: np.ndarray, noise: float = 8) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (60 + 80 * shape + rng.normal(0, noise, shape.shape)).astype(np.float32)


@pytest.mark.parametrize("width", [6, 10, 16])
def test_superpixels_are_connected_cover_the_slice_and_keep_to_edges(width):
    shape = disc(90, 100, 45, 200)
    divided = Superpixels(image_of(shape), width)
    seen, right, sizes = np.zeros(shape.shape, int), 0, []
    for y in range(0, 200, 3):
        for x in range(0, 200, 3):
            if not seen[y, x]:
                window, area = divided.at((y, x))
                assert area[y - window[0].start, x - window[1].start]
                assert label(area, connectivity=2).max() == 1
                seen[window] += area
                inside = shape[window][area]
                right += max(inside.sum(), (~inside).sum())
                sizes.append(area.sum())
    assert (seen > 0).mean() > 0.98
    assert right / np.sum(sizes) > 0.98
    assert width**2 / 2 < np.median(sizes) < 2 * width**2


def test_a_superpixel_does_not_depend_on_where_in_it_is_clicked():
    divided = Superpixels(image_of(disc(32, 32, 14)), 10)
    window, area = divided.at((32, 32))
    for y, x in np.argwhere(area):
        _, again = divided.at((y + window[0].start, x + window[1].start))
        np.testing.assert_array_equal(again, area)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (7, 7)])
def test_slices_smaller_than_a_superpixel_have_one(shape):
    window, area = Superpixels(np.zeros(shape, np.float32), 40).at((0, 0))
    assert area.any()
    assert area.shape == tuple(s.stop - s.start for s in window)


def test_an_area_grows_to_its_outline_and_is_one_piece():
    shape = disc(32, 32, 12)
    grown = grow(image_of(shape), (30, 34), np.ones(shape.shape, bool), 30)
    assert iou(grown, shape) > 0.9
    assert n_pieces(grown) == 1


@pytest.mark.parametrize("radius", [50, 120])
def test_a_wide_brush_finds_outlines_near_and_far(radius):
    shape = disc(160, 160, radius, 320)
    grown = grow(image_of(shape), (160, 160), np.ones(shape.shape, bool), 200)
    assert iou(grown, shape) > 0.95


def test_an_area_stays_within_its_reach_and_behind_barriers():
    even = np.full((SIDE, SIDE), 7, np.float32)
    grown = grow(even, (32, 32), np.ones(even.shape, bool), 10)
    assert grown[disc(32, 32, 8)].all()
    assert not grown[~disc(32, 32, 10)].any()
    within = np.ones(even.shape, bool)
    within[:, 36] = False
    grown = grow(even, (32, 32), within, 20)
    assert grown[32, 35]
    assert not grown[:, 36:].any()
    assert not grow(even, (32, 36), within, 20).any()


def test_an_area_does_not_run_out_through_a_gap_in_a_membrane():
    shape = disc(64, 64, 24, 128) ^ disc(64, 64, 21, 128)
    shape[62:66, 80:] = False
    grown = grow(image_of(shape), (64, 64), np.ones(shape.shape, bool), 50)
    assert iou(grown, disc(64, 64, 21, 128)) > 0.85
