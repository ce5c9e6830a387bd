"""How probable each class is, as layers that come, are renewed, and hide where they are old."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from stage import CLASSES, Stage, cells

from napari_unetseg.annotations import recolor_class
from napari_unetseg.config import LabelClass
from napari_unetseg.events import ModelSaved
from napari_unetseg.widgets.open_images import open_images
from napari_unetseg.widgets.train_step import TrainStep

pytestmark = pytest.mark.window

TWO = (*CLASSES, LabelClass(name="wall", color="#0072b2"))


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=True)
    stage = Stage(viewer, tmp_path, cells(), scale=(2.0, 0.5, 0.5))
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(TrainStep)


def apply(stage, step, *values):
    """Predict now, and let the child answer so for each class; return what it was asked."""
    stage.person.click(step.apply)
    (image,) = stage.submitted().images
    if image.probabilities is not None:
        answer = np.empty((len(values), *stage.entry.shape), np.uint8)
        answer[:] = np.reshape(values, (-1, 1, 1, 1))
        np.save(image.probabilities, answer)
    stage.finish()
    return image


def tick(step):
    """Click the box itself: right of its text nothing is hit."""
    box = step.probabilities
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))


def shown(stage):
    return [la for la in stage.viewer.layers if "· p(" in la.name]


def test_each_class_has_a_layer_in_its_colour_through_which_the_image_is_seen(stage, step):
    stage.controller.open_model(stage.model(classes=TWO))
    tick(step)
    apply(stage, step, 200, 30)
    cell, wall = shown(stage)
    assert [cell.name, wall.name] == ["cells · p(cell)", "cells · p(wall)"]
    assert (np.unique(cell.data), np.unique(wall.data)) == ([200], [30])
    assert np.allclose(cell.scale, stage.image.scale)
    assert np.allclose(wall.colormap.colors[-1], (0, 0x72 / 255, 0xB2 / 255, 1), atol=0.01)
    assert cell.colormap.colors[0][3] == 0, "what is improbable is clear"
    assert stage.viewer.layers[-1].name == "cells · annotations"
    assert [image.layers for image in open_images(stage.viewer.layers)] == [(stage.image,)]
    stage.workspace.change_classes(recolor_class, 1, "#009e73", label="recolouring")
    assert np.allclose(cell.colormap.colors[-1][:3], (0, 0x9E / 255, 0x73 / 255), atol=0.01)


def test_they_are_renewed_in_place_and_hidden_where_they_are_not(stage, step):
    stage.controller.open_model(stage.model(classes=TWO))
    tick(step)
    apply(stage, step, 200, 30)
    cell, wall = shown(stage)
    wall.visible = False
    apply(stage, step, 10, 20)
    assert shown(stage) == [cell, wall]
    assert (np.unique(cell.data), np.unique(wall.data)) == ([10], [20])
    assert (cell.visible, wall.visible) == (True, False), "what a person hid stays hidden"
    tick(step)
    assert apply(stage, step).probabilities is None
    assert not cell.visible, "the segmentation is renewed, these are not"
    tick(step)
    apply(stage, step, 5, 5)
    assert (cell.visible, wall.visible) == (True, False)


def test_training_asks_for_them_too_and_those_of_other_classes_go(stage, step):
    stage.controller.open_model(stage.model(classes=TWO))
    tick(step)
    apply(stage, step, 200, 30)
    stage.controller.open_model(stage.model("other", classes=CLASSES))
    apply(stage, step, 77)
    (cell,) = shown(stage)
    assert np.unique(cell.data) == [77]
    stage.annotate()
    step.base.setCurrentIndex(1)
    stage.person.wait(step.train.isEnabled, 5)
    stage.person.click(step.train)
    (image,) = stage.submitted().images
    assert not cell.visible
    np.save(image.probabilities, np.full((1, *stage.entry.shape), 9, np.uint8))
    stage.say(ModelSaved(str(stage.model())))
    stage.finish()
    assert shown(stage) == [cell]
    assert np.unique(cell.data) == [9]
    assert cell.visible


def test_closed_layers_stay_closed_until_they_are_asked_for_again(stage, step):
    stage.controller.open_model(stage.model())
    tick(step)
    apply(stage, step, 200)
    stage.viewer.layers.remove(shown(stage)[0])
    tick(step)
    apply(stage, step)
    assert not shown(stage)
    tick(step)
    apply(stage, step, 100)
    assert len(shown(stage)) == 1
