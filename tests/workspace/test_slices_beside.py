"""Slices annotated from those beside them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.annotations import add_class
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import SlicesBeside, Workspace

SHAPE = (6, 60, 80)
ROWS, COLUMNS = np.indices(SHAPE[1:])


def disc(y, x, radius):
    return (ROWS - y) ** 2 + (COLUMNS - x) ** 2 <= radius**2


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(Session(tmp_path))
    workspace.change_classes(add_class, "vesicle", label="adding a class")
    yield workspace
    workspace.close()


@pytest.fixture
def entry(workspace):
    return workspace.add_image(Stack(np.zeros(SHAPE, np.uint8), "ZYX", name="cells"))


@pytest.fixture
def slices(workspace):
    return SlicesBeside(workspace)


def answer(workspace, entry, plane, *pieces):
    """Let a network answer discs of classes for a slice, background elsewhere."""
    codes = np.ones(entry.shape[1:], np.uint8)
    for code, where in pieces:
        codes[where] = code
    workspace.set_prediction(entry.id, plane, workspace.prediction_slots()[codes])


def drifting(workspace, entry, planes=range(6)):
    """Let a piece drift to the right and end after slice 4; another of its class stays away."""
    for p in planes:
        drift = [(2, disc(20, 20 + 4 * p, 8))] if p < 5 else []
        answer(workspace, entry, p, *drift, (2, disc(50, 10, 6)), (3, disc(50, 60, 6)))


def paint(workspace, entry, plane, where, code):
    painted = entry.codes.copy()
    painted[plane][where] = code
    workspace.commit_annotations(entry.id, painted, [plane])


def test_slices_are_copied_within_a_time_point(workspace):
    pixels = np.zeros((2, 3, 40, 50), np.uint8)
    entry = workspace.add_image(Stack(pixels, "TZYX", name="movie"))
    painted = entry.codes.copy()
    painted[2, 5:9, 5:9] = 2
    painted[4, 5:9, 5:9] = 3
    workspace.commit_annotations(entry.id, painted, [2, 4])
    slices = SlicesBeside(workspace)
    with pytest.raises(UserError, match="no slice before"):
        slices.copy_from(entry.id, 3, -1)
    with pytest.raises(UserError, match="no slice after"):
        slices.copy_from(entry.id, 2, 1)
    with pytest.raises(UserError, match="Nothing is annotated on the slice before"):
        slices.copy_from(entry.id, 1, -1)
    assert slices.copy_from(entry.id, 3, 1) == 16
    assert (entry.codes[3, 5:9, 5:9] == 3).all()
    assert slices.copy_from(entry.id, 1, 1) == 16


def test_what_a_stroke_lies_on_is_followed_until_it_fades(workspace, entry, slices):
    drifting(workspace, entry)
    paint(workspace, entry, 1, np.s_[20, 22:27], 2)
    n_steps = len(workspace.log._done)
    done = slices.propagate(entry.id, 1, 1, 10)
    expected = np.stack([np.where(disc(20, 20 + 4 * p, 8), 2, 0) for p in (2, 3, 4)])
    assert (entry.codes[2:5] == expected).all()
    assert not entry.codes[[0, 5]].any()
    assert (done.n_px, done.n_slices, done.n_outgrown) == (int((expected > 0).sum()), 3, 0)
    assert len(workspace.log._done) == n_steps + 1
    assert workspace.undo() == "propagating"
    assert not entry.codes[2:].any()


def test_it_goes_no_farther_than_asked_and_to_the_slices_before_too(workspace, entry, slices):
    drifting(workspace, entry)
    paint(workspace, entry, 3, disc(20, 32, 8), 2)
    assert slices.propagate(entry.id, 3, -1, 2).n_slices == 2
    assert (entry.codes[1:3] == 2).any(axis=(1, 2)).all()
    assert not entry.codes[[0, 4]].any()


def test_what_is_painted_stays_and_the_region_is_kept_to(workspace, entry, slices):
    drifting(workspace, entry)
    paint(workspace, entry, 1, np.s_[20, 22:27], 2)
    paint(workspace, entry, 2, np.s_[18:22, 25:30], 1)
    entry.region = workspace.session.array(entry.id, "region", SHAPE)
    entry.region[2, :16] = 2
    workspace.update_region(entry.id)
    slices.propagate(entry.id, 1, 1, 1)
    assert (entry.codes[2, 18:22, 25:30] == 1).all()
    assert not entry.codes[2, :16].any()
    assert (entry.codes[2] == 2).any()


def test_a_piece_that_has_run_into_something_large_is_left_and_told_of(workspace, entry, slices):
    answer(workspace, entry, 0, (2, disc(20, 20, 6)), (2, disc(45, 60, 6)))
    answer(workspace, entry, 1, (2, disc(20, 20, 18)), (2, disc(45, 60, 7)))
    paint(workspace, entry, 0, np.s_[20, 20], 2)
    paint(workspace, entry, 0, np.s_[45, 60], 2)
    done = slices.propagate(entry.id, 0, 1, 5)
    assert (done.n_slices, done.n_outgrown) == (1, 1)
    assert (entry.codes[1] == np.where(disc(45, 60, 7), 2, 0)).all()


def test_two_pieces_that_come_together_are_followed_as_one(workspace, entry, slices):
    answer(workspace, entry, 0, (2, disc(20, 20, 6)), (2, disc(20, 36, 6)))
    answer(workspace, entry, 1, (2, np.s_[14:27, 15:42]))
    for x in (20, 36):
        paint(workspace, entry, 0, np.s_[20, x], 2)
    assert slices.propagate(entry.id, 0, 1, 5).n_px == 13 * 27


def test_what_only_touches_is_no_piece_of_it(workspace, entry, slices):
    answer(workspace, entry, 0, (2, disc(20, 20, 8)))
    answer(workspace, entry, 1, (2, disc(20, 35, 8)))
    paint(workspace, entry, 0, np.s_[20, 20], 2)
    assert slices.propagate(entry.id, 0, 1, 5).n_px == 0


def test_it_is_said_kindly_what_is_missing(workspace, entry, slices):
    with pytest.raises(UserError, match="paint on what is to be followed"):
        slices.propagate(entry.id, 0, 1, 5)
    paint(workspace, entry, 0, np.s_[20, 20], 2)
    with pytest.raises(UserError, match="after this one is not segmented yet; train a model"):
        slices.propagate(entry.id, 0, 1, 5)
    with pytest.raises(UserError, match="no slice before"):
        slices.propagate(entry.id, 0, -1, 5)
