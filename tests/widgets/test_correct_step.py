from __future__ import annotations

import threading

import numpy as np
import pytest
from stage import Stage, cells

from napari_unetseg.annotations import add_class
from napari_unetseg.config import Recipe
from napari_unetseg.events import HeldOutScored, ModelSaved, TrainingStep
from napari_unetseg.jobs import TrainCommand
from napari_unetseg.widgets import truth_box
from napari_unetseg.widgets.correct_step import CorrectStep
from napari_unetseg.workspace.scores import score_segmentation

pytestmark = pytest.mark.window


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells())
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(CorrectStep)


def truth_of(stage) -> np.ndarray:
    return (np.asarray(stage.image.data) > 120).astype(np.uint8)


def predict(stage, wrong_px=0):
    """Let the worker have segmented every slice, some of it wrongly."""
    masks = truth_of(stage)
    for plane in range(len(masks)):
        codes = masks[plane] + np.uint8(1)
        codes[:wrong_px] = 3 - codes[:wrong_px]
        stage.workspace.set_prediction(stage.entry.id, plane, codes)


def score_against_truth(stage, step) -> float:
    """Choose the truth as a layer of its own; return the score once it is there."""
    truth = stage.viewer.add_labels(truth_of(stage), name="expert")
    step.truth.layer.setCurrentIndex(step.truth.layer.findData(truth))
    step.truth.layer.activated.emit(1)
    stage.person.wait(lambda: step.truth.score is not None, 10)
    return step.truth.score


def test_a_stroke_on_the_segmentation_corrects_it_and_the_buttons_take_it_back(stage, step):
    predict(stage)
    stage.workspace.change_classes(add_class, "vesicle", label="adding a class")
    step.tools.role.setCurrentIndex(step.tools.role.findData("segmentation"))
    step.tools.label.setCurrentIndex(2)
    step.tools.brush.setValue(6)
    stage.person.click(step.tools.tools.button(0))
    layer = stage.layers.segmentation_layer(stage.entry.id)
    assert stage.viewer.layers.selection.active is layer
    assert (str(layer.mode), layer.selected_label, layer.brush_size) == ("paint", 3, 6)
    plane = stage.layers.current_plane(stage.entry)
    stage.person.stroke(layer, [(80, 30), (80, 90)])
    assert (stage.entry.codes[plane, 80, 40:80] == 3).all()
    assert step.undo.text() == "Undo correction"
    stage.person.click(step.undo)
    assert not stage.entry.codes.any()
    assert step.redo.text() == "Redo correction"
    stage.person.click(step.redo)
    assert (stage.entry.codes[plane, 80, 40:80] == 3).all()
    assert stage.said == ["Took back: correction.", "Done again: correction."]


def test_the_tools_show_what_the_layer_has_in_hand(stage, step):
    predict(stage)
    step.tools.use("paint")
    layer = stage.viewer.layers.selection.active
    layer.mode = "erase"
    layer.selected_label = 1
    assert step.tools.mode == "erase"
    assert step.tools.label.currentText() == "background"
    annotations = stage.layers.annotations_layer(stage.entry.id)
    stage.viewer.layers.selection.active = annotations
    assert step.tools.role.currentData() == "annotations"
    stage.viewer.layers.selection.active = stage.image
    assert step.tools.tools.checkedId() == -1


def test_accepting_fills_only_what_is_unlabelled(stage, step):
    assert not step.accept_slice.isEnabled()
    assert "Nothing is segmented here yet" in step.accept_slice.toolTip()
    predict(stage)
    assert step.accept_slice.isEnabled()
    stage.viewer.dims.set_current_step(0, 1)
    stage.annotate(plane=1)
    painted = stage.entry.codes.copy()
    painted[1, :2] = 2
    stage.workspace.commit_annotations(stage.entry.id, painted, [1])
    stage.person.click(step.accept_slice)
    masks = truth_of(stage)
    expected = np.where(painted[1] == 0, masks[1] + 1, painted[1])
    np.testing.assert_array_equal(stage.entry.codes[1], expected)
    assert not stage.entry.codes[[0, 2, 3]].any()
    assert step.undo.text() == "Undo accepting"
    stage.person.click(step.accept_all)
    assert (stage.entry.codes != 0).all()
    stage.person.click(step.undo)
    stage.person.click(step.undo)
    np.testing.assert_array_equal(stage.entry.codes, painted)


def seen(stage):
    """Return which pixels of the slice are seen, from where napari's canvas has its corners."""
    (top, left), (bottom, right) = stage.viewer.window._qt_viewer.canvas._viewbox_corners_in_world[
        :, -2:
    ]
    rows, columns = np.indices(stage.entry.shape[1:])
    return (
        (rows > top - 0.5)
        & (rows < bottom + 0.5)
        & (columns > left - 0.5)
        & (columns < right + 0.5)
    )


def move_to(stage, y, x, zoom):
    """Move the camera, and wait until the canvas has been drawn."""
    scene = stage.viewer.scene
    scene.camera.center, scene.camera.zoom = (y, x), zoom
    drawn = []
    events = stage.viewer.window._qt_viewer.canvas._scene_canvas.events
    callback = events.draw.connect(lambda event: drawn.append(event), position="last")
    stage.viewer.window._qt_viewer.canvas._scene_canvas.update()
    stage.person.wait(lambda: drawn, 10)
    events.draw.disconnect(callback)


def test_only_what_is_in_sight_is_accepted(stage, step):
    predict(stage)
    stage.viewer.dims.set_current_step(0, 1)
    stage.annotate(plane=1)
    painted = stage.entry.codes.copy()
    move_to(stage, 20.3, 40.2, 16)
    stage.person.click(step.accept_in_sight)
    accepted = stage.entry.codes[1] != painted[1]
    n_px = np.count_nonzero(accepted)
    assert 100 < n_px < accepted.size / 2
    assert not (accepted & ~seen(stage)).any(), "what nobody sees is not accepted"
    where = np.argwhere(seen(stage))
    (top, left), (bottom, right) = where.min(0), where.max(0)
    assert stage.entry.codes[1, top + 1 : bottom, left + 1 : right].all(), (
        "a line at most is missed"
    )
    expected = np.where(accepted, truth_of(stage)[1] + 1, painted[1])
    np.testing.assert_array_equal(stage.entry.codes[1], expected)
    assert not stage.entry.codes[[0, 2, 3]].any()
    assert stage.said[-1] == (
        f"What is in sight is accepted: {n_px:,} px became annotations; Undo takes that back."
    )
    stage.person.click(step.accept_in_sight)
    assert stage.said[-1] == "There was no unlabelled pixel in sight to fill."
    assert step.undo.text() == "Undo accepting"
    stage.person.click(step.undo)
    np.testing.assert_array_equal(stage.entry.codes, painted)


def test_nothing_is_accepted_where_no_slice_is_in_sight(stage, step):
    predict(stage)
    move_to(stage, 5000, 40, 8)
    stage.person.click(step.accept_in_sight)
    assert stage.said[-1] == "Nothing of the slice is in sight; move it into view."
    move_to(stage, 20, -5000, 8)
    stage.person.click(step.accept_in_sight)
    assert not stage.entry.codes.any()
    stage.viewer.dims.ndisplay = 3
    assert not step.accept_in_sight.isEnabled()
    assert "works on slices" in step.accept_in_sight.toolTip()
    assert step.accept_slice.isEnabled()
    stage.viewer.dims.ndisplay = 2
    assert step.accept_in_sight.isEnabled()


def test_slices_between_annotated_ones_are_filled_by_a_click_and_taken_back(stage, step):
    stage.viewer.dims.set_current_step(0, 1)
    assert not step.slices.interpolate.isEnabled()
    assert "No slice before this one is annotated" in step.slices.interpolate.toolTip()
    painted = stage.entry.codes.copy()
    for plane in (0, 3):
        painted[plane, 10:20, 10 + 3 * plane : 20 + 3 * plane] = 2
        stage.workspace.commit_annotations(stage.entry.id, painted, [plane])
    assert step.slices.interpolate.isEnabled()
    stage.person.click(step.slices.interpolate)
    assert (stage.entry.codes[1, 12:18, 15:20] == 2).all()
    assert (stage.entry.codes[2, 12:18, 17:23] == 2).all()
    layer = stage.layers.annotations_layer(stage.entry.id)
    np.testing.assert_array_equal(np.asarray(layer.data), stage.entry.codes)
    stage.person.click(step.undo)
    np.testing.assert_array_equal(stage.entry.codes, painted)
    stage.viewer.dims.set_current_step(0, 3)
    assert "No slice after this one is annotated" in step.slices.interpolate.toolTip()


def test_shapes_that_do_not_overlap_are_said_not_to(stage, step):
    painted = stage.entry.codes.copy()
    painted[0, 10:20, 10:20] = painted[0, 10:20, 30:40] = 2
    painted[2, 60:70, 80:90] = painted[2, 60:70, 100:110] = 2
    stage.workspace.commit_annotations(stage.entry.id, painted, [0, 2])
    stage.viewer.dims.set_current_step(0, 1)
    stage.person.click(step.slices.interpolate)
    assert "No shape on slice 0 overlaps one of its class on slice 2" in stage.said[-1]
    np.testing.assert_array_equal(stage.entry.codes, painted)


def test_retraining_goes_on_from_the_model_at_hand_and_its_rounds_are_listed(stage, step):
    stage.annotate()
    step.entered()
    assert step.retrain.toolTip() == "There is no model yet; train one in the Train step."
    recipe = Recipe.model_validate({"training": {"steps": 9, "max_time_s": None, "batch": 2}})
    folder = stage.model("first", recipe=recipe)
    stage.controller.open_model(folder)
    predict(stage, wrong_px=30)
    step.seconds.setValue(20)
    before = score_against_truth(stage, step)

    stage.person.click(step.retrain)
    command = stage.submitted()
    assert isinstance(command, TrainCommand)
    assert command.base == str(folder)
    training = Recipe.model_validate(command.recipe).training
    assert (training.max_time_s, training.steps, training.batch) == (20, None, 2)
    stage.train_started(n_held_out_px=500)
    stage.say(HeldOutScored(0, 0.0, 0.7, {}, 500), TrainingStep(10, 0.1, 1e-3, 20.0, 1.0))
    stage.say(HeldOutScored(10, 20.0, 0.75, {}, 500), ModelSaved(str(stage.model("second"))))
    predict(stage)
    stage.finish()
    stage.person.wait(lambda: step.truth.score != before, 10)
    stage.person.wait(lambda: step.table.item(0, 3).text() != "–", 10)
    texts = [step.table.item(0, column).text() for column in range(4)]
    assert texts == ["1", "0.700 → 0.750", "32 px", f"{before:.3f} → 1.000"]
    assert step.sentence.text() == stage.controller.rounds[0].sentence
    assert "Better by 0.050" in step.sentence.text()


def test_a_score_under_way_when_a_round_ends_is_not_taken_for_that_of_the_round(
    stage, step, monkeypatch
):
    stage.annotate()
    step.entered()
    stage.controller.open_model(stage.model("first"))
    predict(stage, wrong_px=30)
    before = score_against_truth(stage, step)
    stage.person.click(step.retrain)
    stage.submitted()
    stage.train_started(n_held_out_px=500)
    stage.say(TrainingStep(10, 0.1, 1e-3, 20.0, 1.0), ModelSaved(str(stage.model("second"))))
    computed, held = threading.Event(), threading.Event()

    def slowly(*arguments):
        score = score_segmentation(*arguments)
        computed.set()
        held.wait(10)
        return score

    monkeypatch.setattr(truth_box, "score_segmentation", slowly)
    step.truth.compare()
    assert computed.wait(10)
    predict(stage)
    stage.finish()
    held.set()
    stage.person.wait(lambda: step.table.item(0, 3).text() != "–", 10)
    assert step.table.item(0, 3).text() == f"{before:.3f} → 1.000"


def test_a_round_without_anything_held_out_says_so(stage, step):
    stage.annotate()
    stage.controller.open_model(stage.model())
    step.entered()
    stage.person.click(step.retrain)
    stage.submitted()
    stage.train_started()
    stage.finish()
    assert step.table.item(0, 1).text() == "–"
    assert "Too little is annotated to hold anything out" in step.sentence.text()


def test_a_truth_that_does_not_fit_is_explained_beside_it(stage, step):
    predict(stage)
    wrong = stage.viewer.add_labels(np.zeros((5, 5), int), name="other")
    step.truth.layer.setCurrentIndex(step.truth.layer.findData(wrong))
    step.truth.layer.activated.emit(1)
    stage.person.wait(lambda: step.truth.result.text(), 10)
    assert step.truth.result.text().startswith("other has shape (5, 5)")
    stage.viewer.layers.remove(wrong)
    assert step.truth.layer.count() == 1
    assert step.truth.result.isHidden()


def test_without_an_image_every_button_says_what_to_do_first(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path)
    step = stage.show(CorrectStep)
    accepting = (step.accept_slice, step.accept_in_sight, step.accept_all)
    for button in (*accepting, step.undo, step.redo, step.retrain):
        assert not button.isEnabled()
        assert button.toolTip().endswith((".", "!"))
    assert step.tools.toolTip() == "Choose an image in the Data step first."
    stage.close()


def test_closing_every_layer_while_the_step_is_shown_makes_none_again(stage):
    stage.show(CorrectStep)
    stage.viewer.layers.select_all()
    stage.viewer.layers.remove_selected()
    assert len(stage.viewer.layers) == 0
