from __future__ import annotations

import time

import numpy as np
import pytest

from napari_unetseg.annotations import add_class, delete_class
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import SliceFacts, SliceState, StackProgress, Workspace, slice_name

SHAPE = (5, 40, 50)
NOTHING, PREDICTED, ANNOTATED, ACCEPTED = SliceState


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(Session(tmp_path))
    yield workspace
    workspace.close()


@pytest.fixture
def progress(workspace):
    return StackProgress(workspace)


@pytest.fixture
def entry(workspace, progress):
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    return workspace.add_image(Stack(pixels, "ZYX", name="cells"))


def states(progress, entry, here=0):
    while question := progress.question(entry.id, here):
        progress.take(question())
    return progress.states(entry.id).tolist()


def paint(workspace, entry, plane, where, code):
    painted = entry.codes.copy()
    painted[plane][where] = code
    workspace.commit_annotations(entry.id, painted, [plane])


def predict(workspace, entry, plane, code=1):
    workspace.set_prediction(entry.id, plane, np.full(SHAPE[1:], code, np.uint8))


def test_nothing_of_a_new_image_has_to_be_read(progress, entry):
    assert progress.question(entry.id, 0) is None
    assert states(progress, entry) == [NOTHING] * 5


def test_a_slice_is_predicted_annotated_accepted_and_back(workspace, progress, entry):
    predict(workspace, entry, 1)
    assert states(progress, entry) == [0, PREDICTED, 0, 0, 0]
    paint(workspace, entry, 1, np.s_[:2, :30], 2)
    paint(workspace, entry, 3, np.s_[0, 0], 2)
    assert states(progress, entry) == [0, ANNOTATED, 0, ANNOTATED, 0]
    assert progress.facts(entry.id, 1) == SliceFacts(60, 2000, is_predicted=True)
    assert progress.facts(entry.id, 1).words == "annotated, 3 % painted; predicted"
    assert progress.facts(entry.id, 3).words == "annotated, less than 1 % painted"
    workspace.accept(entry.id, [1])
    assert states(progress, entry) == [0, ACCEPTED, 0, ANNOTATED, 0]
    assert progress.facts(entry.id, 1).words == "completely annotated; predicted"
    for _ in range(3):
        workspace.undo()
    assert states(progress, entry) == [0, PREDICTED, 0, 0, 0]


def test_one_pixel_short_of_complete_is_not_accepted(workspace, progress, entry):
    paint(workspace, entry, 0, np.s_[:], 1)
    paint(workspace, entry, 0, np.s_[7, 7], 0)
    assert states(progress, entry)[0] == ANNOTATED
    assert progress.facts(entry.id, 0).words == "annotated, 99 % painted"


def test_only_what_has_changed_is_counted_again_nearest_first(workspace, progress, entry):
    for plane in (0, 2, 4):
        paint(workspace, entry, plane, np.s_[:3], 2)
    _, first = progress.question(entry.id, 3, at_most=2)()
    assert set(first) == {2, 4}
    states(progress, entry)
    paint(workspace, entry, 2, np.s_[:4], 2)
    _, again = progress.question(entry.id, 0)()
    assert set(again) == {2}


def test_a_stroke_while_it_is_counted_is_not_lost(workspace, progress, entry):
    paint(workspace, entry, 2, np.s_[:3], 2)
    question = progress.question(entry.id, 2)
    answer = question()
    paint(workspace, entry, 2, np.s_[:], 2)
    progress.take(answer)
    assert progress.states(entry.id)[2] == ANNOTATED
    assert states(progress, entry)[2] == ACCEPTED
    progress.take(answer)
    assert progress.states(entry.id)[2] == ACCEPTED, "an older answer counts for nothing"


def test_what_is_outside_the_region_is_not_missing(workspace, progress, entry):
    paint(workspace, entry, 1, np.s_[:10], 1)
    predict(workspace, entry, 1)
    predict(workspace, entry, 2)
    entry.region = workspace.session.array(entry.id, "region", entry.shape)
    entry.region[1, :10] = 1
    workspace.update_region(entry.id)
    assert states(progress, entry) == [0, ACCEPTED, NOTHING, 0, 0]
    workspace.clear_region(entry.id)
    assert states(progress, entry) == [0, ANNOTATED, PREDICTED, 0, 0]


def test_a_prediction_of_a_class_that_is_gone_is_none(workspace, progress, entry):
    workspace.change_classes(add_class, "vesicle", label="adding a class")
    slots = workspace.prediction_slots()
    predict(workspace, entry, 0, slots[3])
    assert states(progress, entry)[0] == PREDICTED
    workspace.change_classes(delete_class, 2, label="deleting a class")
    assert states(progress, entry)[0] == NOTHING
    workspace.undo()
    assert states(progress, entry)[0] == PREDICTED


def test_an_image_left_out_is_counted_again_when_it_comes_back(workspace, progress, entry):
    paint(workspace, entry, 1, np.s_[:10], 2)
    assert states(progress, entry)[1] == ANNOTATED
    workspace.remove_image(entry.id)
    workspace.undo()
    workspace.add_image(entry.stack)
    assert states(progress, entry) == [NOTHING] * 5


def test_what_was_there_before_is_counted(workspace, progress, entry):
    predict(workspace, entry, 2)
    paint(workspace, entry, 1, np.s_[:10], 2)
    assert states(StackProgress(workspace), entry) == [0, ANNOTATED, PREDICTED, 0, 0]


def test_suggested_slices_are_told_of(progress, entry):
    told = []
    progress.changed.connect(told.append)
    progress.set_suggested(entry.id, [4, 1])
    assert progress.suggested(entry.id) == {1, 4}
    progress.set_suggested(entry.id, [])
    assert not progress.suggested(entry.id)
    assert told == [entry.id] * 2


def test_a_slice_of_a_time_series_is_named_by_its_time_point():
    def stack(axes, shape):
        return Stack(np.zeros(shape, np.uint8), axes, name="cells")

    assert slice_name(stack("ZYX", (9, 4, 4)), 7) == "slice 7"
    assert slice_name(stack("TYX", (9, 4, 4)), 7) == "time point 7"
    assert slice_name(stack("TZYX", (2, 5, 4, 4)), 7) == "time point 1, slice 2"


def test_a_stroke_on_a_thousand_large_slices_costs_the_window_nothing(workspace, progress):
    stack = Stack(np.zeros((1000, 1024, 1024), np.uint8), "ZYX", name="large")
    entry = workspace.add_image(stack)
    seconds = []
    for plane in range(20):
        entry.codes[plane, :100] = 1
        entry.blocks[plane] = 1
        start = time.perf_counter()
        progress._on_changed(entry.id, [plane])
        question = progress.question(entry.id, plane)
        seconds.append(time.perf_counter() - start)
        answer = question()
        assert len(answer[1]) == 1
        start = time.perf_counter()
        progress.take(answer)
        seconds[-1] += time.perf_counter() - start
    assert np.median(seconds) < 0.002
