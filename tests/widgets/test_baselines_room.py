"""The Baselines step in the dock of a small window: what matters is in view without scrolling."""

from __future__ import annotations

from dataclasses import replace

import pytest
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QScrollArea
from stage import Stage, cells
from test_compared_table import OTSU

from napari_unetseg.classical import METHODS, REFINEMENTS, Chain
from napari_unetseg.events import ComparisonStarted, MethodNotRun, Recommended
from napari_unetseg.widgets import dock

pytestmark = [pytest.mark.window, pytest.mark.timeout(300)]

SENTENCE = (
    "U-Net trained here is best, with a mean IoU of 0.92, 0.10 more than the pixel classifier, "
    "which is the best that trains no network and has not to be trained for a minute: use it."
)


@pytest.fixture
def stage(make_napari_viewer, tmp_path, monkeypatch):
    viewer = make_napari_viewer(show=True)
    stage = Stage(viewer, tmp_path, cells())
    monkeypatch.setitem(dock._CONTEXTS, viewer, stage.context)
    stage.dock = dock.SegmentationDock(viewer)
    viewer.window.add_dock_widget(stage.dock, name="U-Net segmentation")
    viewer.window._qt_viewer.window().resize(1280, 800)
    stage.annotate(everything=True)
    stage.person.wait(stage.dock.isVisible)
    stage.person.click(stage.dock.step_button(1))
    stage.step = stage.dock.panels[1]
    yield stage
    dock._CONTEXTS.pop(viewer, None)
    stage.close()


def below(widget):
    """Return by how much the end of a widget is out of sight, in px of the screen."""
    around = widget.parentWidget()
    while not isinstance(around, QScrollArea):
        around = around.parentWidget()
    end = widget.mapTo(around.viewport(), QPoint(0, widget.height())).y()
    return end - around.viewport().height()


def settle(stage):
    stage.person.wait(lambda: not stage.step.preview._worker.busy, 20)
    QTest.qWait(250)  # what is laid out anew is laid out level by level


def test_apply_is_in_view_for_every_method(stage):
    step = stage.step
    for method in (*METHODS, None):
        step.draft.choose(method)
        settle(stage)
        assert step.apply.isVisible()
        assert below(step.apply) <= 0, (method, below(step.apply))
        for box in (step.choice.family, step.choice.method):
            text_px = box.fontMetrics().horizontalAdvance(box.currentText())
            assert text_px <= box.width() - 40, f"{box.currentText()} is cut"


def test_apply_is_in_view_for_every_refinement_in_a_chain_of_four(stage):
    step = stage.step
    for name in REFINEMENTS:
        step.draft.set_steps(Chain.of("otsu").steps)
        for added in ("gaussian", "fill_holes", name):
            step.draft.add(added)
        settle(stage)
        assert below(step.apply) <= 0, (name, below(step.apply))


def compare(stage, n_rows):
    step = stage.step
    stage.person.click(step.compared_section.toggleButton())
    stage.person.click(step.compared.compare)
    stage.submitted()
    rows = [replace(OTSU, name=f"m{i}", title=f"Method {i}") for i in range(n_rows - 1)]
    best = replace(OTSU, name="best", title="Best", mean_iou=0.92, note="It was lucky.")
    missed = [MethodNotRun(f"n{i}", f"Slow {i}", "no time was left") for i in range(9)]
    stage.say(ComparisonStarted(40, "Scored on 500 px."), *rows, best, *missed)
    stage.say(Recommended("best", SENTENCE))
    stage.finish(SENTENCE)
    settle(stage)


@pytest.mark.parametrize("n_rows", [3, 30])
def test_the_recommendation_comes_first_and_in_full(stage, n_rows):
    compare(stage, n_rows)
    step, compared = stage.step, stage.step.compared
    assert not step.apply.isVisible(), "the table has the step for itself"
    assert compared.sentence.text() == SENTENCE
    for label in (compared.sentence, stage.dock.status.sentence, compared.note):
        assert label.isVisible()
        assert label.height() >= label.heightForWidth(label.width())
    assert compared.sentence.mapTo(compared, QPoint(0, 0)).y() < compared.table.y()
    assert compared.note.text() == "It was lucky."
    assert below(compared.how_fold) <= 0
    n_seen = compared.table.viewport().height() // compared.table.rowHeight(0)
    assert n_seen == 3 if n_rows == 3 else n_seen >= 8


def test_the_form_is_there_again_when_the_section_is_folded(stage):
    compare(stage, 3)
    step = stage.step
    stage.person.wait(lambda: step.preview.layer is None)
    stage.person.click(step.compared_section.toggleButton())
    settle(stage)
    assert step.apply.isVisible()
    assert not step.compared.isVisible() or step.compared.height() == 0
    stage.person.wait(lambda: step.preview.layer is not None, 10)


def test_seldom_used_settings_are_folded_unless_they_are_unusual(stage):
    step = stage.step
    step.draft.choose("kmeans")
    settle(stage)
    form = step.editor.form
    assert form.control("n_clusters").native.isVisible()
    assert not form.control("local_px").native.isVisible()
    stage.person.click(form.more)
    assert form.control("local_px").native.isVisible()
    stage.person.click(form.more)
    assert not form.control("local_px").native.isVisible()
    step.draft.set_params(form.value().replace(seed=7))
    settle(stage)
    assert form.control("seed").native.isVisible()
