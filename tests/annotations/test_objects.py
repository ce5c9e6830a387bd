"""Objects that have numbers: told apart, and divided along a line."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.annotations import (
    connected_objects,
    divide_along,
    nearest_part,
    objects_along,
    pieces_of,
)
from napari_unetseg.images import LazyPlanes

ROWS, COLUMNS = np.indices((50, 70))


def disc(y, x, radius):
    return (ROWS - y) ** 2 + (COLUMNS - x) ** 2 <= radius**2


def path(*points):
    return np.array(points, float)


def test_objects_are_connected_within_a_class_and_a_time_point() -> None:
    codes = np.ones((4, 6, 6), np.uint8)
    codes[0:2, 0:2, 0:2] = 2  # through two slices: one object
    codes[0, 0:2, 2:4] = 3  # touches it, of another class
    codes[0, 5, 5] = 2
    codes[2, 0, 0] = 2  # the next time point
    objects = connected_objects(codes, n_frames=2)
    assert objects.dtype == np.uint32
    assert objects[0, 0, 0] == objects[1, 1, 1]
    assert len({objects[0, 0, 0], objects[0, 0, 2], objects[0, 5, 5], objects[2, 0, 0]}) == 4
    assert sorted(np.unique(objects)) == [0, 1, 2, 3, 4]


def test_a_line_divides_an_object_and_no_pixel_is_lost():
    inside = disc(25, 30, 15)
    parts = divide_along(inside, path((25, 5), (25, 60)))
    assert ((parts > 0) == inside).all()
    assert set(np.unique(parts)) == {0, 1, 2}
    assert len(np.unique(parts[:24][inside[:24]])) == len(np.unique(parts[27:][inside[27:]])) == 1
    assert (parts == 1).sum() >= (parts == 2).sum() > 300


def test_a_line_that_ends_inside_divides_nothing():
    assert divide_along(disc(25, 30, 15), path((25, 5), (25, 30))) is None
    assert divide_along(disc(25, 30, 15), path((2, 5), (2, 60))) is None
    assert divide_along(np.zeros((50, 70), bool), path((2, 5), (2, 60))) is None


def test_slivers_that_a_shaky_hand_cuts_off_stay_with_what_is_beside():
    inside = np.zeros((50, 70), bool)
    inside[10:40, 10:60] = True
    shaky = path((5, 30), (20, 30), (22, 32), (24, 30), (22, 29), (22, 30), (45, 30))
    parts = divide_along(inside, shaky)
    assert parts.max() == 2
    assert ((parts > 0) == inside).all()


def test_what_was_apart_stays_with_the_largest_part():
    inside = disc(25, 20, 10) | disc(25, 60, 5)
    parts = divide_along(inside, path((5, 20), (45, 20)))
    assert (parts[disc(25, 60, 5)] == 1).all()
    assert parts.max() == 2


@pytest.mark.parametrize("offset", [0, 3, -6])
def test_parts_are_carried_on_to_where_the_object_lies_beside(offset):
    parts = divide_along(disc(25, 30, 12), path((5, 30), (45, 30)))
    beside = disc(25, 30 + offset, 12)
    on = nearest_part(parts, beside)
    assert ((on > 0) == beside).all()
    both = beside & (parts > 0)
    assert (on[both] == parts[both]).all()


def test_objects_under_a_line_come_in_its_order():
    ids = np.where(disc(25, 20, 8), 9, np.where(disc(25, 50, 8), 3, 0)).astype(np.uint32)
    under = objects_along(ids, path((25, 60), (25, 5)))
    assert list(dict.fromkeys(under)) == [3, 9]
    assert objects_along(ids, path((2, 2), (2, 60))) == []


def test_of_slices_that_hold_nothing_none_is_read() -> None:
    codes = np.ones((6, 3, 4), np.uint8)
    codes[2:4, 1:, 1:] = 2
    read: list[int] = []
    planes = LazyPlanes(codes.shape, np.uint8, lambda z: read.append(z) or codes[z])
    found = pieces_of(planes, 1, [2, 3])
    ids = np.stack([found.ids(z) for z in range(6)])
    assert set(read) == {2, 3}
    np.testing.assert_array_equal(ids, connected_objects(codes))
