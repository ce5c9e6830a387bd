"""What is said last at the bottom of the dock."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QLabel
from stage import Stage

from napari_unetseg.config import Recipe
from napari_unetseg.events import AnnotationsTaken, Rested
from napari_unetseg.widgets import status_line
from napari_unetseg.widgets.status_line import StatusLine
from napari_unetseg.workspace import LiveSettings

pytestmark = pytest.mark.window


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(), tmp_path, np.zeros((4, 96, 128), np.uint8))
    stage.worker.freeze = stage.worker.asked.append
    stage.worker.painted = stage.worker.asked.append
    stage.line = StatusLine(stage.context, QLabel())
    stage.viewer.window.add_dock_widget(stage.line, name="said")
    stage.annotate()
    stage.controller.go_live(LiveSettings(Recipe()))
    stage.submitted()
    stage.train_started()
    yield stage
    stage.close()


def test_live_leaves_what_was_just_said_to_be_read(stage, monkeypatch):
    assert "it follows" in stage.line.sentence.text()
    stage.context.say("The slice accepted.")
    stage.say(AnnotationsTaken(200, 50, 0, 1), Rested(200))
    assert stage.line.sentence.text() == "The slice accepted."
    monkeypatch.setattr(status_line, "READ_S", 0)
    stage.say(Rested(200))
    assert "has learned" in stage.line.sentence.text()
    stage.say(AnnotationsTaken(200, 50, 0, 1))
    assert "it follows" in stage.line.sentence.text()


def test_frozen_it_does_not_say_that_it_follows(stage, monkeypatch):
    monkeypatch.setattr(status_line, "READ_S", 0)
    stage.controller.live.freeze(True)
    assert "frozen" in stage.line.sentence.text()
    stage.say(AnnotationsTaken(200, 50, 0, 1), Rested(200))
    assert "frozen" in stage.line.sentence.text()
    stage.controller.live.freeze(False)
    assert "it follows" in stage.line.sentence.text()


def test_a_path_that_cannot_be_wrapped_does_not_widen_the_dock(stage):
    stage.viewer.window.show()
    QApplication.processEvents()
    before = stage.line.minimumSizeHint().width()
    sentence = f"/{'a_long_name_of_a_file_' * 9}.tif cannot be read; check it."
    stage.context.say(sentence)
    QApplication.processEvents()
    assert stage.line.minimumSizeHint().width() == before
    assert stage.line.sentence.toolTip() == sentence
