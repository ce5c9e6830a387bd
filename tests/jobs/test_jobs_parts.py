"""Parts of the child that need no process."""

import errno
from types import SimpleNamespace

import numpy as np
import pytest

from napari_unetseg.images import Stack
from napari_unetseg.jobs.child import view as view_module
from napari_unetseg.jobs.child.failures import describe_failure
from napari_unetseg.jobs.child.job import Countdown, Job
from napari_unetseg.jobs.child.prediction import ImageInView
from napari_unetseg.jobs.commands import BaselineCommand, LookAt
from napari_unetseg.jobs.process import describe_exit


@pytest.mark.parametrize("n_planes", [1, 2, 9])
@pytest.mark.parametrize("in_view", [None, 0, 4, 8, 99])
def test_every_slice_comes_once_and_outward_from_the_one_in_view(n_planes, in_view):
    job = Job(1, BaselineCommand([], {}))
    job.looked_at = None if in_view is None else LookAt("a", in_view)
    planes = list(job.planes_by_interest("a", n_planes))
    assert sorted(planes) == list(range(n_planes))
    distances = np.abs(np.array(planes) - (in_view or 0))
    assert (np.diff(distances) >= 0).all()


def test_looking_elsewhere_changes_what_comes_next():
    job = Job(1, BaselineCommand([], {}), LookAt("a", 0))
    planes = job.planes_by_interest("a", 10)
    assert [next(planes), next(planes)] == [0, 1]
    job.looked_at = LookAt("a", 8)
    assert [next(planes), next(planes)] == [8, 7]
    job.looked_at = LookAt("another image", 8)
    assert next(planes) == 2


def test_the_time_left_shrinks_to_nothing():
    events = []
    countdown = Countdown(events.append, "Segmenting", 4)
    for _ in range(4):
        countdown.advance()
    assert [(event.done, event.total) for event in events] == [(i, 4) for i in range(5)]
    assert events[0].seconds_left is None
    assert events[-1].seconds_left == 0


def test_a_full_disk_is_told_as_such():
    finished = describe_failure(OSError(errno.ENOSPC, "No space left on device", "x.npy"))
    assert "disk is full" in finished.sentence


def test_signals_are_told_by_what_they_mostly_mean():
    assert "out of memory" in describe_exit(-9)
    assert "disk" in describe_exit(-7)
    assert describe_exit(2) == "exit code 2"


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.mark.parametrize("took_s", [0.05, 0.3, 2.0])
@pytest.mark.parametrize("scrolling", [False, True])
def test_showing_the_slice_in_view_takes_a_bounded_share_of_the_time(
    monkeypatch, took_s, scrolling
):
    clock = Clock()

    class Predictor:
        def __init__(self, *_, normalisation=None, **__):
            self.normalisation = normalisation

        def codes(self, _):
            clock.now += took_s
            return np.array([[2]], np.uint8)

    monkeypatch.setattr(view_module, "time", clock)
    monkeypatch.setattr(view_module, "Predictor", Predictor)
    monkeypatch.setattr(view_module, "fit_normalisation", lambda *_: None)
    stack, codes, events = Stack(np.zeros((9, 1, 1)), "ZYX"), np.zeros((9, 1, 1), np.uint8), []
    recipe = SimpleNamespace(normalisation=None)
    model = SimpleNamespace(info=SimpleNamespace(recipe=recipe))
    view = view_module.View(lambda: model, [ImageInView("a", stack, codes)], None, events.append)
    began = clock.now
    for step in range(1000):
        clock.now += 0.1
        view.follow(LookAt("a", step % 9 if scrolling else 3), step)
    share = len(events) * took_s / (clock.now - began)
    assert share <= view_module.LOOK_SHARE + 0.01
    assert len(events) >= 10
    assert (codes[[event.plane for event in events]] == 2).all()
    if not scrolling:
        shown = [event.step for event in events]
        assert min(np.diff(shown)) * 0.1 >= view_module.LOOK_EVERY_S - took_s - 0.1
