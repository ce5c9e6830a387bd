"""Outlines: labels are traced and filled again to the same pixels."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from skimage import draw

from napari_unetseg.images.outlines import fill, oval, trace

labels = npst.arrays(
    st.sampled_from([np.uint8, np.int32, np.uint32]),
    npst.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.integers(0, 3),
)


def filled(found, shape):
    again = np.zeros(shape, np.uint32)
    for value, polygons in found.items():
        for polygon in polygons:
            fill(polygon, again, value)
    return again


@settings(deadline=None)
@given(labels)
def test_labels_come_back_pixel_for_pixel(values):
    np.testing.assert_array_equal(filled(trace(values), values.shape), values)


@settings(deadline=None)
@given(labels)
def test_polygons_are_valid_for_others_and_as_large_as_their_pixels(values):
    found = trace(values)
    assert list(found) == sorted(set(values.ravel().tolist()) - {0})
    for value, polygons in found.items():
        shapes = [shapely.Polygon(polygon[0], polygon[1:]) for polygon in polygons]
        assert all(shape.is_valid for shape in shapes)
        assert sum(shape.area for shape in shapes) == np.count_nonzero(values == value)


def test_a_ring_has_corners_where_it_turns_and_holes_go_the_other_way():
    values = np.ones((4, 5), np.uint8)
    values[1:3, 1:3] = 0
    ((outer, hole),) = trace(values)[1]
    assert outer.tolist() == [[0, 0], [5, 0], [5, 4], [0, 4]]
    assert sorted(hole.tolist()) == [[1, 1], [1, 3], [3, 1], [3, 3]]
    assert [shapely.LinearRing(ring).is_ccw for ring in (outer, hole)] == [True, False]  # y is down


def test_the_largest_ids_and_nothing_at_all():
    values = np.array([[0, 2**32 - 1], [2**32 - 1, 0]], np.uint32)
    assert list(trace(values)) == [2**32 - 1]
    np.testing.assert_array_equal(filled(trace(values), values.shape), values)
    assert trace(np.zeros((3, 3), np.uint8)) == {}


@settings(deadline=None)
@given(npst.arrays(np.int32, (5, 2), elements=st.integers(-30, 90)))
def test_a_pixel_belongs_to_a_polygon_where_its_middle_does(tenths):
    corners = tenths / 10
    polygon = shapely.Polygon(corners)
    if not polygon.is_valid:
        return
    found = np.zeros((6, 7), bool)
    fill((corners,), found, True)
    y, x = np.mgrid[:6, :7] + 0.5
    middles = shapely.points(x, y)
    clear = shapely.distance(polygon.boundary, middles) > 1e-6
    np.testing.assert_array_equal(found[clear], shapely.contains(polygon, middles)[clear])


@pytest.mark.parametrize("far", [1e6, 1e300])
def test_what_reaches_beyond_the_image_is_cut_off(far):
    found = np.zeros((4, 5), np.uint8)
    fill((np.array([[1, -far], [3, -far], [3, far], [1, far]]),), found, 1)
    assert found.sum() == 8
    fill((np.array([[7, 1], [9, 1], [9, 3]]),), found, 1)
    assert found.sum() == 8


def test_an_oval_holds_the_pixels_whose_middle_lies_in_it():
    found = np.zeros((9, 12), bool)
    fill((oval(1, 1, 10, 7),), found, True)
    expected = np.zeros((9, 12), bool)
    expected[draw.ellipse(4.0, 5.5, 3.5, 5.0)] = True
    np.testing.assert_array_equal(found, expected)
