"""Which method to use: rows as they come, what is recommended, and what can be done with a row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from stage import Stage, cells

from napari_unetseg.classical import Chain, ChainRecipe, StepSettings
from napari_unetseg.events import ComparisonStarted, MethodCompared, MethodNotRun, Recommended
from napari_unetseg.jobs.commands import CompareCommand
from napari_unetseg.widgets import compared_table
from napari_unetseg.widgets.baselines_step import BaselinesStep

pytestmark = pytest.mark.window

OTSU = MethodCompared(
    "otsu",
    "Otsu threshold",
    "classical",
    needs_labels=False,
    mean_iou=0.81,
    spread=0.02,
    dice=0.9,
    f1=0.89,
    boundary_f1=None,
    iou={"background": 0.9, "cell": 0.72},
    n_px=500,
    prepare_s=0.1,
    slice_s=0.012,
)


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells())
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    step = stage.show(BaselinesStep)
    step.compared_section.expand(animate=False)
    stage.viewer.window._qt_viewer.window().resize(1300, 1100)
    return step


def titles(step):
    table = step.compared.table
    return [table.item(i, 0).text() for i in range(table.rowCount())]


def click_row(step, row, keys=Qt.KeyboardModifier.NoModifier):
    table = step.compared.table
    place = table.visualItemRect(table.item(row, 0)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, keys, place)


def compare(stage, step):
    stage.annotate()
    stage.person.click(step.compared.compare)
    return stage.submitted()


def rows(stage, tmp_path):
    """A row of a chain and one of a model, which answer otherwise on slice 1."""
    answers = []
    for name, code in (("otsu", 1), ("model", 2)):
        codes = np.zeros(stage.entry.shape, np.uint8)
        codes[1] = 2
        codes[1, :10, :10] = code
        np.save(tmp_path / f"{name}.npy", codes)
        answers.append({stage.entry.id: str(tmp_path / f"{name}.npy")})
    recipe = ChainRecipe(chain=Chain.of("otsu"), mapping={1: 2, 2: 1}).model_dump(mode="json")
    first = replace(OTSU, recipe=recipe, answers=answers[0])
    second = replace(
        OTSU,
        name="model",
        title="cells as it is",
        kind="model",
        mean_iou=0.86,
        model=str(stage.model("shipped")),
        answers=answers[1],
    )
    return first, second


def test_nothing_can_be_compared_before_something_is_painted(stage, step):
    compare_button = step.compared.compare
    assert not compare_button.isEnabled()
    assert "Paint" in compare_button.toolTip()
    stage.annotate()
    assert compare_button.isEnabled()


def test_rows_come_in_one_by_one_the_best_first_and_one_is_recommended(stage, step, tmp_path):
    command = compare(stage, step)
    assert isinstance(command, CompareCommand)
    assert command.max_time_s == 120
    first, second = rows(stage, tmp_path)
    stage.say(ComparisonStarted(3, "Scored on 500 px of one slice."), first)
    assert titles(step) == ["Otsu threshold"]
    assert step.compared.compare.text().startswith("Stop")
    stage.say(second)
    assert titles(step) == ["cells as it is", "Otsu threshold"]
    assert step.compared.table.item(1, 1).text() == "0.810 ± 0.020"
    assert "Dice 0.900" in step.compared.table.item(1, 0).toolTip()
    stage.say(MethodNotRun("slow", "Slow one", "there was no time left for it"))
    stage.say(Recommended("otsu", "Otsu is as good and quicker: use it."))
    stage.finish()
    assert [row.name for row in step.compared.selected()] == ["otsu"]
    assert step.compared.sentence.text() == "Otsu is as good and quicker: use it."
    assert not step.compared.how.isVisible()
    stage.person.click(step.compared.how_fold)
    assert step.compared.how.isVisible()
    assert "Scored on 500 px" in step.compared.how.text()
    assert "Slow one: there was no time left for it." in step.compared.how.text()
    assert step.compared.compare.text() == "Compare methods"


def test_a_comparison_is_stopped_with_the_rows_so_far(stage, step, tmp_path):
    compare(stage, step)
    stage.say(ComparisonStarted(3, "Scored on 500 px."), rows(stage, tmp_path)[0])
    stage.person.click(step.compared.compare)
    assert stage.worker.asked == ["stop"]
    stage.say(Recommended("otsu", "Use it."))
    stage.finish()
    assert titles(step) == ["Otsu threshold"]


def test_a_row_is_used_with_its_steps_or_its_model(stage, step, tmp_path):
    compare(stage, step)
    stage.say(*rows(stage, tmp_path), Recommended("otsu", "Use it."))
    stage.finish()
    step.draft.choose("sobel")
    stage.person.click(step.compared.use)
    assert step.draft.method == "otsu"
    assert step.draft.meaning.slots == {1: 2, 2: 1}
    assert step.apply.isVisible(), "what was taken over is in view"
    stage.person.click(step.compared_section.toggleButton())
    assert not step.apply.isVisible()
    step.compared.table.selectRow(0)
    stage.person.click(step.compared.use)
    assert stage.controller.model.info.name == "shipped"
    assert "apply it in Train" in stage.said[-1]


def several_steps():
    """A row of a chain of three steps."""
    before = StepSettings(step="background", params={"radius_px": 25, "foreground": "dark"})
    then = StepSettings(step="fill_holes", params={"max_area_px": 30})
    chain = Chain.of("otsu", before=[before], then=[then])
    recipe = ChainRecipe(chain=chain, mapping={1: 1, 2: 2})
    title = "Background removal → Otsu threshold → Fill holes"
    return replace(
        OTSU, name="chain", title=title, mean_iou=0.88, recipe=recipe.model_dump(mode="json")
    )


def test_several_steps_are_used_in_their_order(stage, step):
    compare(stage, step)
    row = several_steps()
    stage.say(OTSU, row, Recommended("chain", "Use it."))
    stage.finish()
    assert titles(step)[0] == row.title
    assert step.compared.table.item(0, 0).toolTip().startswith(row.title)
    stage.person.click(step.compared.use)
    assert step.draft.chain() == ChainRecipe.model_validate(row.recipe).chain


def test_a_row_that_is_selected_says_what_to_know_of_its_score(stage, step, tmp_path):
    compare(stage, step)
    first, second = rows(stage, tmp_path)
    noted = replace(first, note="Given only the strokes of the training part.")
    stage.say(noted, second, Recommended("model", "Use it."))
    stage.finish()
    compared = step.compared
    assert not compared.note.isVisible()
    click_row(step, 1)
    assert compared.note.text() == noted.note
    assert compared.note.isVisible()
    assert noted.note in compared.table.item(1, 0).toolTip()
    assert compared.table.item(0, 0).font().bold(), "the one that is recommended"
    assert not compared.table.item(1, 0).font().bold()
    click_row(step, 0)
    assert not compared.note.isVisible()


def test_two_rows_are_compared_in_a_layer(stage, step, tmp_path):
    compare(stage, step)
    stage.say(*rows(stage, tmp_path), Recommended(None, "Nothing is clear."))
    stage.finish()
    assert not step.compared.differ.isEnabled()
    assert "two rows" in step.compared.differ.toolTip()
    for row, keys in enumerate(
        (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier)
    ):
        click_row(step, row, keys)
    stage.person.click(step.compared.differ)
    (layer,) = [layer for layer in stage.viewer.layers if "≠" in layer.name]
    shown = np.asarray(layer.data)
    assert layer.name.endswith("cells as it is ≠ Otsu threshold")
    assert (shown[1, :10, :10] == 1).all()
    assert not shown[1, 10:].any()
    assert not shown[[0, 2, 3]].any()
    assert stage.layers.current_plane(stage.entry) == 1


def test_the_table_is_saved_with_a_figure(stage, step, tmp_path, monkeypatch):
    compare(stage, step)
    stage.say(*rows(stage, tmp_path), Recommended("model", "Use the model."))
    stage.finish()
    monkeypatch.setattr(compared_table, "ask_paths", lambda *_, **__: [tmp_path / "methods"])
    stage.person.click(step.compared.save)
    lines = (tmp_path / "methods.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("model,cells as it is,")
    with Image.open(tmp_path / "methods.png") as figure:
        assert figure.width > 500


def test_a_name_is_completed_and_nothing_is_replaced_unasked(stage, step, tmp_path, monkeypatch):
    compare(stage, step)
    stage.say(*rows(stage, tmp_path), Recommended("model", "Use the model."))
    stage.finish()
    monkeypatch.setattr(compared_table, "ask_paths", lambda *_, **__: [tmp_path / "cells.v2"])
    figure, table = tmp_path / "cells.v2.png", tmp_path / "cells.v2.csv"
    figure.write_bytes(b"mine")
    stage.person.click(step.compared.save)
    assert f"{figure} exists already; choose another name" in stage.said[-1]
    assert "--overwrite" not in stage.said[-1]
    assert figure.read_bytes() == b"mine"
    assert not table.exists()
    figure.unlink()
    table.write_bytes(b"mine")
    stage.person.click(step.compared.save)
    assert f"{table} exists already; choose another name" in stage.said[-1]
    assert "--overwrite" not in stage.said[-1]
    assert table.read_bytes() == b"mine"
    assert not figure.exists()
    table.unlink()
    stage.person.click(step.compared.save)
    assert len(table.read_text().splitlines()) == 3
    assert stage.said[-1] == "Saved as cells.v2.csv, with a figure beside it, cells.v2.png."


def test_methods_are_compared_again_while_a_row_is_selected(stage, step, tmp_path):
    compare(stage, step)
    stage.say(*rows(stage, tmp_path), Recommended("model", "Use the model."))
    stage.finish()
    click_row(step, 1)
    stage.person.click(step.compared.compare)
    assert isinstance(stage.submitted(), CompareCommand)
    assert titles(step) == []
    assert step.compared.selected() == []
    stage.say(ComparisonStarted(3, "Scored on 500 px."), rows(stage, tmp_path)[0])
    assert titles(step) == ["Otsu threshold"]
