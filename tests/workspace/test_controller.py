from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from desk import SHAPE, Desk

from napari_unetseg.annotations import add_class, rename_class
from napari_unetseg.classical import Chain
from napari_unetseg.config import ModelInfo, Recipe
from napari_unetseg.events import FinishReason
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace import LiveSettings, name_model
from napari_unetseg.workspace.export import copy_model


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.controller.close()
    desk.workspace.close()


def test_training_ends_with_a_model_a_round_and_a_segmentation_of_every_slice(desk):
    desk.paint()
    desk.controller.train(desk.recipe(steps=100))
    desk.run()
    assert desk.finished[-1].reason is FinishReason.COMPLETED, desk.finished
    assert desk.controller.model is not None
    assert (desk.controller.model.path / "weights.safetensors").is_file()
    assert desk.controller.rounds[0].steps > 0
    for plane in range(SHAPE[0]):
        found = desk.entry.segmentation(plane) == 2
        overlap = (found & desk.truth[plane]).sum() / (found | desk.truth[plane]).sum()
        assert overlap > 0.7
    desk.controller.train(desk.recipe(), base=desk.controller.model.path)
    desk.run()
    assert desk.finished[-1].reason is FinishReason.COMPLETED, desk.finished
    assert len(desk.controller.rounds) == 2


def test_a_name_that_a_person_gave_to_a_model_is_taken_by_no_other(desk):
    desk.paint()
    desk.controller.train(desk.recipe())
    desk.run()
    models = desk.controller.model.path.parent
    mine = name_model(desk.controller.model.path, "cells-2", models)
    weights = (mine / "weights.safetensors").read_bytes()
    desk.controller.train(desk.recipe(seed=5))
    desk.run()
    assert desk.controller.model.path == models / "cells-3.unet"
    assert (mine / "weights.safetensors").read_bytes() == weights


def test_what_keeps_training_from_starting_is_said(desk):
    assert "strokes" in desk.controller.why_not_train()
    painted = desk.entry.codes.copy()
    painted[0, :9] = 2
    desk.workspace.commit_annotations(desk.entry.id, painted, [0])
    assert "Only class 1 is painted" in desk.controller.why_not_train()
    desk.paint()
    assert desk.controller.why_not_train() is None
    assert desk.controller.why_not_predict() is not None
    desk.workspace.change_classes(add_class, "vesicle", label="adding a class")
    assert "Nothing of vesicle is painted" in desk.controller.why_not_train()
    desk.controller.go_live(LiveSettings(desk.recipe()))
    assert desk.controller.state is JobState.IDLE
    assert "Nothing of vesicle is painted" in desk.said[-1]
    base = ModelInfo(
        name="base", recipe=Recipe(), classes=desk.workspace.classes, channels=("grey",)
    )
    assert desk.controller.why_not_train(base) is None
    painted = desk.entry.codes.copy()
    painted[2, :9] = 3
    desk.workspace.commit_annotations(desk.entry.id, painted, [2])
    assert desk.controller.why_not_train() is None


def test_cancelling_keeps_the_strokes_and_makes_no_model(desk):
    desk.paint()
    steps: list = []
    desk.controller.stepped.connect(steps.append)
    desk.controller.train(desk.recipe(steps=100_000))
    desk.wait(lambda: steps)
    desk.controller.cancel()
    desk.run()
    assert desk.finished[-1].reason is FinishReason.CANCELLED
    assert desk.controller.model is None
    assert desk.entry.codes.any()
    assert desk.controller.state is JobState.IDLE


def test_cancelling_shows_again_what_was_segmented_before(desk):
    desk.paint()
    before = np.full(desk.entry.shape[1:], desk.workspace.prediction_slots()[2])
    desk.workspace.set_prediction(desk.entry.id, 0, before)
    desk.controller.look_at(desk.entry.id, 0)
    desk.controller.train(desk.recipe(steps=100_000))
    desk.wait(lambda: (desk.entry.prediction[0] != before).any())
    desk.controller.cancel()
    desk.run()
    assert (desk.entry.prediction[0] == before).all()


def test_stopping_keeps_what_was_learned(desk):
    desk.paint()
    steps: list = []
    desk.controller.stepped.connect(steps.append)
    desk.controller.train(desk.recipe(steps=100_000))
    desk.wait(lambda: steps)
    desk.controller.stop()
    desk.run()
    assert desk.finished[-1].reason is FinishReason.STOPPED_EARLY
    assert desk.controller.model is not None


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is of POSIX")
def test_a_killed_child_costs_no_stroke_is_told_and_training_starts_again(desk):
    desk.paint()
    before = desk.entry.codes.copy()
    steps: list = []
    desk.controller.stepped.connect(steps.append)
    desk.controller.train(desk.recipe(steps=100_000))
    desk.wait(lambda: steps)
    os.kill(desk.controller.child_pid, signal.SIGKILL)
    desk.run()
    assert desk.finished[-1].reason is FinishReason.FAILED
    assert "unexpectedly" in desk.said[-1]
    assert "annotations" in desk.said[-1]
    assert (desk.entry.codes == before).all()
    desk.controller.train(desk.recipe())
    desk.run()
    assert desk.finished[-1].reason is FinishReason.COMPLETED


def test_a_baseline_runs_over_the_stack_and_can_become_annotations(desk):
    ready: list = []
    desk.controller.baseline_ready.connect(lambda *result: ready.append(result))
    desk.controller.baseline(Chain.of("otsu"))
    desk.run()
    image_id, recipe, codes = ready[0]
    assert (image_id, recipe.chain) == (desk.entry.id, Chain.of("otsu"))
    assert ((codes == 2) == desk.truth).mean() > 0.95
    n_filled = desk.workspace.use_as_annotations(image_id, codes, [0, 1])
    assert n_filled == 2 * 96 * 96
    assert not desk.entry.codes[2].any()


def test_a_baseline_says_what_it_learned_and_is_applied_with_that_again(desk):
    ready: list = []
    desk.controller.baseline_ready.connect(lambda *result: ready.append(result))
    desk.paint()
    desk.controller.baseline(Chain.of("forest"))
    desk.run()
    _, recipe, codes = ready.pop()
    first = np.array(codes)
    assert recipe.learned
    assert recipe.n_painted == {1: 30 * 85, 2: 20 * 40}
    desk.workspace.undo()
    assert not desk.entry.codes.any()
    desk.controller.baseline(Chain.of("forest"), learned=recipe.learned)
    desk.run()
    _, again, codes = ready.pop()
    np.testing.assert_array_equal(codes, first)
    assert again.learned == recipe.learned


def test_a_baseline_says_what_it_grew_from(desk):
    ready: list = []
    desk.controller.baseline_ready.connect(lambda *result: ready.append(result))
    desk.paint()
    desk.controller.baseline(Chain.of("grow"))
    desk.run()
    _, recipe, _ = ready.pop()
    np.testing.assert_array_equal(recipe.strokes_on(desk.entry.stack), desk.entry.codes)


def test_a_model_with_other_classes_adds_them_and_keeps_what_was_painted(desk, tmp_path):
    desk.paint()
    desk.controller.train(desk.recipe(steps=30))
    desk.run()
    copy_model(desk.controller.model.path, tmp_path / "cells.unet")
    other = Desk(tmp_path / "other")
    try:
        other.workspace.change_classes(rename_class, 1, "nerve", label="renaming")
        other.paint()
        before = other.entry.codes.copy()
        other.controller.open_model(tmp_path / "cells.unet")
        other.controller.predict()
        other.run()
        assert [c.name for c in other.workspace.classes] == ["nerve", "class 1"]
        assert (other.entry.codes == before).all()
        assert set(np.unique(other.entry.segmentation(0))) <= {1, 3}
    finally:
        other.controller.close()
        other.workspace.close()


def test_what_is_stopped_before_it_began_does_not_begin(desk):
    desk.paint()
    desk.controller.compare([], 60.0)
    desk.controller.stop()
    desk.wait(lambda: desk.finished)
    assert desk.finished[-1].reason is FinishReason.CANCELLED
    assert desk.controller.state is JobState.IDLE
    desk.controller.baseline(Chain.of("otsu"))
    desk.run()
    assert desk.finished[-1].reason is FinishReason.COMPLETED
    assert len(desk.finished) == 2
