"""Suggestions in a real window: asked for, gone to, explained."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from stage import Stage

from napari_unetseg.events import Finished, FinishReason, RegionsSuggested
from napari_unetseg.jobs.commands import SuggestCommand
from napari_unetseg.widgets.suggest_bar import SuggestBar

pytestmark = pytest.mark.window

SCALE = (2.0, 0.5, 0.5)


class SuggestStage(Stage):
    """A stage with the bar."""

    def __init__(self, viewer, folder) -> None:
        pixels = np.random.default_rng(0).integers(0, 255, (5, 256, 320)).astype(np.uint8)
        super().__init__(viewer, folder, pixels, scale=SCALE)
        self.bar = SuggestBar(self.context)
        viewer.window.add_dock_widget(self.bar, name="suggest")

    def told(self, *places):
        image = self.entry.id
        size = {"height": 64, "width": 64}
        facts = [
            {"image": image, "plane": p, "y": y, "x": x, **size, "score": 1.0, "reason": why}
            for p, y, x, why in places
        ]
        self.say(RegionsSuggested(facts))

    @property
    def frame(self):
        return next(la for la in self.viewer.layers if la.name.endswith("suggested"))

    def in_sight(self) -> np.ndarray:
        """Return first row and column, and last row and column, of what is seen of the slice."""
        return np.array(self.layers.box_in_sight(self.entry))


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = SuggestStage(make_napari_viewer(show=True), tmp_path)
    yield stage
    stage.close()


def test_suggestions_are_asked_for_and_the_first_is_gone_to(stage):
    stage.annotate()
    stage.person.click(stage.bar.suggest)
    assert stage.bar.number.text() == "…"
    assert not stage.bar.suggest.isEnabled()
    assert isinstance(stage.submitted(), SuggestCommand)
    stage.told((3, 128, 64, "the model is unsure here"), (1, 0, 0, "unlike all else"))
    stage.finish()
    assert stage.context.progress.suggested(stage.entry.id) == {1, 3}
    assert stage.bar.number.text() == "1/2"
    assert stage.bar.number.toolTip() == "the model is unsure here"
    assert "the model is unsure here" in stage.said[-1]
    assert stage.layers.current_plane(stage.entry) == 3
    stage.person.wait(lambda: stage.in_sight()[2] - stage.in_sight()[0] < 256, 5)
    assert (stage.in_sight()[:2] <= (128, 64)).all()
    assert (stage.in_sight()[2:] >= (192, 128)).all()
    assert np.allclose(stage.frame.data[0].min(axis=0), (3, 127.5, 63.5))
    assert np.allclose(stage.frame.data[0].max(axis=0), (3, 191.5, 127.5))
    assert np.allclose(stage.frame.scale, SCALE)


def test_the_reason_has_the_last_word(stage):
    stage.annotate()
    heard = []
    stage.context.said.connect(heard.append)
    stage.controller.status.connect(heard.append)
    stage.person.click(stage.bar.suggest)
    stage.submitted()
    stage.told((3, 128, 64, "the model is unsure here"))
    stage.finish("1 place suggested.")
    assert "1 place suggested." in heard
    assert "the model is unsure here" in heard[-1]


def test_an_answer_during_a_stroke_is_gone_to_when_it_has_ended(stage):
    stage.annotate()
    stage.layers.set_tool("annotations", stage.entry.id, "paint", 1)
    layer = stage.viewer.layers.selection.active
    layer.brush_size = 6
    stage.viewer.dims.set_current_step(0, 1)
    stage.person.click(stage.bar.suggest)
    stage.submitted()
    stage.person.begin_stroke(layer, (100, 100))
    stage.told((3, 128, 64, "the model is unsure here"))
    stage.finish()
    stage.person.go_on(layer, (100, 200))
    stage.person.end_stroke(layer, (100, 200))
    assert (stage.entry.codes[1, 100, 100:200] == 2).all()
    assert not stage.entry.codes[3].any()
    stage.person.wait(lambda: stage.bar.number.text() == "1/1", 5)
    assert stage.layers.current_plane(stage.entry) == 3
    assert "the model is unsure here" in stage.said[-1]


@pytest.mark.parametrize("reason", [FinishReason.FAILED, FinishReason.CANCELLED])
def test_where_no_answer_comes_the_old_ones_stay_and_the_reason_is_seen(stage, reason):
    stage.annotate()
    stage.person.click(stage.bar.suggest)
    stage.submitted()
    stage.told((3, 128, 64, "a"), (1, 0, 0, "b"))
    stage.finish()
    heard = []
    stage.context.said.connect(heard.append)
    stage.controller.status.connect(heard.append)
    stage.person.click(stage.bar.suggest)
    stage.submitted()
    stage.say(Finished(reason, "The disk is full."))
    assert heard[-1] == "The disk is full."
    assert stage.bar.number.text() == "1/2"
    assert stage.layers.current_plane(stage.entry) == 3


def test_that_nothing_is_left_is_said(stage):
    stage.annotate()
    stage.person.click(stage.bar.suggest)
    stage.submitted()
    stage.told()
    assert "Nothing is left to suggest" in stage.said[-1]


def test_a_key_goes_on_and_after_the_last_comes_the_first(stage):
    stage.annotate()
    stage.layers.set_tool("annotations", stage.entry.id, "paint", 1)
    stage.controller.suggest()
    stage.submitted()
    stage.told((3, 128, 64, "a"), (1, 0, 0, "b"))
    stage.finish()
    seen = []
    for _ in range(3):
        QTest.keyClick(stage.person.canvas, Qt.Key.Key_N)
        seen.append(stage.bar.number.text())
    assert seen == ["1/2", "2/2", "1/2"]
    stage.person.click(stage.bar.before)
    assert stage.bar.number.text() == "2/2"
    frames = [la for la in stage.viewer.layers if la.name.endswith("suggested")]
    assert len(frames) == 1
    assert stage.viewer.layers.selection.active is stage.layers.annotations_layer(stage.entry.id)


def test_the_key_asks_first_where_nothing_is_suggested(stage):
    stage.annotate()
    stage.layers.set_tool("annotations", stage.entry.id, "paint", 1)
    QTest.keyClick(stage.person.canvas, Qt.Key.Key_N)
    assert isinstance(stage.submitted(), SuggestCommand)


def test_an_answer_that_never_comes_frees_the_button(stage):
    stage.annotate()
    stage.person.click(stage.bar.suggest)
    stage.submitted()
    stage.finish("Cancelled.")
    assert stage.bar.suggest.isEnabled()
    assert stage.bar.number.text() == ""


def test_without_an_image_it_says_what_to_do(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path)
    bar = SuggestBar(stage.context)
    stage.viewer.window.add_dock_widget(bar, name="suggest")
    assert not bar.suggest.isEnabled()
    assert "Data step" in bar.suggest.toolTip()
    assert not bar.next.isEnabled()
    stage.close()
