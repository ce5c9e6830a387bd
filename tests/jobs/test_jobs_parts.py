"""Parts of the child that need no process."""

import errno

import numpy as np
import pytest

from napari_unetseg.jobs.child.failures import describe_failure
from napari_unetseg.jobs.child.job import Countdown, Job
from napari_unetseg.jobs.commands import BaselineCommand, LookAt
from napari_unetseg.jobs.process import describe_exit


@pytest.mark.parametrize("n_planes", [1, 2, 9])
@pytest.mark.parametrize("in_view", [None, 0, 4, 8, 99])
def test_every_slice_comes_once_and_outward_from_the_one_in_view(n_planes, in_view):
    job = Job(1, BaselineCommand([], "otsu"))
    job.looked_at = None if in_view is None else LookAt("a", in_view)
    planes = list(job.planes_by_interest("a", n_planes))
    assert sorted(planes) == list(range(n_planes))
    distances = np.abs(np.array(planes) - (in_view or 0))
    assert (np.diff(distances) >= 0).all()


def test_looking_elsewhere_changes_what_comes_next():
    job = Job(1, BaselineCommand([], "otsu"), LookAt("a", 0))
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
