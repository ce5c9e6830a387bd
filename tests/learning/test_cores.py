from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg.learning import Predictor, Trainer, TrainingImage, cores
from napari_unetseg.learning.cores import (
    FREE_CORES,
    FreeCores,
    Usage,
    cores_left_to,
    threads_for,
    usage,
)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("busy", "own", "n_cores", "expected"),
    [
        (2.0, 2.0, 2, 2),  # alone
        (2.0, 1.9, 2, 2),  # others use a tenth of a core
        (2.0, 1.5, 2, 1),
        (2.0, 0.2, 2, 1),  # never none
        (4.0, 1.0, 8, 5),
        (0.5, 0.6, 8, 8),  # the clocks of both differ a little
    ],
)
def test_threads_have_a_core_of_their_own(busy, own, n_cores, expected) -> None:
    assert threads_for(Usage(10, 5, 3), Usage(11, 5 + busy, 3 + own), n_cores) == expected


def test_what_this_process_and_another_one_use_is_told_apart() -> None:
    spin = "import time\nwhile True: time.monotonic()"
    with subprocess.Popen([sys.executable, "-c", spin]) as other:
        try:
            before, end = usage(), time.monotonic() + 1
            while time.monotonic() < end:
                pass
            after = usage()
        finally:
            other.kill()
    seconds = after.at - before.at
    assert 0 < after.own - before.own < 1.2 * seconds
    assert after.busy - before.busy > after.own - before.own


def test_threads_follow_what_others_use_and_come_back(monkeypatch, two_threads) -> None:
    seen = [Usage(0, 0, 0), Usage(1, 2, 1), Usage(2, 3, 2)]
    monkeypatch.setattr(cores, "usage", lambda: seen.pop(0))
    monkeypatch.setattr(cores, "EVERY_S", -1e9)
    monkeypatch.setattr(cores, "_cores", lambda: [0, 1])
    free = FreeCores()
    free.follow()
    assert torch.get_num_threads() == 1
    free.follow()
    assert torch.get_num_threads() == 2


def test_what_others_did_while_nothing_was_computed_here_does_not_count(
    monkeypatch, two_threads
) -> None:
    seen = [Usage(0, 0, 0), Usage(1, 2, 1), Usage(11, 22, 4), Usage(12, 24, 5)]
    monkeypatch.setattr(cores, "usage", lambda: seen.pop(0))
    monkeypatch.setattr(cores, "EVERY_S", -1e9)
    monkeypatch.setattr(cores, "_cores", lambda: [0, 1])
    free = FreeCores()
    for expected in (1, 2, 1):
        free.follow()
        assert torch.get_num_threads() == expected


def test_all_threads_are_used_again_until_the_next_look(monkeypatch, two_threads) -> None:
    seen = [Usage(0, 0, 0), Usage(1, 2, 1)]
    monkeypatch.setattr(cores, "usage", lambda: seen.pop(0))
    monkeypatch.setattr(cores, "EVERY_S", -1e9)
    monkeypatch.setattr(cores, "_cores", lambda: [0, 1])
    free = FreeCores()
    free.follow()
    free.use_all()
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(cores, "EVERY_S", 1e9)
    free.follow()
    assert torch.get_num_threads() == 1


def test_each_thread_that_computes_follows_for_itself(monkeypatch, two_threads) -> None:
    monkeypatch.setattr(cores, "EVERY_S", 1e9)
    free = FreeCores()
    free._free = 1
    free.follow()
    other: list[int] = []

    def compute() -> None:
        torch.set_num_threads(2)
        free.follow()
        other.append(torch.get_num_threads())

    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()
    assert other == [2]
    free.follow()
    assert torch.get_num_threads() == 1
    free.use_all()
    assert torch.get_num_threads() == 2


def test_a_number_of_threads_that_somebody_sets_is_the_most(monkeypatch, two_threads) -> None:
    free = FreeCores()
    torch.set_num_threads(1)
    monkeypatch.setattr(cores, "usage", lambda: pytest.fail("there is nothing to choose"))
    free.follow()
    assert torch.get_num_threads() == 1


def test_training_by_time_and_prediction_follow_and_training_by_steps_does_not(monkeypatch) -> None:
    followed = []
    monkeypatch.setattr(FREE_CORES, "follow", lambda: followed.append(1))
    stack, codes = discs(1, (96, 96))
    by_steps = Trainer([TrainingImage(stack, codes)], tiny_recipe(2), (CELL,), device=FLOAT32)
    list(by_steps.run())
    assert not followed
    recipe = tiny_recipe(None, max_time_s=2.0)
    by_time = Trainer([TrainingImage(stack, codes)], recipe, (CELL,), device=FLOAT32)
    list(by_time.run())
    n_steps = by_time.current_model().info.history["steps"]
    assert len(followed) == n_steps
    Predictor(by_time.current_model(), stack, device=FLOAT32).codes(0)
    assert len(followed) > n_steps


def test_processes_of_ones_own_get_cores_and_all_are_given_back() -> None:
    before = torch.get_num_threads()
    with cores_left_to(before + 3):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
