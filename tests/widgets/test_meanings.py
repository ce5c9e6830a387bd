"""What the answers of a method are found to mean: said, taken back, and dropped."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QLabel
from stage import Stage, cells

from napari_unetseg.classical import (
    Chain,
    ChainRecipe,
    FittedBaseline,
    parse_params,
    read_recipe,
    segment,
)
from napari_unetseg.widgets import recipe_menu
from napari_unetseg.widgets.baselines_step import BaselinesStep
from napari_unetseg.widgets.status_line import StatusLine

pytestmark = pytest.mark.window


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells())
    stage.viewer.dims.set_current_step(0, 1)
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(BaselinesStep)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    path = tmp_path / "swapped.json"
    recipe = ChainRecipe(chain=Chain.of("otsu"), mapping={1: 2, 2: 1})
    path.write_text(recipe.model_dump_json())
    monkeypatch.setattr(recipe_menu, "ask_paths", lambda *_, **__: [path])
    return path


def preview(stage, step):
    stage.person.wait(lambda: not step.preview._worker.busy, 20)
    return np.asarray(step.preview.layer.data).copy()


def otsu(stage):
    return segment("otsu", stage.entry.stack.plane(1))


def test_undo_after_an_opened_recipe_brings_back_the_answers_of_the_method(stage, step, recipe):
    plain = otsu(stage)
    assert not step.meaning.isVisible()
    step.recipes.open.trigger()
    assert step.meant.text() == "Which of its answers is which class comes from swapped.json."
    assert step.meaning.isVisible()
    np.testing.assert_array_equal(preview(stage, step), 3 - plain)
    stage.person.click(step.editor.undo)
    assert not step.meaning.isVisible()
    np.testing.assert_array_equal(preview(stage, step), plain)
    stage.person.click(step.editor.redo)
    np.testing.assert_array_equal(preview(stage, step), 3 - plain)


def test_what_answers_mean_is_dropped_with_a_click(stage, step, recipe):
    step.recipes.open.trigger()
    stage.person.click(step.drop)
    assert not step.meaning.isVisible()
    np.testing.assert_array_equal(preview(stage, step), otsu(stage))
    step.recipes.save.trigger()
    stage.person.wait(lambda: not step.recipes.busy, 20)
    assert read_recipe(recipe).mapping is None
    stage.person.click(step.editor.undo)
    np.testing.assert_array_equal(preview(stage, step), 3 - otsu(stage))


def test_it_is_said_only_where_it_holds(stage, step, recipe):
    step.recipes.open.trigger()
    assert step.meaning.isVisible()
    step.editor.form.control("foreground").value = "dark"
    assert not step.meaning.isVisible()
    np.testing.assert_array_equal(preview(stage, step), 3 - otsu(stage))
    step.editor.form.control("foreground").value = "bright"
    assert step.meaning.isVisible()


def test_a_fit_is_taken_back_with_what_it_said(stage, step):
    step.draft.choose("kmeans")
    step.editor.form.control("sigma_px").value = 2.0
    before, plain = step.draft.steps, preview(stage, step)
    params = parse_params("kmeans", ["n_clusters=3"])
    step.fit.fitted.emit(FittedBaseline("kmeans", params, {1: 1, 2: 2, 3: 1}, 0.9))
    assert (
        step.meant.text()
        == "Which of its answers is which class comes from the fit to your annotations."
    )
    fitted = segment("kmeans", stage.entry.stack.plane(1), params)
    np.testing.assert_array_equal(preview(stage, step), np.array([0, 1, 2, 1])[fitted])
    stage.person.click(step.editor.undo)
    assert step.draft.steps == before
    assert not step.meaning.isVisible()
    np.testing.assert_array_equal(preview(stage, step), plain)


def test_settings_that_tell_nothing_apart_are_said_and_not_taken(make_napari_viewer, tmp_path):
    pixels = cells()
    pixels[:, 70:] = 40
    stage = Stage(make_napari_viewer(show=True), tmp_path, pixels)
    codes = np.zeros(stage.entry.shape, np.uint8)
    codes[1, 88:, :90], codes[1, 88:, 90:] = 1, 2
    stage.workspace.commit_annotations(stage.entry.id, codes, [1])
    step = stage.show(BaselinesStep)
    before = step.draft.steps
    stage.person.wait(step.fit.isVisible)
    stage.person.click(step.fit)
    stage.person.wait(lambda: not step.fit.busy, 60)
    stage.person.wait(lambda: "tell your classes apart" in stage.said[-1], 5)
    assert step.draft.steps == before
    assert not step.draft.can_undo
    line = StatusLine(stage.context, QLabel())
    line.say(stage.said[-1])
    codes[1, 40:56, 10:30] = 2
    stage.workspace.commit_annotations(stage.entry.id, codes, [1])
    assert not line.sentence.text(), "it may tell them apart by now"
    stage.close()


def test_what_was_wrong_with_a_recipe_is_said_until_the_steps_change(stage, step, recipe):
    line = StatusLine(stage.context, QLabel())
    recipe.write_text("{}")
    step.recipes.open.trigger()
    assert "not a recipe" in line.sentence.text()
    step.editor.form.control("sigma_px").value = 2.0
    assert not line.sentence.text()


def test_settings_that_go_together_again_are_complained_of_no_more(stage, step):
    line = StatusLine(stage.context, QLabel())
    step.draft.choose("canny")
    step.editor.form.control("low_percent").value = 99.0
    assert "do not go together" in line.sentence.text()
    step.editor.form.control("low_percent").value = 50.0
    assert not line.sentence.text()
    step.editor.form.control("low_percent").value = 99.0
    stage.context.say("Something else.")
    step.editor.form.control("low_percent").value = 50.0
    assert line.sentence.text() == "Something else."
