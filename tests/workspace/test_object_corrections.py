"""Numbered objects corrected: as steps of the one history, and kept."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import ObjectCorrections, Workspace

SHAPE = (4, 60, 90)
ROWS, COLUMNS = np.indices(SHAPE[1:])
ACROSS = np.array([(5.0, 25.0), (55.0, 25.0)])


def disc(y, x, radius):
    return (ROWS - y) ** 2 + (COLUMNS - x) ** 2 <= radius**2


def two_cells():
    """Return ids of a cell through slices 0 to 2 that leans, another in all, and a speck."""
    ids = np.zeros(SHAPE, np.uint32)
    for p in range(3):
        ids[p][disc(30, 25 + p, 14)] = 4
    ids[:, disc(30, 65, 10)] = 9
    ids[3, 2:4, 2:4] = 70_000
    return ids


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(Session(tmp_path))
    yield workspace
    workspace.close()


@pytest.fixture
def entry(workspace):
    return workspace.add_image(Stack(np.zeros(SHAPE, np.uint8), "ZYX", name="cells"))


@pytest.fixture
def objects(workspace, entry):
    return workspace.objects.create(entry.id, two_cells())


@pytest.fixture
def do(workspace):
    return ObjectCorrections(workspace)


def counted_anew(objects):
    """Return what is in every slice, without the differences that edits are counted by."""
    found = {}
    for p, plane in enumerate(objects.ids):
        for i, n in zip(*np.unique(plane[plane > 0], return_counts=True), strict=True):
            found.setdefault(int(i), {})[p] = int(n)
    return found


#: Every correction, in a place where it changes something.
CORRECTIONS = {
    "split": lambda do, o: do.split(o, 1, ACROSS, everywhere=True),
    "split here": lambda do, o: do.split(o, 1, ACROSS, everywhere=False),
    "merge": lambda do, o: do.merge(o, 4, 9, 1, everywhere=True),
    "merge here": lambda do, o: do.merge(o, 4, 9, 1, everywhere=False),
    "delete": lambda do, o: do.delete(o, 1, (30, 25), everywhere=True),
    "delete here": lambda do, o: do.delete(o, 1, (30, 65), everywhere=False),
    "delete small": lambda do, o: do.delete_small(o, 50),
    "renumber": lambda do, o: do.renumber(o),
    "give a number": lambda do, o: do.give_number(o, 9, 12),
    "paint": lambda do, o: do.paint(o, np.full(SHAPE, 5, np.uint32), [0, 2]),
    "mark": lambda do, o: do.mark(o, 4),
}


@pytest.mark.parametrize("name", CORRECTIONS)
def test_a_correction_is_one_step_that_undo_takes_back_exactly(workspace, objects, do, name):
    do.mark(objects, 9)
    before, n_steps = objects.ids.copy(), len(workspace.log._done)
    CORRECTIONS[name](do, objects)
    after, reviewed = objects.ids.copy(), set(objects.reviewed)
    assert len(workspace.log._done) == n_steps + 1
    assert (before != after).any() or reviewed != {9}
    assert reviewed <= set(counted_anew(objects))
    assert objects.areas() == counted_anew(objects)
    workspace.undo()
    assert (objects.ids == before).all()
    assert objects.reviewed == {9}
    assert objects.areas() == counted_anew(objects)
    workspace.redo()
    assert (objects.ids == after).all()
    assert objects.reviewed == reviewed
    assert objects.areas() == counted_anew(objects)


def test_an_object_is_divided_in_all_its_slices_and_the_largest_part_keeps_its_number(objects, do):
    inside = objects.ids == 4
    assert do.split(objects, 1, ACROSS, everywhere=True) == 2
    assert (objects.ids[inside] > 0).all(), "no pixel is lost"
    for p in range(3):
        assert set(np.unique(objects.ids[p][inside[p]])) == {4, 70_001}
    assert objects.ids[1, 30, 36] == 4
    assert objects.ids[1, 30, 14] == 70_001


def test_or_in_this_slice_alone(objects, do):
    do.split(objects, 1, ACROSS, everywhere=False)
    assert set(np.unique(objects.ids[1][disc(30, 26, 14)])) == {4, 70_001}
    assert not (objects.ids[[0, 2]] == 70_001).any()
    do.delete(objects, 1, (30, 65), everywhere=False)
    assert not (objects.ids[1] == 9).any()
    assert (objects.ids[[0, 2, 3]] == 9).any(axis=(1, 2)).all()


def test_joined_objects_have_the_number_where_the_line_begins(objects, do):
    line = np.array([(30.0, 65.0), (30.0, 25.0)])
    assert do.ends(objects, 0, line) == (9, 4)
    do.merge(objects, 9, 4, 0, everywhere=True)
    assert not (objects.ids == 4).any()
    with pytest.raises(UserError, match="from one object to another"):
        do.ends(objects, 0, line)
    with pytest.raises(UserError, match="object 9 already"):
        do.merge(objects, 9, 9, 0, everywhere=True)


def test_time_points_are_apart(workspace, do):
    ids = np.ones((4, 20, 30), np.uint32)
    movie = workspace.add_image(Stack(np.zeros((2, 2, 20, 30), np.uint8), "TZYX", name="movie"))
    objects = workspace.objects.create(movie.id, ids)
    do.delete(objects, 3, (5, 5), everywhere=True)
    assert (objects.ids[:2] == 1).all()
    assert not objects.ids[2:].any()


def test_what_is_called_right_is_counted_and_small_ones_of_it_stay(objects, do):
    assert do.next_unreviewed(objects) == 4
    do.mark(objects, 4)
    assert do.next_unreviewed(objects, 4) == 9
    assert do.next_unreviewed(objects, 70_000) == 9, "it begins again"
    do.mark(objects, 70_000)
    assert do.delete_small(objects, 50) == 0
    assert do.small(objects, 50).n_reviewed == 1
    do.mark(objects, 9)
    assert do.next_unreviewed(objects) is None
    do.mark(objects, 9, right=False)
    assert do.next_unreviewed(objects) == 9


def test_what_is_gone_is_no_longer_right_and_a_new_number_takes_the_word_along(objects, do):
    do.mark(objects, 9)
    do.give_number(objects, 9, 1)
    assert objects.reviewed == {1}
    do.renumber(objects)
    assert objects.reviewed == {1}
    assert sorted(objects.areas()) == [1, 2, 3]
    do.delete(objects, 0, (30, 65), everywhere=True)
    assert objects.reviewed == set()


def test_what_cannot_be_meant_is_refused_in_words(objects, do):
    with pytest.raises(UserError, match="Object 9 exists already"):
        do.give_number(objects, 4, 9)
    with pytest.raises(UserError, match="no object 5"):
        do.give_number(objects, 5, 6)
    with pytest.raises(UserError, match="crosses no object"):
        do.split(objects, 1, np.array([(2.0, 2), (2, 80)]), everywhere=True)
    with pytest.raises(UserError, match="right across"):
        do.split(objects, 1, np.array([(30.0, 2), (30, 25)]), everywhere=True)
    with pytest.raises(UserError, match="no object under the pointer"):
        do.delete(objects, 1, (2, 2), everywhere=True)
    assert not objects.is_corrected


def test_strokes_and_corrections_of_objects_share_one_history(workspace, entry, objects, do):
    painted = entry.codes.copy()
    painted[0, :5] = 2
    workspace.commit_annotations(entry.id, painted, [0])
    do.delete(objects, 1, (30, 25), everywhere=True)
    painted[0, 5:9] = 2
    workspace.commit_annotations(entry.id, painted, [0])
    assert [workspace.undo() for _ in range(3)] == ["stroke", "deleting object 4", "stroke"]
    assert (objects.ids == two_cells()).all()
    assert not entry.codes.any()


def test_the_pieces_of_any_segmentation_can_be_numbered(workspace, entry, do):
    codes = np.ones(SHAPE[1:], np.uint8)
    codes[disc(30, 25, 14) | disc(30, 65, 10)] = 2
    for p in (0, 1):
        workspace.set_prediction(entry.id, p, workspace.prediction_slots()[codes])
    ids = do.number(entry.id)
    assert ids.dtype == np.uint32
    assert sorted(np.unique(ids)) == [0, 1, 2]
    assert ids[0, 30, 25] == ids[1, 30, 25] != ids[1, 30, 65]


def opened(folder):
    workspace = Workspace(Session(folder))
    return workspace, workspace.add_image(Stack(np.eye(60, 90, dtype=np.uint8)[None], "ZYX"))


def test_corrected_objects_come_back_in_the_next_session_with_what_was_right(tmp_path):
    first, entry = opened(tmp_path)
    objects = first.objects.create(entry.id, two_cells()[:1])
    do = ObjectCorrections(first)
    do.split(objects, 0, ACROSS, everywhere=True)
    do.mark(objects, 9)
    left = objects.ids.copy()
    first.close()
    for _ in range(2):  # and in the one after, from the one before alone
        later, entry = opened(tmp_path)
        [work] = later.earlier_work(entry.id)
        later.restore(entry.id, work)
        later.restore(entry.id, work)
        [back] = later.objects.of(entry.id)
        assert (back.ids == left).all()
        assert back.reviewed == {9}
        later.close()


def test_objects_that_nobody_touched_are_not_kept(tmp_path):
    first, entry = opened(tmp_path)
    first.objects.create(entry.id, two_cells()[:1])
    first.close()
    assert not list(tmp_path.iterdir())


def test_a_later_session_without_them_does_not_hide_corrected_objects(tmp_path):
    first, entry = opened(tmp_path)
    objects = first.objects.create(entry.id, two_cells()[:1])
    painted = np.full_like(entry.codes, 2)
    first.commit_annotations(entry.id, painted, [0])
    ObjectCorrections(first).renumber(objects)
    first.close()
    second, entry = opened(tmp_path)
    second.commit_annotations(entry.id, painted, [0])
    second.close()
    third, entry = opened(tmp_path)
    assert [len(work.objects) for work in third.earlier_work(entry.id)] == [0, 1]
    third.close()
