"""Tools for proofreading, used with the mouse and the keys of a real window."""

from __future__ import annotations

import time

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from stage import Stage

from napari_unetseg.annotations import add_class
from napari_unetseg.widgets.correct_step import CorrectStep
from napari_unetseg.widgets.fix_tools import FIX_TOOLS
from napari_unetseg.widgets.shortcuts import SHORTCUTS

pytestmark = pytest.mark.window
SHAPE = (3, 96, 128)
ROWS, COLUMNS = np.indices(SHAPE[1:])
KEYS = {",": Qt.Key.Key_Comma, ".": Qt.Key.Key_Period}


def disc(y, x, radius):
    return (ROWS - y) ** 2 + (COLUMNS - x) ** 2 <= radius**2


def pixels(shape=SHAPE):
    rng = np.random.default_rng(0)
    plane = np.where(disc(48, 30, 20) | disc(48, 90, 20), 160, 60)
    return (plane + rng.normal(0, 6, shape)).clip(0, 255).astype(np.uint8)


def predicted():
    codes = np.ones(SHAPE[1:], np.uint8)
    codes[disc(48, 30, 20) | disc(48, 90, 20)] = 2
    codes[disc(48, 30, 6)] = 1
    codes[45:52, 50:58] = 2
    codes[4:7, 60:63] = 2
    return codes


def stage_with(viewer, folder, image=None, **where):
    stage = Stage(viewer, folder, pixels() if image is None else image, **where)
    stage.workspace.change_classes(add_class, "vesicle", label="adding a class")
    answer = stage.workspace.prediction_slots()[predicted()]
    for plane in range(stage.entry.shape[0]):
        stage.workspace.set_prediction(stage.entry.id, plane, answer)
    viewer.reset_view()
    return stage


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def stage(viewer, tmp_path):
    stage = stage_with(viewer, tmp_path)
    stage.viewer.dims.set_current_step(0, 1)
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(CorrectStep)


def take_up(stage, step, tool, k=2, brush=10, role="segmentation"):
    """Press the button of a tool, after class, layer and brush were chosen."""
    stage.person.wait(lambda: step.tools.fixes.isVisible(), 10)
    step.tools.role.setCurrentIndex(step.tools.role.findData(role))
    step.tools.label.setCurrentIndex(k)
    step.tools.brush.setValue(brush)
    stage.person.click(step.tools.fixes.buttons[tool])
    stage.viewer.reset_view()
    return stage.viewer.layers.selection.active


def click(stage, layer, point):
    stage.person.point_at(layer, point)
    stage.person.press(layer, point)
    stage.person.end_stroke(layer, point)


def press(stage, key):
    QTest.keyClick(stage.person.canvas, KEYS.get(key) or getattr(Qt.Key, f"Key_{key}"))
    QApplication.processEvents()


def shown(stage, plane=1):
    return stage.entry.segmentation(plane)


def looks_like_what_is(stage):
    """Compare every layer with the workspace."""
    stage.layers.flush()
    entry = stage.entry
    annotations = np.asarray(stage.layers.annotations_layer(entry.id).data)
    segmentation = np.asarray(stage.layers.segmentation_layer(entry.id).data)
    truth = np.stack([entry.segmentation(p) for p in range(entry.shape[0])])
    np.testing.assert_array_equal(annotations.reshape(entry.shape), entry.codes)
    np.testing.assert_array_equal(segmentation.reshape(entry.shape), truth)


def test_clicking_and_dragging_claims_superpixels(stage, step):
    layer = take_up(stage, step, "superpixel")
    click(stage, layer, (48, 90))
    once = (stage.entry.codes[1] == 3).sum()
    assert 30 < once < 400
    assert stage.entry.codes[1, 48, 90] == 3
    assert not (stage.entry.codes[1] == 3)[~disc(48, 90, 23)].any()
    n_steps = len(stage.workspace.log._done)
    stage.person.stroke(layer, [(40, 80), (40, 100)])
    assert (stage.entry.codes[1, 40, 80:98] == 3).all()
    assert len(stage.workspace.log._done) == n_steps + 1
    assert step.undo.text().startswith("Undo claiming")
    assert stage.said[-1].startswith("Claimed: ")
    looks_like_what_is(stage)
    stage.person.undo()
    stage.person.undo()
    assert not stage.entry.codes.any()
    looks_like_what_is(stage)


def test_superpixels_are_seen_while_dragging_and_painted_only_when_the_button_is_let_go(
    stage, step
):
    layer = take_up(stage, step, "superpixel")
    stage.person.begin_stroke(layer, (40, 80))
    stage.person.go_on(layer, (40, 100))
    QApplication.processEvents()
    assert np.asarray(layer.data)[1, 40, 80] == 3
    assert not stage.entry.codes.any()
    stage.person.end_stroke(layer, (40, 100))
    assert stage.entry.codes[1, 40, 80] == 3
    looks_like_what_is(stage)


def test_an_area_grows_from_a_click(stage, step):
    layer = take_up(stage, step, "grow")
    click(stage, layer, (48, 85))
    grown = stage.entry.codes[1] == 3
    assert (grown & disc(48, 90, 20)).sum() / (grown | disc(48, 90, 20)).sum() > 0.9
    click(stage, layer, (48, 85))
    assert "annotated already" in stage.said[-1]


def test_a_click_smooths_a_piece_and_a_drag_what_is_under_the_brush(stage, step):
    layer = take_up(stage, step, "smooth")
    assert layer.cursor == "circle"
    click(stage, layer, (48, 20))
    assert (shown(stage)[45, 56:58] == 1).all()
    assert stage.entry.codes[1].any()
    stage.person.undo()
    assert not stage.entry.codes.any()
    stage.person.stroke(layer, [(44, 56), (52, 56)])
    assert (shown(stage)[45, 56:58] == 1).all()
    assert not stage.entry.codes[1][:, :48].any()
    looks_like_what_is(stage)


def test_holes_are_filled_by_a_click_on_the_piece_or_into_them(stage, step):
    layer = take_up(stage, step, "holes")
    click(stage, layer, (48, 15))
    assert (stage.entry.codes[1][disc(48, 30, 5)] == 2).all()
    click(stage, layer, (48, 15))
    assert "no hole" in stage.said[-1]
    stage.viewer.dims.set_current_step(0, 2)
    click(stage, layer, (48, 30))
    assert (stage.entry.codes[2][disc(48, 30, 5)] == 2).all()
    looks_like_what_is(stage)


def test_a_click_deletes_a_piece(stage, step):
    layer = take_up(stage, step, "delete")
    click(stage, layer, (48, 15))
    assert (shown(stage)[20:, :60] == 1).all()
    assert (shown(stage)[disc(48, 90, 20)] == 2).all()
    click(stage, layer, (48, 15))
    assert "no class under the pointer" in stage.said[-1]
    looks_like_what_is(stage)


def test_a_line_splits_a_piece_and_another_joins_it_again(stage, step):
    layer = take_up(stage, step, "split")
    stage.person.stroke(layer, [(20, 90), (76, 90)])
    cut = stage.entry.codes[1] == 1
    assert cut[30:66, 90].all()
    assert cut.sum() < 60
    layer = take_up(stage, step, "join", brush=6)
    stage.person.begin_stroke(layer, (60, 82))
    stage.person.go_on(layer, (60, 98))
    assert np.asarray(layer.data)[1, 60, 90] == 2, "a sketch of the pieces' class, not that in hand"
    stage.person.end_stroke(layer, (60, 82))
    stage.person.undo()
    stage.person.stroke(layer, [(48, 82), (48, 100)])
    assert (shown(stage)[48, 82:100] == 2).all()
    assert (shown(stage)[60, 90] == 1).all()
    click(stage, layer, (48, 82))
    assert "drag a line" in stage.said[-1]
    looks_like_what_is(stage)


def test_of_a_line_that_leads_nowhere_nothing_stays(stage, step):
    layer = take_up(stage, step, "join")
    stage.person.stroke(layer, [(60, 90), (85, 60)])
    assert "to another of the same class" in stage.said[-1]
    looks_like_what_is(stage)
    step.tools.use("paint")
    stage.person.stroke(layer, [(8, 8), (8, 20)])
    assert not stage.entry.codes[1, 20:].any()
    looks_like_what_is(stage)


def test_slices_beside_are_copied_by_buttons_and_keys(stage, step):
    assert "Nothing is annotated on the slice before" in step.slices.copy_before.toolTip()
    painted = stage.entry.codes.copy()
    painted[0, 10:14, 10:14], painted[2, 20:24, 20:24] = 2, 3
    stage.workspace.commit_annotations(stage.entry.id, painted, [0, 2])
    stage.person.click(step.slices.copy_before)
    assert (stage.entry.codes[1, 10:14, 10:14] == 2).all()
    stage.viewer.layers.selection.active = stage.layers.annotations_layer(stage.entry.id)
    press(stage, ".")
    assert (stage.entry.codes[1, 20:24, 20:24] == 3).all()
    press(stage, ",")
    assert "annotated already" in stage.said[-1]
    stage.viewer.dims.set_current_step(0, 0)
    press(stage, ",")
    assert stage.said[-1] == "There is no slice before this one."


def test_small_pieces_are_counted_when_the_mouse_comes_near_and_deleted_by_a_click(stage, step):
    step.small.below.setValue(20)
    QApplication.sendEvent(step.small.button, QEvent(QEvent.Type.Enter))
    stage.person.wait(lambda: "1 piece under 20 px on this slice." in stage.said, 10)
    stage.person.wait(lambda: "1 piece under 20 px" in step.small.button.toolTip(), 10)
    stage.person.click(step.small.button)
    assert (stage.entry.codes[1, 4:7, 60:63] == 1).all()
    assert not stage.entry.codes[[0, 2]].any()
    step.small.where.setCurrentIndex(1)
    step.small.where.activated.emit(1)
    stage.person.wait(lambda: "2 pieces under 20 px on all slices." in stage.said, 10)
    stage.person.click(step.small.button)
    assert (stage.entry.codes[[0, 2], 4:7, 60:63] == 1).all()
    stage.person.click(step.small.button)
    assert stage.said[-1].startswith("No piece has fewer")
    looks_like_what_is(stage)


def test_nothing_is_deleted_where_nothing_is_segmented(viewer, tmp_path):
    stage = Stage(viewer, tmp_path, pixels())
    step = stage.show(CorrectStep)
    assert not step.small.isEnabled()
    assert "Nothing is segmented" in step.small.button.toolTip()
    stage.close()


def test_a_key_takes_up_every_tool_and_escape_puts_it_down(stage, step):
    stage.viewer.layers.selection.active = stage.layers.annotations_layer(stage.entry.id)
    for tool in FIX_TOOLS:
        press(stage, SHORTCUTS[tool].key)
        assert stage.context.proofreader.tool == tool
        down = [t for t, button in step.tools.fixes.buttons.items() if button.isChecked()]
        assert down == [tool]
        assert step.tools.tools.checkedId() == -1
    press(stage, "Escape")
    layer = stage.viewer.layers.selection.active
    assert stage.context.proofreader.tool is None
    assert step.tools.mode == "pan_zoom"
    assert (str(layer.mode), layer.mouse_pan, layer.cursor) == ("pan_zoom", True, "standard")


def test_no_key_is_one_of_naparis(stage, step):
    layer = stage.layers.annotations_layer(stage.entry.id)
    ours = {coerce_keybinding(shortcut.key) for shortcut in SHORTCUTS.values()}
    viewer = stage.viewer
    assert coerce_keybinding("P") in Labels.class_keymap, "napari's own keys are looked at"
    assert not ours & {*Labels.class_keymap, *viewer.class_keymap, *viewer.keymap}
    assert ours <= set(layer.keymap)
    assert len(ours) == len(SHORTCUTS)


def test_another_mode_another_layer_another_step_put_the_tool_down(stage, step):
    proofreader = stage.context.proofreader
    layer = take_up(stage, step, "delete")
    layer.mode = "paint"
    assert proofreader.tool is None
    assert not layer.mouse_pan
    click(stage, layer, (48, 15))
    assert (shown(stage)[disc(48, 15, 3)] == 3).any(), "the brush paints"
    take_up(stage, step, "delete")
    stage.viewer.layers.selection.active = stage.image
    assert proofreader.tool is None
    take_up(stage, step, "delete")
    stage.person.click(step.tools.tools.button(0))
    assert proofreader.tool is None
    assert str(layer.mode) == "paint"
    assert step.tools.mode == "paint"
    take_up(stage, step, "delete")
    stage.person.click(step.tools.tools.button(5))
    assert (proofreader.tool, layer.mouse_pan) == (None, True)
    take_up(stage, step, "delete")
    press(stage, "Z")
    assert (proofreader.tool, layer.mouse_pan) == (None, True)
    take_up(stage, step, "delete")
    layer.visible = False
    assert proofreader.tool is None
    take_up(stage, step, "delete")
    assert layer.visible
    step.hide()
    assert proofreader.tool is None


def test_the_class_can_be_changed_with_the_tool_in_hand(stage, step):
    layer = take_up(stage, step, "superpixel", k=2)
    step.tools.label.setCurrentIndex(1)
    step.tools.label.activated.emit(1)
    assert stage.context.proofreader.tool == "superpixel"
    click(stage, layer, (80, 60))
    assert stage.entry.codes[1, 80, 60] == 2


def test_the_camera_stays_while_a_tool_works_and_moves_while_space_is_held(stage, step):
    layer = take_up(stage, step, "split")
    camera = stage.viewer.scene.camera
    before = tuple(camera.center), camera.zoom
    stage.person.stroke(layer, [(20, 90), (76, 90)])
    assert (tuple(camera.center), camera.zoom) == before
    layer, codes = take_up(stage, step, "delete"), stage.entry.codes.copy()
    before = tuple(camera.center), camera.zoom
    QTest.keyPress(stage.person.canvas, Qt.Key.Key_Space)
    stage.person.stroke(layer, [(48, 15), (60, 60)])
    QTest.keyRelease(stage.person.canvas, Qt.Key.Key_Space)
    QApplication.processEvents()
    np.testing.assert_array_equal(stage.entry.codes, codes)
    assert tuple(camera.center) != before[0]
    assert not layer.mouse_pan
    assert stage.context.proofreader.tool == "delete"


def test_the_second_of_two_quick_clicks_counts_and_does_not_zoom(stage, step):
    layer = take_up(stage, step, "delete")
    zoom = stage.viewer.scene.camera.zoom
    place = stage.person._place(layer, 48, 90)
    left = Qt.MouseButton.LeftButton
    event = QMouseEvent(
        QEvent.Type.MouseButtonDblClick,
        place,
        stage.person.canvas.mapToGlobal(place),
        left,
        left,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(stage.person.canvas, event)
    stage.person.end_stroke(layer, (48, 90))
    assert stage.viewer.scene.camera.zoom == zoom
    assert (shown(stage)[disc(48, 90, 20)] == 1).all()
    stage.context.proofreader.put_down()
    assert [c.__name__ for c in stage.viewer.mouse_double_click_callbacks] == [
        "double_click_to_zoom"
    ]


def test_in_3d_and_across_the_slices_the_tools_say_why_they_cannot_be_used(stage, step):
    take_up(stage, step, "delete")
    stage.viewer.dims.ndisplay = 3
    assert stage.context.proofreader.tool is None
    for button in step.tools.fixes.buttons.values():
        assert not button.isEnabled()
        assert "go back to the view of one" in button.toolTip()
    stage.viewer.layers.selection.active = stage.layers.annotations_layer(stage.entry.id)
    press(stage, "D")
    assert stage.context.proofreader.tool is None
    assert "slices" in stage.said[-1]
    stage.viewer.dims.ndisplay = 2
    assert step.tools.fixes.buttons["delete"].isEnabled()
    assert step.tools.fixes.buttons["delete"].toolTip().startswith("Delete (D). ")
    stage.viewer.dims.order = (1, 0, 2)
    assert "across" in step.tools.fixes.buttons["delete"].toolTip()


def test_tools_work_on_the_annotations_too(stage, step):
    painted = stage.entry.codes.copy()
    painted[1][disc(48, 60, 12)] = 3
    stage.workspace.commit_annotations(stage.entry.id, painted, [1])
    layer = take_up(stage, step, "delete", role="annotations")
    assert layer.name == "cells · annotations"
    click(stage, layer, (48, 60))
    assert (shown(stage)[disc(48, 60, 12)] == 1).all()
    looks_like_what_is(stage)


@pytest.mark.parametrize(
    ("shape", "scale", "steps"),
    [
        (SHAPE[1:], (1, 1), ()),
        ((2, *SHAPE), (1, 5, 0.5, 0.5), (1, 2)),
        (SHAPE, (40, 4, 4), (1,)),
        (SHAPE, (1, 0.3, 0.6), (2,)),
    ],
    ids=["2D", "TZYX", "scaled", "oblong pixels"],
)
def test_tools_hit_what_is_under_the_pointer_in_all_stacks(viewer, tmp_path, shape, scale, steps):
    image = np.broadcast_to(pixels()[0], shape).copy()
    stage = stage_with(viewer, tmp_path, image, scale=scale)
    step = stage.show(CorrectStep)
    for axis, index in enumerate(steps):
        viewer.dims.set_current_step(axis, index)
    plane = int(np.ravel_multi_index(steps, shape[:-2])) if steps else 0
    layer = take_up(stage, step, "delete")
    click(stage, layer, (48, 90))
    assert (shown(stage, plane)[disc(48, 90, 20)] == 1).all()
    others = [p for p in range(stage.entry.shape[0]) if p != plane]
    assert not stage.entry.codes[others].any()
    layer = take_up(stage, step, "superpixel")
    click(stage, layer, (48, 30))
    assert stage.entry.codes[plane, 48, 30] == 3
    looks_like_what_is(stage)
    stage.close()


def test_outside_the_slice_nothing_happens(stage, step):
    for tool in ("superpixel", "grow", "smooth", "holes", "delete"):
        layer = take_up(stage, step, tool)
        click(stage, layer, (-5, 40))
        assert not stage.entry.codes.any()


def test_a_prediction_that_comes_while_dragging_waits_and_is_shown_afterwards(stage, step):
    layer = take_up(stage, step, "split")
    stage.person.begin_stroke(layer, (20, 90))
    stage.person.go_on(layer, (76, 90))
    everything = np.full(SHAPE[1:], 2, np.uint8)
    stage.workspace.set_prediction(
        stage.entry.id, 1, stage.workspace.prediction_slots()[everything]
    )
    stage.person.end_stroke(layer, (76, 90))
    looks_like_what_is(stage)
    assert (stage.entry.codes[1, 20:76, 90] == 1).all()


def test_every_click_on_a_slice_of_1024_px_is_answered_at_once(viewer, tmp_path):
    rng = np.random.default_rng(0)
    square = np.ones((64, 64), np.uint8)
    square[10:54, 10:54] = 2
    square[20:24, 20:24] = 1
    codes = np.tile(square, (16, 16))
    image = (60 * codes + rng.normal(0, 6, codes.shape)).clip(0, 255).astype(np.uint8)
    stage = Stage(viewer, tmp_path, np.stack([image, image]))
    answer = stage.workspace.prediction_slots()[codes]
    for plane in range(2):
        stage.workspace.set_prediction(stage.entry.id, plane, answer)
    step = stage.show(CorrectStep)
    took = {tool: min(times(stage, step, tool)) for tool in FIX_TOOLS}
    slow = {tool: f"{s:.3f} s" for tool, s in took.items() if s > 0.1}
    assert not slow
    stage.close()


def times(stage, step, tool):
    """Use a tool where nothing was looked at before; yield how long the window takes over it."""
    layer = take_up(stage, step, tool, k=1)
    for x in (160, 544, 800):
        stage.person.point_at(layer, (x, x))
        start = time.perf_counter()
        stage.person.press(layer, (x, x))
        took = time.perf_counter() - start
        if tool in ("split", "join"):
            stage.person.go_on(layer, (x, x + (64 if tool == "join" else 46)))
        n_steps = len(stage.workspace.log._done)
        start = time.perf_counter()
        stage.person.end_stroke(layer, (x, x))
        yield took + time.perf_counter() - start
        assert len(stage.workspace.log._done) > n_steps, stage.said[-1]
        stage.workspace.undo()
