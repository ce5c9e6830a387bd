from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.annotations import (
    EditLog,
    Step,
    add_class,
    delete_class,
    edit_between,
    fill_unlabelled,
    merge_classes,
    rename_class,
    reorder_classes,
)
from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError

CLASSES = tuple(LabelClass(name=n, color="#000000") for n in ("a", "b", "c"))
CODES = np.array([0, 1, 2, 3, 4], np.uint8)


def step(rng, codes):
    after = codes.copy()
    after[rng.integers(0, codes.size, 5)] = rng.integers(0, 4)
    edit = edit_between("image", codes, after)
    return after, Step("stroke", (edit,) if edit else ())


def test_undoing_everything_restores_the_start_and_redoing_the_end():
    rng = np.random.default_rng(0)
    codes = start = np.zeros(40, np.uint8)
    log = EditLog()
    for _ in range(30):
        codes, done = step(rng, codes)
        log.record(done)
    end = codes.copy()
    while (back := log.undo()) is not None:
        for edit in back.edits:
            assert (codes[edit.indices] == edit.after).all()
            codes[edit.indices] = edit.before
    assert (codes == start).all()
    while (again := log.redo()) is not None:
        for edit in again.edits:
            codes[edit.indices] = edit.after
    assert (codes == end).all()


def test_a_new_edit_forgets_what_was_undone():
    log = EditLog()
    log.record(Step("first"))
    log.undo()
    log.record(Step("second"))
    assert log.redo() is None
    assert log.undo_label == "second"


def test_the_history_stays_within_its_memory_and_keeps_the_newest():
    log = EditLog(max_bytes=5000)
    before, after = np.zeros(1000, np.uint8), np.zeros(1000, np.uint8)
    after[:100] = 1
    for i in range(50):
        edit = edit_between("image", before, after)
        log.record(Step(str(i), (edit,)))
    labels = []
    while (back := log.undo()) is not None:
        labels.append(back.label)
    assert labels[0] == "49"
    assert len(labels) == 5


def test_a_slice_that_is_filled_takes_two_bytes_a_pixel():
    before, after = np.zeros((50, 40), np.uint8), np.full((50, 40), 2, np.uint8)
    before[3, 4:7] = 2
    edit = edit_between("image", before, after, offset=3 * before.size)
    assert edit.n_changed == before.size - 3
    assert edit.n_bytes == 2 * before.size
    assert edit.planes((5, *before.shape)) == [3]
    codes = np.zeros((5, *before.shape), np.uint8)
    codes[3] = before
    start = codes.copy()
    codes.reshape(-1)[edit.indices] = edit.after
    assert (codes[3] == 2).all()
    codes.reshape(-1)[edit.indices] = edit.before
    assert (codes == start).all()


def test_equal_arrays_have_no_edit():
    assert edit_between("image", CODES, CODES.copy()) is None


def test_accepting_keeps_every_painted_pixel():
    painted = np.array([0, 1, 2, 0], np.uint8)
    assert fill_unlabelled(painted, np.array([3, 3, 3, 0], np.uint8)).tolist() == [3, 1, 2, 0]


def test_deleting_a_class_leaves_its_pixels_unlabelled_and_moves_the_others_up():
    classes, table = delete_class(CLASSES, 2)
    assert [c.name for c in classes] == ["a", "c"]
    assert table[CODES].tolist() == [0, 1, 2, 0, 3]


@pytest.mark.parametrize(
    ("k", "into", "expected"), [(1, 3, [0, 1, 3, 2, 3]), (3, 1, [0, 1, 2, 3, 2])]
)
def test_merging_gives_the_pixels_to_the_other_class(k, into, expected):
    classes, table = merge_classes(CLASSES, k, into)
    assert len(classes) == 2
    assert table[CODES].tolist() == expected
    name = CLASSES[into - 1].name
    assert classes[table[into + 1] - 2].name == name
    assert classes[table[k + 1] - 2].name == name


def test_reordering_moves_pixels_with_their_names():
    classes, table = reorder_classes(CLASSES, [3, 1, 2])
    for code in (2, 3, 4):
        assert classes[table[code] - 2] == CLASSES[code - 2]


def test_a_new_class_gets_a_free_name_and_colour():
    classes, table = add_class(CLASSES, "b")
    assert classes[-1].name == "b 2"
    assert (table == np.arange(256)).all()


def test_a_taken_name_is_refused():
    with pytest.raises(UserError, match="taken"):
        rename_class(CLASSES, 1, "b")
    with pytest.raises(UserError, match="taken"):
        rename_class(CLASSES, 1, "background")
