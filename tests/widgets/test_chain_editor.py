"""Steps around a method: added, set, reordered, undone, saved and opened; thresholds dragged."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel
from stage import Stage, cells

from napari_unetseg.classical import (
    METHODS,
    REFINEMENTS,
    Chain,
    Source,
    StepSettings,
    read_recipe,
    run_stack,
)
from napari_unetseg.jobs import BaselineCommand
from napari_unetseg.widgets import recipe_menu
from napari_unetseg.widgets.baselines_step import BaselinesStep
from napari_unetseg.widgets.method_choice import REFINE

pytestmark = pytest.mark.window


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells(), scale=(0.05, 0.01, 0.01))
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(BaselinesStep)


def add(step, name):
    (action,) = [a for a in step.editor.menu.actions() if a.data() == name]
    action.trigger()


def names(step):
    return [settings.step for settings in step.draft.steps]


def preview(stage, step):
    stage.person.wait(lambda: not step.preview._worker.busy, 20)
    layer = step.preview.layer
    return None if layer is None else np.asarray(layer.data)


def expected(stage, step):
    out = np.zeros(stage.entry.shape, np.uint8)
    list(run_stack(step.draft.chain(), Source(stage.entry.stack), out=out))
    return out[stage.layers.current_plane(stage.entry)]


def test_steps_are_added_reordered_and_undone_with_the_mouse(stage, step):
    editor, person = step.editor, stage.person
    assert not editor.steps.isVisible(), "one method needs no list"
    add(step, "fill_holes")
    add(step, "remove_small")
    add(step, "gaussian")
    assert names(step) == ["gaussian", "otsu", "fill_holes", "remove_small"]
    assert editor.steps.isVisible()
    np.testing.assert_array_equal(preview(stage, step), expected(stage, step))
    item = editor.steps.visualItemRect(editor.steps.item(3)).center()
    QTest.mouseClick(editor.steps.viewport(), Qt.MouseButton.LeftButton, pos=item)
    assert step.draft.at == 3
    person.click(editor.up)
    assert names(step) == ["gaussian", "otsu", "remove_small", "fill_holes"]
    assert not editor.up.isEnabled()
    assert "to change places with" in editor.up.toolTip()
    person.click(editor.remove)
    assert names(step) == ["gaussian", "otsu", "fill_holes"]
    person.click(editor.undo)
    person.click(editor.undo)
    assert names(step) == ["gaussian", "otsu", "fill_holes", "remove_small"]
    person.click(editor.redo)
    assert names(step) == ["gaussian", "otsu", "remove_small", "fill_holes"]
    np.testing.assert_array_equal(preview(stage, step), expected(stage, step))


def test_the_menu_of_steps_has_headings_that_are_drawn(stage, step):
    stage.person.wait(step.editor.add.isVisible)
    menu = step.editor.menu
    menu.popup(step.editor.add.mapToGlobal(QPoint(0, 0)))
    stage.person.wait(menu.isVisible)
    labels = [label for label in menu.findChildren(QLabel) if label.isVisible()]
    assert [label.text() for label in labels] == ["Before the method", "After the method"]
    for label in labels:
        assert label.height() >= label.sizeHint().height()
        drawn = label.grab().toImage()
        colors = {drawn.pixel(x, y) for x in range(0, 80) for y in range(drawn.height())}
        assert len(colors) > 2, "its letters are painted"
    menu.close()


def test_the_form_is_that_of_the_step_looked_at(stage, step):
    add(step, "remove_small")
    form = step.editor.form
    name = next(iter(REFINEMENTS["remove_small"].params.model_fields))
    assert form.control(name).native.isVisible()
    step.editor.steps.setCurrentRow(0)
    assert step.editor.form is not form
    assert not form.control(name).native.isVisible()
    step.editor.form.control("sigma_px").value = 4.0
    assert step.draft.steps[0].checked().sigma_px == 4.0


def test_what_is_shown_is_refined_without_a_method(stage, step):
    codes = np.ones(stage.entry.shape, np.uint8)
    codes[:, 4:8, 4:8] = 2
    for plane in range(4):
        stage.workspace.set_prediction(stage.entry.id, plane, codes[plane])
    step.choice.family.setCurrentText(REFINE)
    assert step.draft.method is None
    assert not step.apply.isEnabled()
    assert "Add a step" in step.apply.toolTip()
    add(step, "remove_small")
    step.editor.form.control("min_area_px").value = 20
    assert (preview(stage, step) == 1).all()
    stage.person.click(step.apply)
    command = stage.submitted()
    assert isinstance(command, BaselineCommand)
    begun = np.load(command.images[0].labels)
    assert (begun[0] == codes[0]).all()


def test_apply_runs_the_whole_chain_and_names_the_result_after_it(stage, step):
    add(step, "fill_holes")
    stage.person.click(step.apply)
    command = stage.submitted()
    chain = Chain.model_validate(command.chain)
    assert [settings.step for settings in chain.steps] == ["otsu", "fill_holes"]
    out = stage.workspace.session.array(stage.entry.id, "baseline-1", stage.entry.shape)
    list(run_stack(chain, Source(stage.entry.stack), out=out))
    stage.finish()
    (layer,) = stage.layers.result_layers(stage.entry.id)
    assert layer.name.endswith(f"{METHODS['otsu'].title} · {REFINEMENTS['fill_holes'].title}")


def test_sure_pixels_alone_become_annotations(stage, step):
    codes = np.ones(stage.entry.shape, np.uint8)
    codes[:, 40:60, 40:60] = 2
    stage.context.results.add(stage.entry.id, "x", codes, "by hand")
    step.entered()
    stage.person.click(step.use.sure_only)
    stage.person.click(step.use.this_slice)
    stage.person.wait(lambda: not step.use.busy)
    filled = stage.entry.codes[stage.layers.current_plane(stage.entry)]
    assert (filled[43:57, 43:57] == 2).all()
    assert not filled[40:43, 45].any()
    assert not filled[37:40, 45].any()
    assert filled[0, 0] == 1


def test_a_recipe_is_saved_and_opened_again(stage, step, tmp_path, monkeypatch):
    add(step, "gaussian")
    add(step, "fill_holes")
    saved = step.draft.steps
    monkeypatch.setattr(recipe_menu, "ask_paths", lambda *_, **__: [tmp_path / "cells.json"])
    step.recipes.save.trigger()
    stage.person.wait(lambda: not step.recipes.busy, 20)
    assert "cells.json" in stage.said[-1]
    assert read_recipe(tmp_path / "cells.json").chain.steps == saved
    step.draft.choose("sobel")
    step.recipes.open.trigger()
    assert step.draft.steps == saved
    (tmp_path / "cells.json").write_text("{}")
    step.recipes.open.trigger()
    assert "not a recipe" in stage.said[-1]
    assert step.draft.steps == saved


def test_a_threshold_is_dragged_in_the_histogram(stage, step):
    step.draft.choose("threshold")
    preview(stage, step)
    histogram = step.histogram
    assert histogram.isVisible()
    (before,) = histogram.levels
    y = histogram.height() // 2
    start, end = int(histogram.x_of(before)), histogram.width() // 4
    QTest.mousePress(histogram, Qt.MouseButton.LeftButton, pos=QPoint(start, y))
    QTest.mouseMove(histogram, QPoint(end, y))
    QTest.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=QPoint(end, y))
    (after,) = histogram.levels
    assert after < before
    assert step.draft.steps[0].checked().grey_value == pytest.approx(after)
    shown = preview(stage, step)
    np.testing.assert_array_equal(shown, expected(stage, step))
    step.editor.undo.click()
    assert step.draft.steps[0].checked().grey_value is None


def test_a_threshold_that_was_found_is_shown_and_stays(stage, step):
    preview(stage, step)
    histogram = step.histogram
    assert histogram.isVisible()
    (level,) = histogram.levels
    pos = QPoint(int(histogram.x_of(level)), 20)
    QTest.mousePress(histogram, Qt.MouseButton.LeftButton, pos=pos)
    QTest.mouseMove(histogram, pos + QPoint(30, 0))
    QTest.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=pos + QPoint(30, 0))
    assert histogram.levels == (level,)
    step.draft.choose("kmeans")
    assert not histogram.isVisible()


def untouched(control):
    return control.native.isEnabled()


def test_a_threshold_as_a_grey_value_begins_where_its_line_stands(stage, step):
    step.draft.choose("threshold")
    before = preview(stage, step).copy()
    form = step.editor.form
    percent, grey = form.control("percent"), form.control("grey_value")
    (line,) = step.histogram.levels
    assert untouched(percent)
    assert not grey._number.native.isEnabled()
    assert grey._number.value == pytest.approx(line, abs=0.01), "it shows what it would be"
    stage.person.click(grey._used.native)
    assert step.draft.steps[0].checked().grey_value == pytest.approx(line, abs=0.01)
    assert not untouched(percent)
    assert "Untick" in percent.tooltip
    np.testing.assert_array_equal(preview(stage, step), before)
    stage.person.click(grey._used.native)
    assert step.draft.steps[0].checked().grey_value is None
    assert untouched(percent)
    percent.value = 80.0
    preview(stage, step)
    assert grey._number.value == pytest.approx(*step.histogram.levels, abs=0.01)
    assert grey._number.value > line + 10


def test_grey_values_of_faint_images_keep_their_digits(make_napari_viewer, tmp_path):
    faint = cells().astype(np.float32) / 1e5
    stage = Stage(make_napari_viewer(show=True), tmp_path, faint)
    step = stage.show(BaselinesStep)
    step.draft.choose("threshold")
    before = preview(stage, step).copy()
    (line,) = step.histogram.levels
    assert line < 0.002
    stage.person.click(step.editor.form.control("grey_value")._used.native)
    assert step.draft.steps[0].checked().grey_value == pytest.approx(line, rel=1e-3)
    assert (preview(stage, step) == before).mean() > 0.999
    stage.close()


@pytest.mark.parametrize("method", ["grow", "blob_log"])
def test_other_grey_values_begin_at_what_the_percentage_means(stage, step, method):
    stage.annotate()
    step.draft.choose(method)
    before = preview(stage, step).copy()
    control = step.editor.form.control("grey_value")
    assert control._number.value > 5
    stage.person.click(control._used.native)
    assert step.draft.steps[0].checked().grey_value == control._number.value
    assert (preview(stage, step) == before).mean() > 0.999


def test_a_preview_of_a_method_that_was_left_is_not_suggested_to_another(stage, step):
    for name in ("threshold", "kmeans", "hysteresis"):
        step.draft.choose(name)
    step.editor.suggest({"grey_value": 100.0, "lower_grey_value": 3.0})
    assert step.editor.form.control("lower_grey_value")._number.value == 3.0


def test_the_lines_of_a_hysteresis_say_which_is_the_sure_one(stage, step):
    step.draft.choose("hysteresis")
    preview(stage, step)
    histogram = step.histogram
    low, high = (f"{level:.4g}" for level in histogram.levels)
    assert [histogram.said_of(i) for i in (0, 1)] == [f"goes on · {low}", f"sure · {high}"]
    step.editor.form.control("foreground").value = "dark"
    preview(stage, step)
    assert [histogram.said_of(i) for i in (0, 1)] == [f"sure · {low}", f"goes on · {high}"]


def test_of_many_lines_the_one_that_is_held_says_its_grey_value(stage, step):
    step.draft.choose("multiotsu")
    step.editor.form.control("n_classes").value = 4
    preview(stage, step)
    assert [step.histogram.said_of(i) for i in range(3)] == ["", "", ""]


@pytest.fixture
def three_channels(make_napari_viewer, tmp_path):
    pixels = np.stack([cells(), 255 - cells(), cells() // 2])
    viewer = make_napari_viewer(show=True)
    stage = Stage(viewer, tmp_path)
    stage.image = viewer.add_image(pixels, name="cells")
    stage.entry = stage.layers.add_image([stage.image], axes="CZYX")
    yield stage
    stage.close()


def test_that_channels_are_averaged_is_said_and_one_is_chosen(three_channels):
    stage = three_channels
    step = stage.show(BaselinesStep)
    said = step.editor.channels
    stage.person.wait(said.isVisible, 10)
    assert "Otsu threshold looks at the mean of the 3 channels" in said.text()
    step.draft.choose("kmeans")
    assert not said.isVisible(), "it looks at all of them"
    step.draft.choose("otsu")
    said.linkActivated.emit("channel")
    assert names(step) == ["channel", "otsu"]
    assert not said.isVisible()
    control = step.editor.form.control("channel")
    assert (control.min, control.max) == (1, 3)
    control.value = 3
    np.testing.assert_array_equal(preview(stage, step), expected(stage, step))


def test_a_channel_that_an_image_lacks_is_shown_and_said(stage, step):
    assert not step.editor.channels.isVisible()
    chain = Chain.of("otsu", before=[StepSettings(step="channel", params={"channel": 5})])
    step.draft.set_steps(chain.steps)
    step.draft.look_at(0)
    assert step.editor.form.control("channel").value == 5
    stage.person.wait(lambda: "there is no channel 5" in step.seen.text(), 20)
    step.draft.remove()
    add(step, "channel")
    control = step.editor.form.control("channel")
    assert (control.value, control.max) == (1, 1)


def test_settings_that_do_not_count_are_out_of_sight(stage, step):
    step.draft.choose("grow")
    form = step.editor.form
    rows = ("percent", "grey_value", "deviations", "rounds")

    def seen():
        return [name for name in rows if form.control(name).native.isVisible()]

    stage.person.wait(lambda: seen() == ["percent", "grey_value"], 5)
    form.control("tolerance").value = "adaptive"
    stage.person.wait(lambda: seen() == ["deviations", "rounds"], 5)
    step.draft.undo()
    stage.person.wait(lambda: seen() == ["percent", "grey_value"], 5)
