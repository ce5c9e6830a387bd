"""Models are picked by what they make of the slice in view."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from stage import Stage, cells

from napari_unetseg.config import LabelClass, ModelCard, shipped
from napari_unetseg.events import ModelPreviewed
from napari_unetseg.jobs import TrainCommand
from napari_unetseg.jobs.commands import PreviewModelsCommand
from napari_unetseg.widgets.train_step import TrainStep

pytestmark = pytest.mark.window

NUCLEUS = LabelClass(name="nucleus", color="#56b4e9")


@pytest.fixture
def stage(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells())
    stage.worker.ignores_previews = False
    card = ModelCard(summary="Nuclei one by one.", not_for="Volumes.")
    stage.model("nuclei", classes=(NUCLEUS,), card=card)
    stage.model("membranes", channels=("red", "green"))
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(TrainStep)


def item_of(step, row):
    return step.strip.item(row)


def click(stage, step, row) -> None:
    place = step.strip.visualItemRect(item_of(step, row)).center()
    QTest.mouseClick(step.strip.viewport(), Qt.MouseButton.LeftButton, pos=place)
    stage.person.wait(lambda: True, 1)


def start_from(step, choice) -> None:
    step.base.setCurrentIndex(step.base.findData(choice))
    step.base.activated.emit(step.base.currentIndex())


def train(stage, step) -> TrainCommand:
    step.entered()
    stage.person.click(step.train)
    stage.person.wait(
        lambda: stage.controller.poll() or isinstance(stage.worker.commands[-1], TrainCommand), 10
    )
    return stage.worker.commands[-1]


def preview(stage, tmp_path, name, **facts) -> None:
    picture = tmp_path / f"{name}.png"
    Image.fromarray(np.full((96, 96, 3), 200, np.uint8)).save(picture)
    stage.say(ModelPreviewed(str(tmp_path / f"{name}.unet"), str(picture), **facts))


def test_every_model_is_tried_on_the_slice_in_view_before_a_stroke(stage, step, tmp_path):
    command = stage.submitted()
    assert isinstance(command, PreviewModelsCommand)
    assert [path.stem for path in step.strip.models] == ["membranes", "nuclei"]
    assert command.models == [str(path) for path in step.strip.models]
    assert command.annotations is None
    assert np.load(command.part.path).shape == (4, 96, 128)
    blank = item_of(step, 1).icon().cacheKey()
    preview(stage, tmp_path, "nuclei")
    assert item_of(step, 1).icon().cacheKey() != blank
    assert item_of(step, 1).text() == "nuclei"
    assert "Volumes" in item_of(step, 1).toolTip()
    stage.say(ModelPreviewed(str(tmp_path / "membranes.unet"), sentence="It takes 2 channels."))
    assert item_of(step, 0).toolTip() == "It takes 2 channels."
    assert not item_of(step, 0).flags() & Qt.ItemFlag.ItemIsEnabled


def test_a_click_takes_a_model_to_predict_with_and_to_start_from(stage, step, tmp_path):
    stage.submitted()
    stage.finish()
    click(stage, step, 1)
    assert stage.controller.model.info.name == "nuclei"
    assert step.base.currentText() == "Continue with nuclei"
    assert [c.name for c in stage.workspace.classes] == ["nucleus"]
    assert step.apply.isEnabled()
    assert item_of(step, 1).isSelected()
    start_from(step, "scratch")
    assert not item_of(step, 1).isSelected()
    click(stage, step, 1)
    stage.annotate()
    assert train(stage, step).base == str(tmp_path / "nuclei.unet")


def test_training_starts_from_the_best_match_unless_told_otherwise(stage, step, tmp_path):
    assert step.base.currentText() == "Best match, else from scratch"
    stage.submitted()
    stage.finish()
    stage.annotate()
    stage.submitted()
    preview(stage, tmp_path, "membranes", score=0.55)
    assert step.base.currentText() == "Best match, else from scratch"
    preview(stage, tmp_path, "nuclei", score=0.81)
    assert step.base.currentText() == "Best match: nuclei"
    assert item_of(step, 1).isSelected()
    assert not step.settings.filters.isEnabled()
    preview(stage, tmp_path, "membranes", score=0.9)
    assert step.base.currentText() == "Best match: membranes"
    stage.say(ModelPreviewed(str(tmp_path / "membranes.unet"), sentence="It takes 2 channels."))
    assert step.base.currentText() == "Best match: nuclei"
    stage.finish()
    assert train(stage, step).base == str(tmp_path / "nuclei.unet")


def test_from_scratch_stays_from_scratch_whatever_matches(stage, step, tmp_path):
    stage.submitted()
    stage.finish()
    start_from(step, "scratch")
    stage.annotate()
    stage.submitted()
    preview(stage, tmp_path, "nuclei", score=0.81)
    assert step.base.currentText() == "From scratch"
    stage.finish()
    assert train(stage, step).base is None


def test_a_model_that_knows_the_class_needs_no_background(stage, step, tmp_path):
    stage.submitted()
    stage.finish()
    click(stage, step, 1)
    codes = stage.entry.codes.copy()
    codes[1, 20:40, 20:60] = 2
    stage.workspace.commit_annotations(stage.entry.id, codes, [1])
    step.entered()
    assert step.train.isEnabled()
    start_from(step, "scratch")
    assert not step.train.isEnabled()
    assert "background" in step.train.toolTip()


def test_what_is_painted_scores_the_models_and_another_slice_shows_them_anew(stage, step, tmp_path):
    assert stage.submitted().annotations is None
    stage.finish()
    stage.annotate(plane=2)
    stage.viewer.dims.set_current_step(0, 2)
    command = stage.submitted()
    assert command.plane == 2
    assert set(np.unique(np.load(command.annotations))) == {0, 1, 2}
    preview(stage, tmp_path, "nuclei", score=0.8123)
    assert item_of(step, 1).text() == "nuclei\n0.81"


def test_without_models_there_is_no_strip(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "none")
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells())
    stage.worker.ignores_previews = False
    step = stage.show(TrainStep)
    assert not step.strip.isVisible()
    stage.person.wait(lambda: stage.controller.poll() or True, 1)
    assert not stage.worker.commands
    stage.close()
