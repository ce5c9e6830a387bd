"""What was segmented before the last training, whatever comes between."""

from __future__ import annotations

import numpy as np
import pytest
from desk import Desk

from napari_unetseg.annotations import delete_class
from napari_unetseg.config import default_class
from napari_unetseg.images import Stack
from napari_unetseg.jobs import JobState
from napari_unetseg.project import Session
from napari_unetseg.workspace import LiveSettings, Workspace
from napari_unetseg.workspace.before import BeforeTraining

SHAPE = (3, 8, 10)


class Answers:
    """A workspace of two classes, and answers that are the same all over a slice."""

    def __init__(self, folder) -> None:
        self.workspace = Workspace(Session(folder))
        self.workspace.set_classes([default_class(1), default_class(2)])
        self.entry = self.workspace.add_image(Stack(np.zeros(SHAPE, np.uint8), "ZYX"))
        self.before = BeforeTraining(self.workspace)

    def answer(self, **codes) -> None:
        """Answer slices, named p0, p1, …, as a job does."""
        slots = self.workspace.prediction_slots()
        for name, code in codes.items():
            plane = int(name[1:])
            self.before.keep(self.entry.id, plane)
            answer = np.full(SHAPE[1:], slots[code], np.uint8)
            self.workspace.set_prediction(self.entry.id, plane, answer)

    def train(self, saved=True, **codes) -> None:
        self.before.begin()
        self.answer(**codes)
        self.before.end(saved=saved)

    @property
    def was(self) -> list[int]:
        return [int(self.before.codes(self.entry, p).max()) for p in range(SHAPE[0])]

    @property
    def now(self) -> list[int]:
        return [int(self.entry.segmentation(p).max()) for p in range(SHAPE[0])]


@pytest.fixture
def answers(tmp_path):
    answers = Answers(tmp_path)
    yield answers
    answers.workspace.close()


def test_before_the_first_training_there_is_no_before(answers):
    answers.answer(p0=1)
    answers.before.begin()
    assert not answers.before.exists
    answers.before.end(saved=False)
    assert not answers.before.exists
    answers.train(p0=2)
    assert answers.before.exists


def test_before_is_what_was_there_when_the_last_training_began(answers):
    answers.train(p0=1, p1=1, p2=1)
    answers.train(p0=2, p1=2)
    assert (answers.was, answers.now) == ([1, 1, 1], [2, 2, 1])
    answers.train(p0=3, p2=3)
    assert (answers.was, answers.now) == ([2, 2, 1], [3, 2, 3])


def test_while_training_answers_again_and_again_before_stays(answers):
    answers.train(p0=1)
    answers.before.begin()
    assert answers.was[0] == 0
    answers.answer(p0=2)
    answers.answer(p0=3)
    assert answers.was[0] == 1


def test_a_training_that_is_given_up_leaves_before_and_now_as_they_were(answers):
    answers.train(p0=1, p1=1)
    answers.train(p0=2)
    answers.train(saved=False, p0=3, p1=3)
    assert (answers.was, answers.now) == ([1, 1, 0], [2, 1, 0])


def test_a_model_that_is_applied_later_does_not_move_before(answers):
    answers.train(p0=1, p1=1)
    answers.train(p0=2)
    answers.answer(p0=3, p1=3)
    answers.answer(p1=2)
    assert (answers.was, answers.now) == ([1, 1, 0], [3, 2, 0])


def test_a_training_that_goes_on_has_the_before_of_its_first_half(answers):
    answers.train(p0=1, p1=1)
    answers.train(p0=2)
    answers.before.begin(goes_on=True)
    answers.answer(p0=3, p1=3)
    assert answers.was == [1, 1, 0]
    answers.before.end(saved=True)
    assert (answers.was, answers.now) == ([1, 1, 0], [3, 3, 0])


def test_one_that_goes_on_adds_to_before_what_its_first_half_did_not_answer(answers):
    answers.train(p0=1, p1=1)
    answers.train(p0=2)
    answers.before.begin(goes_on=True)
    answers.answer(p0=3, p1=3, p2=3)
    answers.before.end(saved=True)
    answers.answer(p2=2)
    assert (answers.was, answers.now) == ([1, 1, 0], [3, 3, 2])
    answers.train(p0=1)
    assert answers.was == [3, 3, 2]


def test_giving_it_up_leaves_what_its_first_half_answered(answers):
    answers.train(p0=1, p1=1, p2=1)
    answers.train(p0=2, p1=2)
    answers.before.begin(goes_on=True)
    answers.answer(p1=3, p2=3)
    answers.before.end(saved=False)
    assert (answers.was, answers.now) == ([1, 1, 1], [2, 2, 1])


def test_before_follows_the_classes_and_undo(answers):
    answers.train(p0=2, p1=3)
    answers.train(p0=3, p1=2)
    answers.workspace.change_classes(delete_class, 1, label="deleting")
    assert answers.was == [0, 2, 0]
    answers.workspace.undo()
    assert answers.was == [2, 3, 0]


def test_before_survives_slots_that_are_used_again(answers):
    answers.train(p0=2, p1=3)
    answers.train(p0=3, p1=2)
    slots = answers.entry.slots
    table = slots.shown_as.copy()
    table[table == 0] = 2  # all slots are taken, most of them by what is shown alike
    table[0] = 0
    slots.shown_as = slots.with_classes(table, 3)
    assert (answers.was[:2], answers.now[:2]) == ([2, 3], [3, 2])


def test_before_is_not_shown_outside_the_region(answers):
    answers.train(p0=2)
    answers.train(p0=3)
    entry = answers.entry
    entry.region = answers.workspace.session.array(entry.id, "region", entry.shape)
    entry.region[0, :4] = 2
    answers.workspace.update_region(entry.id)
    before = answers.before.codes(entry, 0)
    assert (before[:4] == 0).all()
    assert (before[4:] == 2).all()


def test_an_image_left_out_meanwhile_gets_nothing_put_back(answers):
    answers.train(p0=1)
    answers.before.begin()
    answers.answer(p0=2)
    answers.workspace.remove_image(answers.entry.id)
    answers.before.end(saved=False)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.controller.close()
    desk.workspace.close()


def all_codes(desk, get):
    return np.stack([get(desk.entry, p) for p in range(desk.entry.shape[0])])


def shown(desk):
    return all_codes(desk, lambda entry, p: entry.shown(p, entry.prediction[p]))


def test_a_child_that_trains_twice_and_lives_leaves_what_was_before(desk):
    desk.paint()
    desk.controller.train(desk.recipe())
    desk.run()
    first = shown(desk)
    assert first.all()
    assert not all_codes(desk, desk.controller.before.codes).any()
    desk.controller.train(desk.recipe(steps=30, seed=3), base=desk.controller.model.path)
    desk.run()
    assert np.array_equal(all_codes(desk, desk.controller.before.codes), first)
    second = shown(desk)
    desk.controller.look_at(desk.entry.id, 1)
    desk.controller.go_live(LiveSettings(desk.recipe()))
    desk.wait(lambda: desk.controller.live.is_resting)
    desk.wait(lambda: not np.array_equal(shown(desk)[1], second[1]))
    assert np.array_equal(all_codes(desk, desk.controller.before.codes), second)
    desk.controller.cancel()
    desk.run()
    assert desk.controller.state is JobState.IDLE
    assert np.array_equal(shown(desk), second)
    assert np.array_equal(all_codes(desk, desk.controller.before.codes), first)


def test_objects_are_out_of_date_unless_the_training_is_given_up(answers):
    sets = answers.workspace.objects
    answers.answer(p0=2)
    objects = sets.create(answers.entry.id, np.zeros(SHAPE, np.uint32))
    answers.before.begin()
    answers.answer(p0=3)
    assert objects.is_outdated
    answers.before.end(saved=False)
    assert not objects.is_outdated
    answers.train(p0=3)
    assert objects.is_outdated
