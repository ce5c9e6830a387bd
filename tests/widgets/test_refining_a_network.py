"""What a network answered, refined in the window with what it finds probable."""

import numpy as np
import pytest
from stage import CLASSES, Stage, cells

from napari_unetseg.classical import Told, View, run_view
from napari_unetseg.jobs.commands import BaselineCommand
from napari_unetseg.widgets.baselines_step import BaselinesStep
from napari_unetseg.widgets.method_choice import REFINE


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells(), scale=(0.05, 0.01, 0.01))
    stage.workspace.set_classes(CLASSES)
    yield stage
    stage.close()


def answer(stage):
    """Let a network say what it finds probable, most of it wrong by chance."""
    entry, random = stage.entry, np.random.default_rng(0)
    sure = np.where(cells() > 120, 150, 105) + random.integers(-60, 60, entry.shape)
    values = stage.workspace.session.array(entry.id, "probabilities-1", (1, *entry.shape))
    values[0] = sure
    slots = stage.workspace.prediction_slots()
    for plane in range(entry.shape[0]):
        codes = (values[0, plane] > 127).astype(np.uint8) + np.uint8(1)
        stage.workspace.set_prediction(entry.id, plane, slots[codes])
    stage.controller.told.take("probabilities-1", [c.name for c in CLASSES])
    return np.array(values)


def test_the_preview_and_the_job_hear_what_the_network_finds_probable(stage):
    values = answer(stage)
    step = stage.show(BaselinesStep)
    step.choice.family.setCurrentText(REFINE)
    (action,) = [a for a in step.editor.menu.actions() if a.data() == "crf"]
    action.trigger()
    entry, plane = stage.entry, stage.layers.current_plane(stage.entry)
    view = View(entry.stack.plane(plane), probabilities=Told(values, [2])[plane])
    expected = run_view(step.draft.chain(), view, labels=entry.segmentation(plane))
    assert (expected != entry.segmentation(plane)).any()

    def is_shown():
        layer = step.preview.layer
        return layer is not None and np.array_equal(layer.data, expected)

    stage.person.wait(is_shown, 20)
    stage.person.click(step.apply)
    command = stage.submitted()
    assert isinstance(command, BaselineCommand)
    (image,) = command.images
    assert image.codes == [2]
    np.testing.assert_array_equal(np.load(image.probabilities), values)


def test_after_another_answer_labels_are_trusted_alone(stage):
    answer(stage)
    stage.controller.renewing.emit()
    step = stage.show(BaselinesStep)
    step.choice.family.setCurrentText(REFINE)
    (action,) = [a for a in step.editor.menu.actions() if a.data() == "fill_holes"]
    action.trigger()
    stage.person.wait(lambda: step.preview.layer is not None, 20)
    stage.person.click(step.apply)
    (image,) = stage.submitted().images
    assert image.probabilities is None
    assert image.labels is not None
