"""*Live* in a real window: with a worker that says what the test says, and with a real child."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from stage import Stage
from test_whole_loop import CORRECT, TRAIN, Sitting

from napari_unetseg.annotations import add_class
from napari_unetseg.events import (
    AnnotationsTaken,
    CheckpointSaved,
    FinishReason,
    HeldOutScored,
    ModelSaved,
    Rested,
    TrainingStep,
)
from napari_unetseg.jobs.commands import LiveCommand, Painted, PredictCommand
from napari_unetseg.widgets.live_bar import LiveBar
from napari_unetseg.widgets.suggest_bar import SuggestBar
from napari_unetseg.widgets.train_step import TrainStep

pytestmark = pytest.mark.window


class LiveStage(Stage):
    """A stage with a Train step and the bar."""

    def __init__(self, viewer, folder) -> None:
        pixels = np.random.default_rng(0).integers(0, 255, (4, 96, 128)).astype(np.uint8)
        super().__init__(viewer, folder, pixels)
        self.worker.steered = []
        self.worker.painted = self.worker.steered.append
        self.worker.freeze = lambda on: self.worker.steered.append(("freeze", on))
        self.worker.return_to = lambda path: self.worker.steered.append(("return to", path))
        self.train = self.show(TrainStep)
        self.bar = LiveBar(self.context, self.train.live_settings, SuggestBar(self.context))
        viewer.window.add_dock_widget(self.bar, name="live")

    def go_live(self):
        self.annotate()
        self.person.click(self.bar.live)
        command = self.submitted()
        self.train_started()
        return command

    def checkpoint(self, number: int):
        folder = self.model(f"checkpoint-{number}")
        Image.fromarray(np.full((64, 128, 3), 40 * number, np.uint8)).save(folder / "preview.png")
        self.say(CheckpointSaved(str(folder), 100 * number, 0.5 + number / 10))
        return folder


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = LiveStage(make_napari_viewer(show=True), tmp_path)
    yield stage
    stage.close()


def test_without_anything_painted_the_switch_says_what_is_missing(stage):
    assert not stage.bar.live.isEnabled()
    assert "strokes" in stage.bar.live.toolTip()
    assert not stage.bar.freeze.isEnabled()
    stage.annotate()
    assert stage.bar.live.isEnabled()


def test_a_class_that_nobody_has_painted_is_named_before_it_begins(stage):
    stage.annotate()
    stage.bar.refresh()
    assert stage.bar.live.isEnabled()
    stage.workspace.change_classes(add_class, "vesicle", label="adding a class")
    assert not stage.bar.live.isEnabled()
    assert "Nothing of vesicle is painted" in stage.bar.live.toolTip()
    stage.workspace.undo()
    assert stage.bar.live.isEnabled()


def test_every_stroke_is_handed_on_with_its_box(stage):
    assert isinstance(stage.go_live(), LiveCommand)
    assert stage.bar.live.isChecked()
    codes = stage.entry.codes.copy()
    codes[2, 10:14, 20:29] = 2
    stage.workspace.commit_annotations(stage.entry.id, codes, [2])
    stage.controller.poll()
    assert stage.worker.steered == [Painted(stage.entry.id, 2, [10, 20, 14, 29], 1)]
    stage.workspace.undo()
    stage.controller.poll()
    assert stage.worker.steered[1:] == [Painted(stage.entry.id, 2, [10, 20, 14, 29], 2)]


def test_the_bar_says_whether_it_learns(stage):
    stage.go_live()
    assert stage.bar.state.text() == "learning"
    stage.say(Rested(200))
    assert stage.bar.state.text() == "up to date"
    stage.say(AnnotationsTaken(200, 50, 0, 1))
    assert stage.bar.state.text() == "learning"
    stage.person.click(stage.bar.freeze)
    assert stage.worker.steered == [("freeze", True)]
    assert stage.bar.state.text() == "frozen"
    stage.person.click(stage.bar.freeze)
    assert stage.worker.steered[-1] == ("freeze", False)


def test_switching_it_off_stops_training_and_keeps_the_model(stage):
    stage.go_live()
    stage.say(TrainingStep(1, 1.0, 0.1, 0.5, 0.1))
    stage.person.click(stage.bar.live)
    assert stage.worker.asked == ["stop"]
    stage.finish()
    assert not stage.bar.live.isChecked()
    assert not stage.bar.freeze.isEnabled()
    assert stage.bar.live.isEnabled()


def test_checkpoints_are_shown_with_their_scores_and_returned_to_by_a_click(stage):
    stage.go_live()
    folders = [stage.checkpoint(n) for n in (1, 2)]
    assert len(stage.bar.checkpoints) == 2
    assert "0.600" in stage.bar.checkpoints[0].toolTip()
    assert not stage.bar.checkpoints[0].icon().isNull()
    stage.person.wait(lambda: stage.bar.checkpoints[0].isVisible())
    stage.person.click(stage.bar.checkpoints[0])
    assert stage.worker.steered == [("return to", str(folders[0]))]
    assert stage.bar.freeze.isChecked()
    stage.finish()
    stage.person.click(stage.bar.checkpoints[1])
    assert isinstance(stage.submitted(), PredictCommand)
    assert stage.controller.model.path == folders[1]
    stage.finish("Segmented 4 slices in 1 s.")
    assert stage.said[-1] == "The model is now that of 200 steps. Segmented 4 slices in 1 s."
    stage.said.clear()
    stage.controller.predict()
    stage.submitted()
    stage.finish()
    assert not stage.said, "that was said of the click alone"


def test_a_round_says_what_was_last_learned_from(stage):
    stage.go_live()
    facts = stage.train.progress.facts
    assert "Too little is annotated" in facts.text()
    stage.say(AnnotationsTaken(20, 65_363, 4_000, 1))
    stage.say(HeldOutScored(40, 2.0, 0.989, {"background": 1.0, "cell": 0.978}, 4_000))
    assert "Too little" not in facts.text()
    assert "0.989" in facts.text()
    stage.finish()
    [done] = stage.controller.rounds
    assert (done.n_labelled_px, done.n_held_out_px) == (65_363, 4_000)
    assert done.sentence == "Mean IoU 0.989 on held-out annotations."


def test_no_more_checkpoints_are_shown_than_fit(stage):
    stage.go_live()
    for number in range(1, 6):
        stage.checkpoint(number)
    for number in range(1, 6):
        stage.checkpoint(number)
    assert len(stage.bar.checkpoints) == 6
    assert stage.bar.sizeHint().width() <= 380


def test_the_model_that_live_has_left_can_be_named(stage):
    command = stage.go_live()
    assert stage.bar.name.isHidden()
    made = Path(command.model_path)
    stage.model(made.stem).rename(made)
    stage.say(ModelSaved(str(made)))
    assert stage.bar.name.isHidden(), "Live is on"
    stage.finish()
    name = stage.bar.name
    stage.person.wait(name.isVisible, 10)
    assert name.text() == "cells-1"
    QTest.mouseClick(name, Qt.MouseButton.LeftButton)
    name.selectAll()
    QTest.keyClicks(name, "my cells")
    QTest.keyClick(name, Qt.Key.Key_Return)
    assert stage.controller.model.path == made.with_name("my cells.unet")
    assert stage.controller.model.path.is_dir()
    assert not made.exists()
    assert stage.said[-1] == "The model is called my cells now."
    assert stage.workspace.session.recent_models(1) == [made.with_name("my cells.unet")]
    name.selectAll()
    QTest.keyClicks(name, "a/b")
    QTest.keyClick(name, Qt.Key.Key_Return)
    assert "needs a name" in stage.said[-1]
    assert name.text() == "my cells"


def test_live_goes_on_from_the_model_at_hand_unless_another_start_is_chosen(stage):
    stage.annotate()
    model = stage.model("mine")
    stage.controller.open_model(model)
    assert stage.train.live_settings().base == model
    stage.train.base.setCurrentIndex(stage.train.base.findData("scratch"))
    assert stage.train.live_settings().base is None


def test_painting_moves_the_segmentation_in_view_and_live_is_kept_as_a_model(
    make_napari_viewer, monkeypatch, tmp_path
):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path))
    sitting = Sitting(make_napari_viewer(show=True))
    sitting.person.wait(sitting.dock.isVisible)
    entry = sitting.take_image()
    sitting.step(TRAIN)
    sitting.choose_small_network(30)
    sitting.paint_both_classes(entry)
    bar, person, controller = sitting.dock.live, sitting.person, sitting.controller
    person.wait(lambda: bar.live.isEnabled())
    seen = []
    controller.live.taken.connect(seen.append)
    person.click(bar.live)
    person.wait(lambda: entry.prediction[0].any(), 60)
    sitting.step(CORRECT)
    assert bar.isVisible()
    sitting.stroke(entry, 0, [(100, 100), (110, 140)], role="segmentation")
    person.wait(lambda: bool(seen) and seen[-1] == controller.live.revision > 0, 20)
    painted = entry.codes.copy()
    revision = controller.live.revision
    person.undo()
    assert (entry.codes != painted).any()
    person.wait(lambda: controller.live.revision > revision, 20)
    person.wait(lambda: seen[-1] == controller.live.revision, 20)
    person.wait(lambda: bar.checkpoints, 90)
    person.click(bar.live)
    person.wait(lambda: sitting.finished, 90)
    assert sitting.finished[-1].reason is FinishReason.STOPPED_EARLY
    assert controller.model is not None
    assert all(plane.any() for plane in entry.prediction)
    for plane in range(4):
        found = entry.segmentation(plane) == 2
        overlap = (found & sitting.truth[plane]).sum() / (found | sitting.truth[plane]).sum()
        assert overlap > 0.7
