"""Live training of a workspace, with a real child process."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from desk import Desk

from napari_unetseg.annotations import add_class, delete_class, rename_class
from napari_unetseg.events import FinishReason
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace import LiveSettings
from napari_unetseg.workspace.job_files import box_of_difference


class LiveDesk(Desk):
    """Notes what a training that is live says."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        self.taken: list[int] = []
        self.steps: list = []
        self.controller.live.taken.connect(self.taken.append)
        self.controller.stepped.connect(self.steps.append)

    @property
    def live(self):
        return self.controller.live

    def begin(self) -> None:
        self.paint()
        self.controller.look_at(self.entry.id, 1)
        self.controller.go_live(LiveSettings(self.recipe()))
        self.wait(lambda: self.steps)

    def stroke(self, plane: int, code: int, top: int = 5, left: int = 5) -> None:
        painted = self.entry.codes.copy()
        painted[plane, top : top + 8, left : left + 20] = code
        self.workspace.commit_annotations(self.entry.id, painted, [plane])

    def wait_until_taken(self) -> None:
        """Wait until all that is painted is part of training."""
        self.controller.poll()
        self.wait(lambda: bool(self.taken) and self.taken[-1] == self.live.revision)


@pytest.fixture
def desk(tmp_path):
    desk = LiveDesk(tmp_path)
    yield desk
    desk.controller.close()
    desk.workspace.close()


def test_strokes_erasures_and_undo_reach_the_training_and_the_child_sees_what_is_painted(desk):
    desk.begin()
    desk.stroke(0, 1)
    desk.wait_until_taken()
    desk.stroke(0, 0)
    desk.wait_until_taken()
    assert desk.live.revision == 2
    desk.workspace.undo()
    desk.wait_until_taken()
    assert desk.live.revision == 3
    path = desk.workspace.session.path(desk.entry.id, "annotations-to-train")
    assert np.array_equal(np.load(path, mmap_mode="r"), desk.entry.codes)
    blocks = desk.workspace.session.path(desk.entry.id, "blocks-to-train")
    assert np.array_equal(np.load(blocks, mmap_mode="r"), desk.entry.blocks)


def test_a_stroke_during_preparation_is_not_missed(desk):
    desk.paint()
    desk.controller.go_live(LiveSettings(desk.recipe()))
    desk.stroke(2, 1)
    desk.wait(lambda: desk.steps)
    path = desk.workspace.session.path(desk.entry.id, "annotations-to-train")
    assert np.array_equal(np.load(path, mmap_mode="r"), desk.entry.codes)


def test_what_is_outside_the_region_does_not_train(desk):
    desk.begin()
    entry = desk.entry
    entry.region = desk.workspace.session.array(entry.id, "region", entry.shape)
    entry.region[1, :50] = 2
    desk.workspace.update_region(entry.id)
    desk.wait_until_taken()
    path = desk.workspace.session.path(entry.id, "annotations-to-train")
    trained = np.load(path, mmap_mode="r")
    assert not trained[1, :50].any()
    assert trained[1, 50:].any()


def test_stopping_keeps_a_model_and_segments_every_slice(desk):
    desk.begin()
    desk.wait(lambda: desk.live.is_resting)
    desk.controller.stop()
    desk.run()
    assert desk.finished[-1].reason is FinishReason.STOPPED_EARLY, desk.finished
    assert desk.controller.model is not None
    assert all(plane.any() for plane in desk.entry.prediction)
    assert not desk.live.is_on
    desk.stroke(0, 1)  # is nobody's business any more
    desk.controller.poll()
    assert desk.live.revision == 0


def test_while_it_rests_every_slice_is_segmented_and_a_checkpoint_is_there(desk):
    desk.begin()
    desk.wait(lambda: all(plane.any() for plane in desk.entry.prediction))
    desk.wait(lambda: desk.live.checkpoints)
    assert (desk.live.checkpoints[0].path / "preview.png").is_file()
    assert desk.controller.state is JobState.RUNNING


def test_frozen_it_learns_nothing_and_takes_strokes_up_afterwards(desk):
    desk.begin()
    desk.live.freeze(True)
    polls = iter(range(200))
    desk.wait(lambda: next(polls) == 40)
    desk.stroke(0, 1)
    taken, n_steps = list(desk.taken), len(desk.steps)
    desk.wait(lambda: next(polls) == 120)
    assert len(desk.steps) == n_steps
    assert desk.taken == taken
    desk.live.freeze(False)
    desk.wait_until_taken()


def test_a_checkpoint_is_returned_to_and_shown(desk):
    desk.begin()
    desk.wait(lambda: desk.live.checkpoints)
    first = desk.live.checkpoints[0]
    desk.wait(lambda: all(plane.any() for plane in desk.entry.prediction))
    before = desk.entry.prediction.copy()
    # What it is taught now is the contrary.
    painted = desk.entry.codes.copy()
    painted[1][desk.truth[1]] = 1
    painted[1][~desk.truth[1]] = 2
    desk.workspace.commit_annotations(desk.entry.id, painted, [1])
    desk.wait_until_taken()
    desk.wait(lambda: desk.live.is_resting)
    desk.wait(lambda: (desk.entry.prediction[2] != before[2]).mean() > 0.05)
    desk.live.return_to(first)
    assert desk.live.is_frozen
    desk.wait(lambda: (desk.entry.prediction[2] != before[2]).mean() < 0.01)


def test_a_class_that_is_added_and_painted_begins_training_anew(desk):
    desk.begin()
    begun = []
    desk.controller.started.connect(begun.append)
    desk.workspace.change_classes(add_class, "vesicle", label="adding a class")
    for _ in range(20):
        desk.controller.poll()
    assert not desk.live.is_outdated, "one that nobody has painted with changes nothing"
    desk.stroke(1, 3, top=3, left=70)
    desk.wait(lambda: begun)
    desk.wait(lambda: desk.live.is_resting)
    desk.controller.stop()
    desk.run()
    assert [c.name for c in desk.controller.model.info.classes] == ["class 1", "vesicle"]


def test_a_class_that_is_deleted_begins_training_anew(desk):
    desk.workspace.change_classes(add_class, "vesicle", label="adding a class")
    desk.stroke(1, 3, top=3, left=70)
    desk.begin()
    begun = []
    desk.controller.started.connect(begun.append)
    desk.workspace.change_classes(delete_class, 2, label="deleting a class")
    desk.wait(lambda: begun)
    desk.controller.stop()
    desk.run()
    assert [c.name for c in desk.controller.model.info.classes] == ["class 1"]


def test_while_it_is_frozen_classes_that_change_wait(desk):
    desk.begin()
    begun = []
    desk.controller.started.connect(begun.append)
    desk.live.freeze(True)
    desk.workspace.change_classes(rename_class, 1, "vesicle", label="renaming a class")
    desk.stroke(0, 2)
    for _ in range(20):
        desk.controller.poll()
    assert desk.live.is_frozen
    assert not any("begins again" in said for said in desk.said)
    desk.live.freeze(False)
    desk.wait(lambda: begun)
    desk.controller.stop()
    desk.run()
    assert [c.name for c in desk.controller.model.info.classes] == ["vesicle"]


def test_suggestions_come_while_it_learns_and_without_it(desk):
    desk.paint()
    suggestions = desk.controller.suggestions
    desk.controller.suggest()
    desk.run()
    assert suggestions.regions, desk.finished
    first = suggestions.go(1)
    assert first.image == desk.entry.id
    assert first.reason
    suggestions.take([])
    desk.begin()
    desk.controller.suggest()
    assert suggestions.is_asked
    desk.wait(lambda: suggestions.regions)
    assert not suggestions.is_asked
    desk.wait(lambda: desk.live.is_complete)
    desk.controller.suggest()
    desk.wait(lambda: not suggestions.is_asked)


def test_cancelling_ends_it_and_the_strokes_stay(desk):
    desk.begin()
    desk.stroke(0, 1)
    codes = desk.entry.codes.copy()
    desk.controller.cancel()
    desk.run()
    assert desk.finished[-1].reason is FinishReason.CANCELLED
    assert not desk.live.is_on
    assert np.array_equal(desk.entry.codes, codes)
    assert not desk.entry.prediction.any()


def test_a_child_that_dies_costs_no_stroke_and_live_can_be_switched_on_again(desk):
    desk.begin()
    desk.stroke(0, 1)
    codes = desk.entry.codes.copy()
    os.kill(desk.controller.child_pid, signal.SIGKILL)
    desk.run()
    assert "switch Live on again" in desk.finished[-1].sentence
    assert np.array_equal(desk.entry.codes, codes)
    desk.steps.clear()
    desk.controller.go_live(LiveSettings(desk.recipe()))
    desk.wait(lambda: desk.steps)


def test_the_box_of_a_difference_is_as_small_as_can_be():
    before = np.zeros((9, 12), np.uint8)
    assert box_of_difference(before, before.copy()) is None
    rng = np.random.default_rng(0)
    for _ in range(50):
        after = before.copy()
        ys, xs = rng.integers(0, 9, 3), rng.integers(0, 12, 3)
        after[ys, xs] = 1
        assert box_of_difference(before, after) == [
            ys.min(),
            xs.min(),
            ys.max() + 1,
            xs.max() + 1,
        ]
