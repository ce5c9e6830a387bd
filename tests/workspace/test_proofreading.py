"""Proofreading as steps of the history: exact to undo, respectful of what is painted."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.annotations import add_class
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import Proofreading, SlicesBeside, Workspace

SHAPE = (3, 96, 120)
ROWS, COLUMNS = np.indices(SHAPE[1:])


def disc(y, x, radius):
    return (ROWS - y) ** 2 + (COLUMNS - x) ** 2 <= radius**2


def path(*points):
    return np.array(points, float)


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(Session(tmp_path))
    workspace.change_classes(add_class, "vesicle", label="adding a class")
    yield workspace
    workspace.close()


@pytest.fixture
def entry(workspace):
    """Return an image of discs, segmented: two of class 1 with a hole in one, and a speck."""
    rng = np.random.default_rng(0)
    pixels = np.full(SHAPE, 60.0)
    pixels[:, disc(48, 30, 20)] = pixels[:, disc(48, 90, 20)] = 160
    pixels = (pixels + rng.normal(0, 6, SHAPE)).astype(np.uint8)
    entry = workspace.add_image(Stack(pixels, "ZYX", name="cells"))
    for plane in range(SHAPE[0]):
        workspace.set_prediction(entry.id, plane, workspace.prediction_slots()[predicted()])
    return entry


def predicted():
    codes = np.ones(SHAPE[1:], np.uint8)
    codes[disc(48, 30, 20) | disc(48, 90, 20)] = 2
    codes[disc(48, 30, 5)] = 1
    codes[46:51, 50:54] = 2  # a tooth, outwards
    codes[4:7, 60:63] = 3
    return codes


@pytest.fixture
def proofreading(workspace):
    return Proofreading(workspace)


#: Every operation on slice 1, in places where each changes something.
OPERATIONS = {
    "claim": lambda p, i: p.claim(i, 1, path((20, 60), (20, 75)), 3, 10),
    "grow": lambda p, i: p.grow(i, 1, (48, 85), 3, 10),
    "smooth a piece": lambda p, i: p.smooth_piece(i, 1, (48, 15), 10),
    "smooth under the brush": lambda p, i: p.smooth_under(i, 1, path((44, 52), (53, 52)), 10),
    "fill holes": lambda p, i: p.fill_holes(i, 1, (48, 15)),
    "fill a hole": lambda p, i: p.fill_holes(i, 1, (48, 30)),
    "delete a piece": lambda p, i: p.delete_piece(i, 1, (48, 15)),
    "split": lambda p, i: p.split(i, 1, path((48, 66), (48, 115))),
    "join": lambda p, i: p.join(i, 1, path((48, 40), (48, 80)), 6),
    "delete small": lambda p, i: p.delete_small(i, [0, 1, 2], 20),
    "copy from the slice before": lambda p, i: SlicesBeside(p._workspace).copy_from(i, 1, -1),
    "copy from the slice after": lambda p, i: SlicesBeside(p._workspace).copy_from(i, 1, 1),
}
#: Those that are about pixels that may be painted.
ABOUT_PAINTED = {
    "smooth a piece",
    "smooth under the brush",
    "fill a hole",
    "delete a piece",
    "split",
    "join",
}


def paint(workspace, entry, plane, where, code):
    painted = entry.codes.copy()
    painted[plane][where] = code
    workspace.commit_annotations(entry.id, painted, [plane])


def paint_beside(workspace, entry):
    """Annotate something on the slices before and after the middle one."""
    for plane in (0, 2):
        paint(workspace, entry, plane, np.s_[70:90, 10:100], 3 if plane else 2)


@pytest.fixture
def prepared(workspace, entry):
    paint_beside(workspace, entry)
    return entry


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_one_step_that_undo_takes_back_exactly(
    workspace, prepared, proofreading, name
):
    before, n_steps = prepared.codes.copy(), len(workspace.log._done)
    n_px = OPERATIONS[name](proofreading, prepared.id)
    after = prepared.codes.copy()
    assert n_px == (after != before).sum() > 0
    assert len(workspace.log._done) == n_steps + 1
    workspace.undo()
    np.testing.assert_array_equal(prepared.codes, before)
    workspace.redo()
    np.testing.assert_array_equal(prepared.codes, after)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - ABOUT_PAINTED))
def test_what_is_painted_stays(workspace, prepared, proofreading, name):
    rng = np.random.default_rng(3)
    for code in (1, 2, 3):
        paint(workspace, prepared, 1, rng.random(SHAPE[1:]) < 0.02, code)
    paint(workspace, prepared, 1, (48, 85), 0)
    painted = prepared.codes.copy()
    OPERATIONS[name](proofreading, prepared.id)
    np.testing.assert_array_equal(prepared.codes[painted != 0], painted[painted != 0])


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"fill holes"}))
def test_outside_the_region_nothing_changes(workspace, prepared, proofreading, name):
    if name in ABOUT_PAINTED:
        workspace.accept(prepared.id, [1])
    prepared.region = workspace.session.array(prepared.id, "region", SHAPE)
    prepared.region[:, :, ::2] = 2
    prepared.region[1, 48] = 0
    workspace.update_region(prepared.id)
    before = prepared.codes.copy()
    outside = np.stack([~prepared.allowed(p) for p in range(SHAPE[0])])
    assert OPERATIONS[name](proofreading, prepared.id) > 0
    np.testing.assert_array_equal(prepared.codes[outside], before[outside])


def test_superpixels_and_grown_areas_get_the_class_in_hand(entry, proofreading):
    proofreading.claim(entry.id, 1, path((48, 85), (48, 95)), 3, 8)
    claimed = entry.codes[1] == 3
    assert claimed[48, 85:96].all()
    assert not (claimed & ~disc(48, 90, 23)).any()
    proofreading.grow(entry.id, 2, (48, 85), 3, 10)
    grown = entry.codes[2] == 3
    shape = disc(48, 90, 20)
    assert (grown & shape).sum() / (grown | shape).sum() > 0.9


def test_growing_stops_at_a_line_painted_as_something_else(workspace, entry, proofreading):
    paint(workspace, entry, 1, np.s_[20:80, 88:90], 1)
    proofreading.grow(entry.id, 1, (48, 80), 3, 10)
    assert (entry.codes[1] == 3).any()
    assert not (entry.codes[1, :, 90:] == 3).any()
    with pytest.raises(UserError, match="annotated otherwise"):
        proofreading.grow(entry.id, 1, (48, 89), 3, 10)


def test_without_a_class_in_hand_nothing_is_claimed(entry, proofreading):
    with pytest.raises(UserError, match="Choose a class"):
        proofreading.claim(entry.id, 1, path((48, 85)), 0, 8)


def test_holes_are_filled_where_nothing_is_painted_and_altogether_by_a_click_into_one(
    workspace, entry, proofreading
):
    hole = disc(48, 30, 5)
    paint(workspace, entry, 1, np.s_[46:50, 28:32], 1)
    paint(workspace, entry, 1, np.s_[50:52, 30:32], 3)
    proofreading.fill_holes(entry.id, 1, (48, 15))
    shown = entry.segmentation(1)
    assert (shown[46:50, 28:32] == 1).all()
    assert shown[48, 26] == 2
    proofreading.fill_holes(entry.id, 1, (48, 30))
    shown = entry.segmentation(1)
    assert (shown[50:52, 30:32] == 3).all()
    assert (shown[hole] >= 2).all()
    with pytest.raises(UserError, match="hole"):
        proofreading.fill_holes(entry.id, 1, (2, 2))


def test_a_deleted_piece_is_background_painted_or_not(workspace, entry, proofreading):
    paint(workspace, entry, 1, np.s_[40:60, 12:16], 2)
    proofreading.delete_piece(entry.id, 1, (48, 13))
    shown = entry.segmentation(1)
    assert (shown[:, :60] == 1).all()
    assert (shown[disc(48, 90, 20)] == 2).all()
    assert (entry.codes[1][disc(48, 90, 20)] == 0).all()
    with pytest.raises(UserError, match="no class under the pointer"):
        proofreading.delete_piece(entry.id, 1, (48, 13))


def test_smoothing_a_piece_does_not_bring_the_prediction_back_to_light(
    workspace, entry, proofreading
):
    paint(workspace, entry, 1, np.s_[:], 0)
    proofreading.smooth_piece(entry.id, 1, (48, 90), 10)
    codes = entry.codes[1]
    shown = entry.segmentation(1)
    assert set(np.unique(shown)) == {1, 2, 3}
    np.testing.assert_array_equal(shown[codes != 0], codes[codes != 0])


def test_strokes_without_a_prediction_are_smoothed_and_what_they_leave_is_unlabelled(
    workspace, proofreading
):
    entry = workspace.add_image(Stack(np.zeros(SHAPE, np.uint8), "ZYX", name="empty"))
    where = disc(48, 60, 15)
    where[46:49, 70:85] = True
    paint(workspace, entry, 1, where, 2)
    proofreading.smooth_piece(entry.id, 1, (48, 60), 15)
    assert set(np.unique(entry.codes[1])) == {0, 2}
    assert not entry.codes[1, 47, 82:].any()


def test_split_and_joined_again_is_one_piece(entry, proofreading):
    proofreading.split(entry.id, 1, path((20, 90), (76, 90)))
    assert (entry.codes[1][entry.codes[1] != 0] == 1).all()
    proofreading.delete_piece(entry.id, 1, (48, 100))
    assert (entry.segmentation(1)[30:66, 92:105] == 1).all()
    assert entry.segmentation(1)[48, 80] == 2
    with pytest.raises(UserError, match="crosses no class"):
        proofreading.split(entry.id, 1, path((90, 5), (90, 50)))
    with pytest.raises(UserError, match="same class"):
        proofreading.join(entry.id, 1, path((48, 40), (5, 61)), 6)
    proofreading.join(entry.id, 1, path((48, 40), (48, 80)), 6)
    assert (entry.segmentation(1)[48, 40:80] == 2).all()


def test_small_pieces_are_counted_before_they_go_and_painted_ones_stay(
    workspace, entry, proofreading
):
    small = proofreading.small_pieces(entry.id, 1, 10)
    assert (small.n, small.n_painted) == (1, 0)
    paint(workspace, entry, 1, (5, 61), 3)
    small = proofreading.small_pieces(entry.id, 1, 10)
    assert (small.n, small.n_painted) == (0, 1)
    assert proofreading.delete_small(entry.id, [0, 1, 2], 10) == 18
    assert (entry.codes[[0, 2], 4:7, 60:63] == 1).all()
    assert entry.segmentation(1)[4, 60] == 3


def test_another_stack_of_the_same_id_gets_its_own_superpixels(workspace, entry, proofreading):
    one = proofreading.superpixels(entry.id, 1, path((48, 90)), 12)
    entry.stack = Stack(np.zeros(SHAPE, np.uint8), "ZYX", name="dark")
    other = proofreading.superpixels(entry.id, 1, path((48, 90)), 12)
    assert (one != other).any()
