"""Recipes saved in a real window and replayed by a real process, and opened in another window."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication
from stage import Stage, cells

from napari_unetseg.classical import (
    Chain,
    ChainRecipe,
    Source,
    answers,
    parse_params,
    parse_step,
    prepare,
    read_recipe,
    run_stack,
)
from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack, open_stack, write_image
from napari_unetseg.widgets import recipe_menu
from napari_unetseg.widgets.baselines_step import BaselinesStep

pytestmark = pytest.mark.window

CELL, DEBRIS = (
    LabelClass(name="cell", color="#e69f00"),
    LabelClass(name="debris", color="#56b4e9"),
)


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells(), scale=(0.05, 0.01, 0.01))
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(BaselinesStep)


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "recipe.json"
    monkeypatch.setattr(recipe_menu, "ask_paths", lambda *_, **__: [path])
    return path


def add(step, name):
    (action,) = [a for a in step.editor.menu.actions() if a.data() == name]
    action.trigger()


def save(stage, step):
    step.recipes.save.trigger()
    stage.person.wait(lambda: not step.recipes.busy, 30)
    return stage.said[-1]


def segmented(chain, source):
    kind = np.uint32 if answers(chain) == "objects" else np.uint8
    out = np.zeros((source.stack.n_planes, *source.stack.plane_shape), kind)
    list(run_stack(chain, source, out=out))
    return out


def preview(stage, step):
    stage.person.wait(lambda: not step.preview._worker.busy, 20)
    layer = step.preview.layer
    return None if layer is None else np.asarray(layer.data)


def replayed(folder, stack):
    """Replay recipe.json on the image, in a process that knows nothing else."""
    write_image(folder / "cells.tif", stack)
    program = "import sys; from napari_unetseg.cli import main; sys.exit(main())"
    arguments = ["run", "recipe.json", "cells.tif", "-o", "again.tif"]
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return open_stack(folder / "again.tif")


def of_cells(name, *params, classes=(CELL,), kept_of=None):
    """Return a recipe, with what it keeps of strokes on an image."""
    before = [parse_step("gaussian:sigma_px=1")]
    recipe = ChainRecipe(
        chain=Chain.of(name, parse_params(name, params), before=before), classes=classes
    )
    if kept_of is None:
        return recipe
    return recipe.keeping([kept_of], prepare(recipe.chain, [kept_of]))


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("otsu", {"per_slice": False}, "Saved as recipe.json;"),
        ("forest", {"in_3d": True}, "with what it has learned"),
        ("grow", {}, "with what is painted"),
        ("slic", {"claim": True}, "with what is painted"),
    ],
)
def test_a_recipe_saved_with_a_click_is_replayed_by_a_process(
    name, params, says, stage, step, file, tmp_path
):
    stage.annotate()
    stage.layers.set_tool("annotations", stage.entry.id, "paint", 1)
    layer = stage.layers.annotations_layer(stage.entry.id)
    stage.person.stroke(layer, [(48, 44), (48, 52)])
    assert (stage.entry.codes == 2).sum() > 16
    step.draft.choose(name)
    for key, value in params.items():
        step.editor.form.control(key).value = value
    add(step, "median")
    add(step, "remove_small")
    assert says in save(stage, step)
    chain = step.draft.chain()
    assert len(chain.steps) == 3
    expected = segmented(chain, Source(stage.entry.stack, strokes=stage.entry.codes))
    found = replayed(tmp_path, stage.entry.stack)
    np.testing.assert_array_equal(found.data, np.maximum(expected, 1) - 1)
    assert len(np.unique(expected)) > 1
    wanted = "foreground" if name == "otsu" else stage.workspace.classes[0].name
    assert [c["name"] for c in found.metadata["classes"]] == [wanted]


def test_points_are_kept_as_what_was_grown_from(stage, step, file, tmp_path):
    stage.viewer.add_points([[1, 48, 20], [2, 48, 48]], scale=(0.05, 0.01, 0.01), name="clicks")
    step.draft.choose("grow")
    step.seeds.box.setCurrentIndex(step.seeds.box.findText("clicks"))
    expected = segmented(
        step.draft.chain(), Source(stage.entry.stack, strokes=step.seeds.strokes(stage.entry))
    )
    assert "with what is painted" in save(stage, step)
    found = replayed(tmp_path, stage.entry.stack)
    np.testing.assert_array_equal(found.data, np.maximum(expected, 1) - 1)
    assert (expected == 2).any()


def test_steps_without_strokes_are_saved_alone_and_that_is_said(stage, step, file):
    step.draft.choose("forest")
    said = save(stage, step)
    assert "the steps alone" in said
    assert "paint some of each class" in said
    assert "-l" not in said.split()
    assert read_recipe(file).learned is None


def test_a_forest_from_a_recipe_is_applied_where_nothing_is_painted(stage, step, file, tmp_path):
    strokes = np.where(cells() > 120, 2, 1).astype(np.uint8)
    strokes[:, 60:] = np.where(strokes[:, 60:] == 2, 3, 1)
    recipe = of_cells(
        "forest", classes=(CELL, DEBRIS), kept_of=Source(stage.entry.stack, strokes=strokes)
    )
    file.write_text(recipe.model_dump_json())
    step.recipes.open.trigger()
    assert stage.said[-1] == "Took recipe.json: Gaussian, Pixel classifier, as it was trained."
    assert stage.workspace.classes == (CELL, DEBRIS)
    assert step.seeds.isVisible()
    assert step.seeds.verb.text() == "Learn from"
    assert step.seeds.box.currentText() == "what recipe.json keeps"
    out = np.zeros(stage.entry.shape, np.uint8)
    source = Source(stage.entry.stack)
    list(run_stack(recipe.chain, source, out=out, prepared=recipe.recalled()))
    plane = stage.layers.current_plane(stage.entry)
    np.testing.assert_array_equal(preview(stage, step), out[plane])
    stage.person.click(step.apply)
    command = stage.submitted()
    kept = ChainRecipe.model_validate({"chain": command.chain, "learned": command.learned})
    assert kept.learned == recipe.learned
    stage.finish()
    file.unlink()
    save(stage, step)  # kept of it is what it was opened with
    assert read_recipe(file) == recipe


def test_other_settings_need_strokes_and_with_its_own_a_recipe_serves_again(stage, step, file):
    strokes = np.where(cells() > 120, 2, 1).astype(np.uint8)
    recipe = of_cells("forest", kept_of=Source(stage.entry.stack, strokes=strokes))
    file.write_text(recipe.model_dump_json())
    step.recipes.open.trigger()
    assert step.apply.isEnabled()
    step.editor.form.control("sigma_max_px").value = 4.0
    assert step.seeds.kept is None
    assert "Paint some of each class" in step.apply.toolTip()
    step.draft.undo()
    assert step.seeds.kept is not None
    assert step.apply.isEnabled()
    step.seeds.box.setCurrentIndex(0)  # what is painted
    assert not step.apply.isEnabled()
    assert preview(stage, step) is None


def test_strokes_from_a_recipe_grow_on_their_image_and_on_no_other(stage, step, file):
    strokes = np.zeros(stage.entry.shape, np.uint8)
    strokes[1, 46:50, 18:22], strokes[1, 2:6, 2:60] = 2, 1
    recipe = of_cells("grow", kept_of=Source(stage.entry.stack, strokes=strokes))
    stage.viewer.scene.camera.zoom /= 4  # slow methods are shown for what is in sight
    file.write_text(recipe.model_dump_json())
    step.recipes.open.trigger()
    stage.viewer.dims.set_current_step(0, 1)
    expected = segmented(recipe.chain, Source(stage.entry.stack, strokes=strokes))
    np.testing.assert_array_equal(preview(stage, step), expected[1])
    stage.person.click(step.apply)
    written = np.load(stage.submitted().images[0].strokes)
    np.testing.assert_array_equal(written, strokes)
    stage.finish()
    other = stage.viewer.add_image(cells((2, 60, 80)), name="other")
    stage.layers.add_image([other])
    QApplication.processEvents()
    n = len(stage.worker.commands)
    stage.person.click(step.apply)
    assert "other (2 × 60 × 80 px) is another image" in stage.said[-1]
    assert len(stage.worker.commands) == n


def test_another_pixel_size_than_then_is_pointed_out(stage, step, file):
    stack = replace(stage.entry.stack, pixel_size_um={"Z": 0.3, "Y": 0.01, "X": 0.01})
    strokes = np.where(cells() > 120, 2, 1).astype(np.uint8)
    recipe = of_cells("grow", "in_3d=on", kept_of=Source(stack, strokes=strokes))
    file.write_text(recipe.model_dump_json())
    step.recipes.open.trigger()
    assert "with the strokes it grew from. cells had another pixel size then" in stage.said[-1]
    assert "Z 0.3 µm" in stage.said[-1]


def test_an_image_without_strokes_in_the_recipe_has_none_whatever_is_painted(stage, step, file):
    strokes = np.zeros(stage.entry.shape, np.uint8)
    other = Source(
        Stack(cells((2, 60, 80)), "ZYX", name="other"), strokes=np.ones((2, 60, 80), "u1")
    )
    recipe = ChainRecipe(chain=Chain.of("grow"), classes=(CELL,))
    sources = [Source(stage.entry.stack, strokes=strokes), other]
    recipe = recipe.keeping(sources, prepare(recipe.chain, sources))
    file.write_text(recipe.model_dump_json())
    stage.annotate()
    step.recipes.open.trigger()
    stage.person.click(step.apply)
    assert not np.load(stage.submitted().images[0].strokes).any()


def test_classes_of_a_recipe_keep_their_names_among_those_that_are_painted(stage, step, file):
    nucleus = LabelClass(name="nucleus", color="#009e73")
    stage.workspace.set_classes((nucleus, CELL))
    stage.annotate()
    strokes = np.where(cells() > 120, 2, 1).astype(np.uint8)
    strokes[:, :, 64:] = np.where(strokes[:, :, 64:] == 2, 3, 1)
    source = Source(stage.entry.stack, strokes=strokes)
    recipe = of_cells("forest", classes=(CELL, DEBRIS), kept_of=source)
    file.write_text(recipe.model_dump_json())
    step.recipes.open.trigger()
    out = np.zeros(stage.entry.shape, np.uint8)
    list(run_stack(recipe.chain, source, out=out, prepared=recipe.recalled()))
    here = np.array([0, 1, 3, 4], np.uint8)[out]  # cell is the second here, debris the third
    plane = stage.layers.current_plane(stage.entry)
    np.testing.assert_array_equal(preview(stage, step), here[plane])
    assert stage.workspace.classes == (nucleus, CELL)
    stage.person.click(step.apply)
    assert stage.workspace.classes == (nucleus, CELL, DEBRIS)
    stage.submitted()
    assert stage.workspace.undo() is not None
    assert stage.workspace.classes == (nucleus, CELL)
