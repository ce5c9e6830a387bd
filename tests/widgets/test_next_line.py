"""The line that says what to do next, in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from test_whole_loop import BASELINES, CORRECT, DATA, EXPORT, TRAIN, Sitting

from napari_unetseg.config import LabelClass, ModelInfo, Recipe
from napari_unetseg.events import FinishReason
from napari_unetseg.jobs import JobState
from napari_unetseg.widgets.method_choice import REFINE

pytestmark = pytest.mark.window


@pytest.fixture
def sitting(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path / "home"))
    sitting = Sitting(make_napari_viewer(show=True))
    sitting.person.wait(sitting.dock.isVisible)
    return sitting


def says(sitting, words):
    """Wait until the line says something."""
    line = sitting.dock.status.next
    try:
        sitting.person.wait(lambda: words in line.text(), 10)
    except TimeoutError:
        raise AssertionError(f"{words!r} is not in {line.text()!r}") from None


def test_it_moves_on_with_what_a_person_does(sitting):
    says(sitting, "Once an image is ticked")
    sitting.step(TRAIN)
    says(sitting, "Tick the box")
    entry = sitting.take_image()
    says(sitting, "press Paint")
    sitting.stroke(entry, 1, [(40, 40), (40, 90), (60, 90)])
    says(sitting, "Paint some background, too")
    sitting.person.undo()
    says(sitting, "press Paint")
    sitting.person.redo()
    sitting.stroke(entry, 0, [(90, 20), (90, 140), (20, 140)])
    says(sitting, "go to Train")
    sitting.step(BASELINES)
    says(sitting, "Fit to my annotations")
    sitting.step(CORRECT)
    says(sitting, "Nothing is segmented yet")
    sitting.step(EXPORT)
    says(sitting, "Save the annotations")
    train = sitting.step(TRAIN)
    says(sitting, "Press Train")
    sitting.choose_small_network(steps=100_000)
    sitting.person.click(train.train)
    says(sitting, "when the processor is done")
    assert train.strip.isHidden(), "no model is drawn meanwhile"
    assert train.progress.curves.isVisible()
    assert not train.apply.isVisible(), "nothing is applied meanwhile"
    bottom = train.progress.curves.mapTo(train, train.progress.curves.rect().bottomLeft()).y()
    assert train.progress.facts.mapTo(train, train.progress.facts.rect().topLeft()).y() > bottom
    scrolled = train.parentWidget().parentWidget().verticalScrollBar()
    sitting.person.wait(lambda: not scrolled.isVisible(), 5)  # all of the step is in view
    sitting.person.wait(lambda: entry.prediction[0].any())
    sitting.person.click(train.train)
    assert sitting.until_finished().reason is FinishReason.STOPPED_EARLY
    assert not train.strip.isHidden()
    assert not train.progress_section.isExpanded()
    sitting.person.wait(lambda: not scrolled.isVisible(), 5)
    says(sitting, "Put right what is wrong in Correct")
    sitting.step(CORRECT)
    says(sitting, "Paint over mistakes")
    sitting.stroke(entry, 1, [(110, 20), (110, 120)], role="segmentation")
    says(sitting, "Press Retrain")
    sitting.person.click(sitting.dock.live.live)
    says(sitting, "Look at other slices")
    retrain = sitting.dock.panels[CORRECT].retrain
    assert "being learned already" in retrain.toolTip()
    sitting.person.wait(lambda: sitting.controller.state is JobState.RUNNING)
    sitting.person.click(sitting.dock.live.freeze)
    says(sitting, "press Freeze again")
    sitting.person.click(sitting.dock.status.cancel)
    sitting.until_finished()
    sitting.person.click(sitting.dock.panels[CORRECT].accept_all)
    says(sitting, "Every slice is completely annotated")
    sitting.step(EXPORT)
    says(sitting, "and the model")
    assert not sitting.sentence, "what was said of another step is not said here"
    sitting.step(DATA)
    says(sitting, "Go on in Correct")


def test_corrections_of_a_model_that_was_opened_can_be_learned_and_objects_reviewed(
    sitting, tmp_path
):
    entry = sitting.take_image()
    facts = {"name": "cells", "recipe": Recipe(), "channels": ("grey",)}
    info = ModelInfo(classes=(LabelClass(name="cell", color="#e69f00"),), **facts)
    (tmp_path / "model.json").write_text(info.model_dump_json(), encoding="utf-8")
    sitting.controller.open_model(tmp_path)
    sitting.step(CORRECT)
    answer = np.ones(entry.shape[1:], np.uint8)
    answer[40:60, 40:60] = answer[80:90, 80:90] = 2
    slots = sitting.context.workspace.prediction_slots()
    sitting.context.workspace.set_prediction(entry.id, 0, slots[answer])
    says(sitting, "Paint over mistakes")
    sitting.stroke(entry, 1, [(110, 20), (110, 120)], role="segmentation")
    says(sitting, "Press Retrain")
    assert sitting.dock.panels[CORRECT].retrain.isEnabled()
    sitting.person.undo()
    says(sitting, "Paint over mistakes")
    ids = np.zeros(entry.shape, np.uint32)
    ids[0, 40:60, 40:60] = 7
    sitting.context.workspace.objects.create(entry.id, ids)
    says(sitting, "1 object to review")


def test_in_baselines_it_names_what_can_be_pressed(sitting):
    entry = sitting.take_image()
    step = sitting.step(BASELINES)
    assert not step.fit.isEnabled()
    says(sitting, "Move the sliders")
    sitting.person.click(step.show_preview)
    says(sitting, "Tick Preview")
    step.draft.choose("watershed")
    says(sitting, "Paint some of each class first")
    step.choice.family.setCurrentText(REFINE)
    says(sitting, "nothing to better yet")
    sitting.step(DATA)
    sitting.stroke(entry, 1, [(40, 40), (40, 90), (60, 90)])
    sitting.stroke(entry, 0, [(90, 20), (90, 140), (20, 140)])
    sitting.step(BASELINES)
    says(sitting, "Add a step first")
    step.draft.choose("otsu")
    says(sitting, "Fit to my annotations")
    step.draft.choose("blob_log")
    assert not step.fit.isEnabled()
    says(sitting, "Tick Preview")
    sitting.person.click(step.show_preview)
    says(sitting, "Move the sliders")
    step.compared_section.expand(animate=False)
    says(sitting, "Press Compare methods")
