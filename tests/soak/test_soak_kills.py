"""Processes killed at random moments: nothing painted is lost, and work goes on."""

import getpass
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from painter import SHAPE, image

from napari_unetseg.annotations import ALL_HELD_OUT, new_blocks
from napari_unetseg.events import FinishReason
from napari_unetseg.images import Stack, fingerprint
from napari_unetseg.jobs import JobState
from napari_unetseg.project import Session
from napari_unetseg.workspace import Workspace

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(os.name != "posix", reason="sends signals"),
    pytest.mark.timeout(3000),
]

STEPS = 40
USER = getpass.getuser()
WAYS = ["SIGKILL"] * 20 + ["SIGSEGV"] * 4 + ["SIGSTOP"] * 4
N_PAINTERS = 20
PAINTER = Path(__file__).with_name("painter.py")


def is_gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def what_is_in_the_way(desk):
    """Return files that a dead process may have left and nobody needs."""
    found = [p for p in desk.folder.rglob("*") if "partial" in p.name or p.suffix == ".old"]
    # Of torch's own folder for what it compiles there is one, for ever.
    return found + [p for p in desk.temporary.rglob("*") if p.name != "torchinductor_" + USER]


def hurt(desk, way):
    """Kill the child, or freeze it and cancel; return how the job may then have ended."""
    os.kill(desk.controller.child_pid, getattr(signal, way))
    if way == "SIGSTOP":
        desk.controller.cancel()
        return FinishReason.CANCELLED
    return FinishReason.FAILED


def test_a_child_killed_at_any_moment_costs_nothing_and_the_next_training_completes(desk, figures):
    rng = np.random.default_rng(0)
    desk.paint(1)
    desk.controller.train(desk.recipe(STEPS))
    assert desk.run().reason is FinishReason.COMPLETED
    began = time.monotonic()
    desk.controller.train(desk.recipe(STEPS))
    assert desk.run().reason is FinishReason.COMPLETED
    takes_s = time.monotonic() - began
    n_in_job, until_idle_s, until_model_s = 0, [], []
    phases = dict.fromkeys(JobState, 0)
    for way in rng.permutation(WAYS):
        desk.paint(int(rng.integers(12)))
        before, model = desk.entry.codes.copy(), desk.controller.model
        n_finished, pid = len(desk.finished), desk.controller.child_pid
        desk.controller.train(desk.recipe(STEPS))
        desk.poll_for(rng.uniform(0, 1.1 * takes_s), lambda n=n_finished: len(desk.finished) > n)
        phases[desk.controller.state] += 1
        was_running = len(desk.finished) == n_finished
        began = time.monotonic()
        may_end = hurt(desk, way)
        if was_running:
            n_in_job += 1
            # What was on its way when the child died still counts.
            assert desk.run(10).reason in (may_end, FinishReason.COMPLETED)
            until_idle_s.append(time.monotonic() - began)
        assert desk.controller.state is JobState.IDLE
        assert desk.poll_for(0.3) is False
        assert len(desk.finished) == n_finished + 1
        assert (desk.entry.codes == before).all()
        if way == "SIGSTOP" and not was_running:
            os.kill(pid, signal.SIGKILL)
        assert desk.poll_for(5, lambda pid=pid: is_gone(pid)), f"{pid} is still there"
        if desk.finished[-1].reason is not FinishReason.COMPLETED and model is not None:
            assert desk.controller.model.path.is_dir()
        began = time.monotonic()
        desk.controller.train(desk.recipe(8))
        assert desk.run().reason is FinishReason.COMPLETED, desk.finished[-1]
        until_model_s.append(time.monotonic() - began)
        assert (desk.entry.codes == before).all()
        assert all(desk.entry.prediction[p].any() for p in range(12))
    ended = {state.value: n for state, n in phases.items() if n}
    desk.close()
    assert not what_is_in_the_way(desk)
    assert not psutil.Process().children(recursive=True)
    figures(
        f"{len(WAYS)} children hurt ({n_in_job} during a job of {takes_s:.1f} s; state then: "
        f"{ended}); idle again after {np.median(until_idle_s):.2f} s (at most "
        f"{max(until_idle_s):.2f}); a new child, training and segmentation "
        f"{np.median(until_model_s):.1f} s"
    )


def replay(lines, shape):
    """Return the annotations after each line of a painter's log, by a history of whole copies."""
    history, at = [np.zeros(shape, np.uint8)], 0
    yield history[at]
    for kind, plane, y, x, height, width, code in lines:
        if kind == "undo":
            at = max(0, at - 1)
        elif kind == "redo":
            at = min(len(history) - 1, at + 1)
        else:
            after = history[at].copy()
            after[plane, y : y + height, x : x + width] = code
            if (after != history[at]).any():
                del history[at + 1 :]
                history.append(after)
                at += 1
        yield history[at]


def paint_until_killed(root, log, seed, seconds):
    """Let a process paint for a while, and kill it in the middle."""
    painter = subprocess.Popen([sys.executable, PAINTER, root, log, str(seed)])
    try:
        deadline = time.monotonic() + 60
        while not log.exists():
            assert time.monotonic() < deadline
            assert painter.poll() is None
            time.sleep(0.01)
        time.sleep(seconds)
    finally:
        painter.kill()
    assert painter.wait() == -signal.SIGKILL
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_strokes_of_a_killed_window_are_found_up_to_at_most_the_last_one(tmp_path, figures):
    rng = np.random.default_rng(1)
    n_strokes, n_whole = [], 0
    for seed in range(N_PAINTERS):
        root = tmp_path / f"sessions-{seed}"
        lines = paint_until_killed(root, tmp_path / f"log-{seed}", seed, rng.uniform(0, 0.6))
        n_strokes.append(len(lines))
        *_, before, after = replay(lines, SHAPE)
        workspace = Workspace(Session(root))
        entry = workspace.add_image(image())
        works = workspace.earlier_work(entry.id)
        if not works:
            assert not (before.any() and after.any())
            workspace.close()
            continue
        [work] = works
        found = np.load(work.annotations, allow_pickle=False)
        assert ((found == before) | (found == after)).all()
        n_whole += bool((found == after).all())
        assert work.n_labelled_px == np.count_nonzero(found)
        workspace.restore(entry.id, work)
        assert (entry.codes == found).all()
        assert entry.blocks.shape == new_blocks(SHAPE).shape
        assert entry.blocks.max() <= ALL_HELD_OUT
        workspace.close()
        left = [p for p in root.rglob("*") if p.is_file()]
        names = {"annotations.npy", "blocks.npy", "session.json"}
        assert {p.name for p in left} <= names, left
    assert max(n_strokes) > 5
    figures(
        f"{N_PAINTERS} windows killed after {min(n_strokes)} to {max(n_strokes)} strokes and "
        f"undos ({sum(n_strokes)} in all): all found; in {n_whole} of them even the last one whole"
    )


def test_an_unknown_image_finds_no_earlier_work(tmp_path):
    session = Session(tmp_path)
    other = Stack(np.ones((2, 8, 8), np.uint8), "ZYX", name="other")
    assert not session.earlier_work(fingerprint(other))
    session.close()
