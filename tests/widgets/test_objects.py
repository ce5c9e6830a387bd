"""Numbered objects corrected with the mouse and the keys of a real window."""

from __future__ import annotations

import time

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from stage import Stage

from napari_unetseg.images import read_labels
from napari_unetseg.widgets import export_step
from napari_unetseg.widgets.correct_step import CorrectStep
from napari_unetseg.widgets.data_step import DataStep
from napari_unetseg.widgets.export_step import ExportStep

pytestmark = pytest.mark.window
SHAPE = (3, 96, 128)
ROWS, COLUMNS = np.indices(SHAPE[1:])


def disc(y, x, radius):
    return (ROWS - y) ** 2 + (COLUMNS - x) ** 2 <= radius**2


def ids():
    """Return a dumbbell through all slices, a disc through all, and a speck."""
    objects = np.zeros(SHAPE, np.uint32)
    objects[:, disc(48, 25, 16) | disc(48, 55, 14)] = 4
    objects[:, disc(48, 100, 14)] = 9
    objects[1, 4:6, 60:63] = 12
    return objects


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, np.zeros(SHAPE, np.uint8))
    stage.viewer.dims.set_current_step(0, 1)
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(CorrectStep)


def answer(stage, objects=None):
    """Let a model answer with objects; return them and their layer."""
    there = len(stage.workspace.objects.of(stage.entry.id))
    path = stage.workspace.session.path(stage.entry.id, f"objects-{there + 1}")
    np.save(path, ids() if objects is None else objects)
    stage.controller.renewing.emit()
    stage.controller.objects_ready.emit(stage.entry.id, np.load(path, mmap_mode="r+"))
    found = stage.workspace.objects.of(stage.entry.id)[-1]
    stage.person.wait(lambda: found.is_counted, 10)
    return found, stage.context.objects.layer_of(found)


def at_hand(stage, layer):
    stage.layers.activate(layer)
    stage.viewer.reset_view()
    QApplication.processEvents()


def press(stage, key):
    QTest.keyClick(stage.person.canvas, getattr(Qt.Key, f"Key_{key}"))
    QApplication.processEvents()


def click(stage, layer, point):
    stage.person.point_at(layer, point)
    stage.person.press(layer, point)
    stage.person.end_stroke(layer, point)


def looks_like_what_is(objects, layer):
    np.testing.assert_array_equal(np.asarray(layer.data).reshape(SHAPE), objects.ids)


def test_a_line_divides_an_object_in_all_slices_or_in_one(stage, step):
    objects, layer = answer(stage)
    at_hand(stage, layer)
    press(stage, "C")
    assert stage.context.proofreader.tool == "split"
    assert "right across an object" in stage.said[-1]
    stage.person.stroke(layer, [(25, 40), (72, 40)])
    assert stage.said[-1].startswith("Divided into 2 objects")
    for plane in objects.ids:
        assert plane[48, 25] == 4
        assert plane[48, 60] == 13
    looks_like_what_is(objects, layer)
    stage.person.undo()
    assert (objects.ids == ids()).all()
    looks_like_what_is(objects, layer)
    stage.person.redo()
    stage.person.undo()
    stage.person.click(step.objects.only_here)
    stage.person.stroke(layer, [(25, 40), (72, 40)])
    assert (objects.ids[1] == 13).any()
    assert not (objects.ids[[0, 2]] == 13).any()
    stage.person.stroke(layer, [(48, 25), (48, 30)])
    assert "right across the object" in stage.said[-1]
    looks_like_what_is(objects, layer)


def test_objects_are_joined_by_a_drag_or_by_two_clicks_on_two_slices(stage, step):
    objects, layer = answer(stage)
    at_hand(stage, layer)
    press(stage, "J")
    stage.person.stroke(layer, [(48, 100), (48, 60)])
    assert not (objects.ids == 4).any()
    assert (objects.ids[:, 48, 25] == 9).all()
    stage.person.undo()
    click(stage, layer, (48, 25))
    assert stage.said[-1] == "Object 4: now click on the one that belongs to it."
    stage.viewer.dims.set_current_step(0, 2)
    click(stage, layer, (48, 100))
    assert "are object 4 now" in stage.said[-1]
    assert not (objects.ids == 9).any()
    looks_like_what_is(objects, layer)


def test_a_click_deletes_an_object_and_small_ones_go_by_the_button(stage, step):
    objects, layer = answer(stage)
    at_hand(stage, layer)
    assert step.small.button.text() == "Delete objects under"
    QApplication.sendEvent(step.small.button, QEvent(QEvent.Type.Enter))
    assert stage.said[-1] == "1 object on this slice under 50 px over all slices."
    for widget in (step.small.button, step.small.below):
        assert "counted over all their slices" in widget.toolTip()
    assert "each goes as a whole" in step.small.where.toolTip()
    stage.person.click(step.small.button)
    assert sorted(objects.areas()) == [4, 9]
    press(stage, "D")
    click(stage, layer, (48, 100))
    assert sorted(objects.areas()) == [4]
    click(stage, layer, (48, 100))
    assert "no object under the pointer" in stage.said[-1]
    looks_like_what_is(objects, layer)
    for _ in range(2):
        stage.person.click(step.undo)
    assert (objects.ids == ids()).all()
    looks_like_what_is(objects, layer)


def test_naparis_own_tools_paint_and_erase_objects_and_the_history_is_one(stage, step):
    objects, layer = answer(stage)
    painted = stage.entry.codes.copy()
    painted[1, :3] = 2
    stage.workspace.commit_annotations(stage.entry.id, painted, [1])
    at_hand(stage, layer)
    assert layer.selected_label == 13, "a new object, not the first one"
    step.tools.brush.setValue(6)
    stage.person.click(step.tools.tools.button(0))
    stage.person.stroke(layer, [(80, 20), (80, 40)])
    assert (objects.ids[1, 80, 20:40] == 13).all()
    assert not stage.entry.codes[1, 80].any(), "objects are no annotations"
    stage.person.click(step.tools.tools.button(3))
    stage.person.stroke(layer, [(48, 10), (48, 40)])
    assert not objects.ids[1, 48, 12:38].any()
    looks_like_what_is(objects, layer)
    assert "painting objects" in step.undo.text()
    stage.person.undo()
    stage.person.undo()
    assert (objects.ids == ids()).all()
    looks_like_what_is(objects, layer)
    stage.person.undo()
    assert not stage.entry.codes.any()
    for _ in range(3):
        stage.person.redo()
    assert (objects.ids[1] == 13).any()
    assert stage.entry.codes.any()
    looks_like_what_is(objects, layer)


def test_other_tools_say_that_they_are_for_classes(stage, step):
    _, layer = answer(stage)
    at_hand(stage, layer)
    fixes = step.tools.fixes.buttons
    assert [tool for tool, b in fixes.items() if b.isEnabled()] == ["delete", "split", "join"]
    assert "works on classes" in fixes["grow"].toolTip()
    assert "in all its slices" in fixes["delete"].toolTip()
    assert not step.tools.label.isEnabled()
    assert "Objects have numbers" in step.tools.label.toolTip()
    press(stage, "G")
    assert stage.context.proofreader.tool is None
    stage.layers.activate(stage.layers.annotations_layer(stage.entry.id))
    assert all(button.isEnabled() for button in fixes.values())
    assert step.tools.label.isEnabled()


def test_objects_are_reviewed_one_after_the_other_by_keys(stage, step):
    objects, layer = answer(stage)
    at_hand(stage, layer)
    assert step.objects.reviewed.text() == "0 of 3 reviewed"
    press(stage, "U")
    assert stage.context.review.number == layer.selected_label == 4
    [outline] = [la for la in stage.viewer.layers if la.name.endswith("in review")]
    low, high = outline.data[0][:, 1:].min(axis=0), outline.data[0][:, 1:].max(axis=0)
    assert np.allclose([low, high], [(32, 9), (64, 69)], atol=1)
    centre = np.array(stage.viewer.scene.camera.center)[-2:]
    assert np.allclose(centre, (48, 39), atol=2)
    press(stage, "K")
    assert step.objects.reviewed.text() == "1 of 3 reviewed"
    assert stage.context.review.number == 9
    press(stage, "U")
    assert stage.viewer.dims.current_step[0] == 1, "the slice that it is on"
    assert stage.context.review.number == 12
    press(stage, "K")
    press(stage, "K")
    assert step.objects.reviewed.text() == "3 of 3 reviewed"
    assert stage.said[-1].startswith("Every object is reviewed")
    assert not [la for la in stage.viewer.layers if la.name.endswith("in review")]
    stage.person.undo()
    assert step.objects.reviewed.text() == "2 of 3 reviewed"
    assert objects.reviewed == {4, 12}


def test_the_outline_follows_what_the_object_becomes(stage, step):
    _, layer = answer(stage)
    at_hand(stage, layer)
    press(stage, "U")
    press(stage, "C")
    stage.viewer.reset_view()
    stage.person.stroke(layer, [(25, 40), (72, 40)])
    [outline] = [la for la in stage.viewer.layers if la.name.endswith("in review")]
    assert outline.data[0][:, 2].max() < 43
    press(stage, "D")
    click(stage, layer, (48, 25))
    assert not [la for la in stage.viewer.layers if la.name.endswith("in review")]
    press(stage, "K")
    assert stage.context.review.number == 9, "what is gone is not called right"


def test_numbers_are_given_and_made_without_gaps(stage, step):
    objects, layer = answer(stage)
    at_hand(stage, layer)
    layer.selected_label = 9
    step.objects.wanted.setValue(4)
    stage.person.click(step.objects.give)
    assert "Object 4 exists already" in stage.said[-1]
    step.objects.wanted.setValue(70)
    stage.person.click(step.objects.give)
    assert sorted(objects.areas()) == [4, 12, 70]
    assert layer.selected_label == 70
    assert step.objects.wanted.value() == 71, "70 is taken now, and what stands there is free"
    stage.person.click(step.objects.renumber)
    assert sorted(objects.areas()) == [1, 2, 3]
    looks_like_what_is(objects, layer)
    stage.person.undo()
    stage.person.undo()
    assert (objects.ids == ids()).all()
    looks_like_what_is(objects, layer)


def test_new_numbers_are_followed_by_the_review_the_hand_and_the_tool_to_join(stage, step):
    objects, layer = answer(stage)
    at_hand(stage, layer)
    press(stage, "U")
    press(stage, "U")
    assert stage.context.review.number == layer.selected_label == 9
    stage.person.click(step.objects.renumber)
    assert stage.context.review.number == layer.selected_label == 2
    stage.person.undo()
    assert stage.context.review.number == layer.selected_label == 9
    step.objects.wanted.setValue(70)
    stage.person.click(step.objects.give)
    assert stage.context.review.number == layer.selected_label == 70
    press(stage, "K")
    assert objects.reviewed == {70}
    stage.person.undo()
    stage.person.undo()
    assert objects.areas().keys() == {4, 9, 12}
    press(stage, "J")
    click(stage, layer, (48, 100))
    stage.person.click(step.objects.renumber)
    click(stage, layer, (48, 25))
    assert stage.said[-1].startswith("Objects 2 and 1 are object 2 now")


def test_a_number_that_was_free_is_not_that_of_another_object_after_undo(stage, step):
    objects, layer = answer(stage)
    at_hand(stage, layer)
    stage.person.click(step.objects.renumber)
    stage.person.new_label()
    assert layer.selected_label == 4
    stage.person.undo()
    assert objects.areas().keys() == {4, 9, 12}
    assert layer.selected_label == 13


def test_a_new_object_gets_a_free_number_where_the_highest_is_taken(stage, step):
    numbers = ids()
    numbers[numbers == 9] = 2**32 - 1
    numbers[numbers == 4] = 1
    _, layer = answer(stage, numbers)
    assert layer.selected_label == 2


def test_a_new_answer_leaves_what_was_corrected_in_a_layer_of_its_own(stage, step):
    objects, layer = answer(stage)
    stage.context.corrections.delete(objects, 1, (48, 100), everywhere=True)
    assert layer.name == "cells · corrected objects"
    stage.controller.renewing.emit()
    assert layer.visible, "it is no answer of a model any more"
    newer, shown = answer(stage)
    assert [layer.visible, shown.visible] == [False, True]
    assert "What you corrected is kept in “cells · corrected objects”" in stage.said[-1]
    assert (newer.ids == 9).any()
    assert not (objects.ids == 9).any()
    box = step.objects.which
    box.setCurrentIndex(0)
    box.activated.emit(0)
    assert [layer.visible, shown.visible] == [True, False]
    stage.viewer.layers.remove(layer)
    box.setCurrentIndex(0)
    box.activated.emit(0)
    again = stage.context.objects.layer_of(objects)
    assert again.visible
    looks_like_what_is(objects, again)
    stage.controller.renewing.emit()
    assert not shown.visible


def test_an_answer_that_comes_during_a_stroke_waits_for_its_end(stage, step):
    objects, layer = answer(stage)
    at_hand(stage, layer)
    layer.mode, layer.brush_size, layer.selected_label = "paint", 6, 13
    stage.person.begin_stroke(layer, (80, 20))
    stage.person.go_on(layer, (80, 40))
    newer, nothing_yet = answer(stage)
    assert nothing_yet is None
    assert layer.visible
    stage.person.go_on(layer, (80, 60))
    stage.person.end_stroke(layer, (80, 60))
    assert (objects.ids[1, 80, 20:60] == 13).all()
    assert not (newer.ids == 13).any()
    stage.person.wait(lambda: stage.context.objects.layer_of(newer), 10)
    assert stage.viewer.layers.selection.active is stage.context.objects.layer_of(newer)
    assert "is kept in" in stage.said[-1]
    assert not layer.visible
    stage.person.undo()
    assert (objects.ids == ids()).all()


@pytest.mark.parametrize("role", ["annotations", "objects"])
def test_a_layer_that_is_closed_during_a_stroke_leaves_what_was_painted(stage, step, role):
    objects, layer = answer(stage)
    if role == "annotations":
        layer = stage.layers.annotations_layer(stage.entry.id)
    at_hand(stage, layer)
    layer.mode, layer.brush_size, layer.selected_label = "paint", 6, 2
    painted = stage.entry.codes if role == "annotations" else objects.ids
    stage.person.begin_stroke(layer, (80, 20))
    stage.person.go_on(layer, (80, 60))
    stage.viewer.layers.remove(layer)
    assert (painted[1, 80, 20:58] == 2).all()
    assert not (painted[[0, 2]] == 2).any()
    assert stage.workspace.undo() is not None
    assert not (painted == 2).any()


def test_a_layer_that_is_closed_while_an_object_is_divided_changes_nothing(stage, step):
    objects, layer = answer(stage)
    at_hand(stage, layer)
    press(stage, "C")
    stage.person.begin_stroke(layer, (25, 40))
    stage.person.go_on(layer, (60, 40))
    stage.viewer.layers.remove(layer)
    assert (objects.ids == ids()).all()


def test_numbered_pieces_that_come_during_a_stroke_wait_for_its_end(stage, step):
    answered = np.ones(SHAPE[1:], np.uint8)
    answered[disc(48, 25, 16)] = 2
    slots = stage.workspace.prediction_slots()[answered]
    stage.workspace.set_prediction(stage.entry.id, 1, slots)
    stage.layers.set_tool("annotations", stage.entry.id, "paint", 1)
    layer = stage.viewer.layers.selection.active
    layer.brush_size = 6
    stage.person.begin_stroke(layer, (80, 20))
    step.objects.number.click()
    stage.person.wait(lambda: not step.objects._numbering.busy, 10)
    assert stage.viewer.layers.selection.active is layer
    stage.person.go_on(layer, (80, 60))
    stage.person.end_stroke(layer, (80, 60))
    assert (stage.entry.codes[1, 80, 20:60] == 2).all()
    stage.person.wait(lambda: stage.workspace.objects.of(stage.entry.id), 10)
    [objects] = stage.workspace.objects.of(stage.entry.id)
    assert stage.viewer.layers.selection.active is stage.context.objects.layer_of(objects)
    press(stage, "U")
    assert stage.said[-1].startswith("Object 1")


def test_pieces_of_a_segmentation_become_objects(stage, step):
    assert not step.objects.number.isEnabled()
    assert "Nothing is segmented yet" in step.objects.number.toolTip()
    assert "no numbered objects yet" in step.objects.next.toolTip()
    codes = np.ones(SHAPE[1:], np.uint8)
    codes[disc(48, 25, 16) | disc(48, 100, 14)] = 2
    stage.workspace.set_prediction(stage.entry.id, 1, stage.workspace.prediction_slots()[codes])
    step.objects_section.expand(animate=False)
    stage.person.wait(lambda: step.objects.number.height() > 10, 10)
    stage.person.click(step.objects.number)
    stage.person.wait(lambda: stage.workspace.objects.of(stage.entry.id), 10)
    [objects] = stage.workspace.objects.of(stage.entry.id)
    assert sorted(objects.areas()) == [1, 2]
    assert stage.viewer.layers.selection.active is stage.context.objects.layer_of(objects)


def segmented(stage, *discs):
    """Let a network answer discs, the same on all slices."""
    codes = np.ones(SHAPE[1:], np.uint8)
    for where in discs:
        codes[where] = 2
    slots = stage.workspace.prediction_slots()[codes]
    for plane in range(SHAPE[0]):
        stage.workspace.set_prediction(stage.entry.id, plane, slots)


def numbered(stage, step):
    """Press *Number pieces*; return the new objects."""
    there = len(stage.workspace.objects.of(stage.entry.id))
    step.objects_section.expand(animate=False)
    stage.person.wait(lambda: step.objects.number.height() > 10, 10)
    stage.person.click(step.objects.number)
    stage.person.wait(lambda: len(stage.workspace.objects.of(stage.entry.id)) > there, 10)
    found = stage.workspace.objects.of(stage.entry.id)[-1]
    stage.person.wait(lambda: found.is_counted, 10)
    return found


def test_numbering_is_taken_back_and_what_is_undone_comes_into_view(stage, step):
    corrected, layer = answer(stage)
    stage.context.corrections.delete(corrected, 1, (48, 100), everywhere=True)
    segmented(stage, disc(48, 25, 16), disc(48, 100, 14))
    assert "next become one object" in step.objects.number.toolTip()
    pieces = numbered(stage, step)
    assert "2 objects; pieces that touch from slice to slice are one." in stage.said[-1]
    assert step.objects.wanted.value() == 3, "the first that is free"
    shown = stage.context.objects.layer_of(pieces)
    assert [layer.visible, shown.visible] == [False, True]
    stage.context.corrections.mark(pieces, 1)
    stage.person.undo()
    stage.person.undo()
    assert stage.said[-1] == "Took back: numbering pieces."
    assert stage.workspace.objects.of(stage.entry.id) == [corrected]
    assert shown not in stage.viewer.layers
    assert layer.visible
    assert not list(pieces.path.parent.glob(f"{pieces.path.stem}.json")), "gone for good"
    layer.visible = False
    stage.person.undo()
    assert layer.visible
    assert stage.said[-1] == "Took back: deleting object 9."
    looks_like_what_is(corrected, layer)
    for _ in range(3):
        stage.person.redo()
    assert stage.workspace.objects.of(stage.entry.id) == [corrected, pieces]
    assert pieces.reviewed == {1}
    shown = stage.context.objects.layer_of(pieces)
    assert [layer.visible, shown.visible] == [False, True]
    looks_like_what_is(pieces, shown)
    stage.viewer.layers.remove(layer)
    for _ in range(3):
        stage.workspace.undo()
    assert stage.context.objects.layer_of(corrected).visible


def test_objects_of_an_earlier_segmentation_have_names_of_their_own_and_are_said_to_be(stage, step):
    discs = disc(48, 25, 16), disc(48, 100, 14)
    segmented(stage, *discs)
    older = numbered(stage, step)
    layer = stage.context.objects.layer_of(older)
    segmented(stage, *discs)
    assert step.objects.reviewed.text() == "0 of 2 reviewed", "it is as it was"
    segmented(stage, discs[0])
    assert step.objects.reviewed.text() == "0 of 2 reviewed, out of date"
    assert "segmentation has changed" in step.objects.reviewed.toolTip()
    at_hand(stage, layer)
    press(stage, "U")
    assert "segmentation has changed" in stage.said[-1]
    newer = numbered(stage, step)
    assert not newer.is_outdated
    names = [la.name for la in stage.viewer.layers if "objects" in la.name]
    assert sorted(names) == ["cells · objects", "cells · objects 2"]
    press(stage, "U")
    assert "segmentation has changed" not in stage.said[-1]
    export = stage.show(ExportStep)
    listed = [export.what.itemText(i) for i in range(export.what.count())]
    assert listed[-2:] == ["cells · objects (out of date)", "cells · objects 2"]
    stage.context.corrections.mark(newer, 1)
    assert stage.context.objects.layer_of(newer).name == "cells · corrected objects 2"


def test_they_come_back_in_the_next_window_and_are_exported(stage, step, tmp_path, monkeypatch):
    objects, _ = answer(stage)
    stage.context.corrections.mark(objects, 4)
    stage.context.corrections.delete(objects, 1, (48, 100), everywhere=True)
    left = objects.ids.copy()
    stage.workspace.close()
    stage.viewer.layers.clear()
    later = Stage(stage.viewer, tmp_path, np.zeros(SHAPE, np.uint8))
    data = later.show(DataStep)
    later.workspace.images_changed.emit()
    later.person.wait(lambda: data.earlier.isVisible(), 10)
    assert "objects" in data.earlier_works.currentText()
    later.person.click(data.bring_back)
    [back] = later.workspace.objects.of(later.entry.id)
    assert (back.ids == left).all()
    assert back.reviewed == {4}
    assert later.context.objects.layer_of(back).visible
    export = later.show(ExportStep)
    later.person.wait(lambda: export.save_segmentation.isVisible(), 10)
    target = tmp_path / "o.ome.tif"
    monkeypatch.setattr(export_step, "ask_paths", lambda *a, **k: [target])
    export.what.setCurrentIndex(export.what.findText("cells · corrected objects"))
    export.what.activated.emit(export.what.currentIndex())
    later.person.click(export.save_segmentation)
    later.person.wait(target.exists, 20)
    later.person.wait(lambda: not export._writer.busy, 20)
    assert "Saved the objects of cells" in later.said[-1]
    assert (read_labels(target, "objects").ids == left).all()
    later.close()


def test_propagating_asks_the_segmentation_of_the_slices_beside(stage, step):
    rows = step.slices
    assert "paint on what is to be followed" in rows.propagate_after.toolTip()
    painted = stage.entry.codes.copy()
    painted[1, 48, 20:30] = 2
    stage.workspace.commit_annotations(stage.entry.id, painted, [1])
    assert "after this one is not segmented yet" in rows.propagate_after.toolTip()
    codes = np.ones(SHAPE[1:], np.uint8)
    codes[disc(48, 25, 16) | disc(48, 100, 14)] = 2
    slots = stage.workspace.prediction_slots()
    for plane in range(3):
        stage.workspace.set_prediction(stage.entry.id, plane, slots[codes])
    stage.viewer.dims.set_current_step(0, 0)
    stage.viewer.dims.set_current_step(0, 1)
    stage.person.click(rows.propagate_after)
    assert (stage.entry.codes[2] == np.where(disc(48, 25, 16), 2, 0)).all()
    assert stage.said[-1].startswith("Propagated through 1 slice: ")
    stage.person.click(rows.propagate_before)
    stage.person.click(step.undo)
    stage.person.click(step.undo)
    assert not stage.entry.codes[[0, 2]].any()


def test_every_correction_on_a_slice_of_1024_px_is_answered_at_once(make_napari_viewer, tmp_path):
    side = 1024
    tile = np.zeros((64, 64), bool)
    tile[8:56, 8:56] = True
    numbers = np.arange(1, 257, dtype=np.uint32).reshape(16, 16).repeat(64, 0).repeat(64, 1)
    objects = np.stack([np.where(np.tile(tile, (16, 16)), numbers, 0)] * 4)
    viewer = make_napari_viewer(show=True)
    stage = Stage(viewer, tmp_path, np.zeros((4, side, side), np.uint8))
    stage.show(CorrectStep)
    _, layer = answer(stage, objects)
    at_hand(stage, layer)
    took = {}
    for key, drag in (
        ("C", [(66, 224), (126, 224)]),
        ("J", [(160, 160), (160, 230)]),
        ("D", [(416, 416)]),
    ):
        press(stage, key)
        took[key] = min(times(stage, layer, drag))
    for key in "UK":
        took[key] = min(elapsed(lambda key=key: press(stage, key)) for _ in range(3))
    assert not {key: f"{s:.3f} s" for key, s in took.items() if s > 0.1}
    stage.close()


def elapsed(do):
    start = time.process_time()
    do()
    return time.process_time() - start


def times(stage, layer, drag):
    """Use the tool in hand several times; yield how long the window takes when the button goes."""
    for _ in range(3):
        n_steps = len(stage.workspace.log._done)
        stage.person.begin_stroke(layer, drag[0])
        stage.person.go_on(layer, drag[-1])
        yield elapsed(lambda: stage.person.end_stroke(layer, drag[-1]))
        assert len(stage.workspace.log._done) == n_steps + 1, stage.said[-1]
        stage.workspace.undo()
