"""Rounds and strokes without end: memory, disk and the window's patience stay as they were."""

import gc
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from person import Person
from qtpy.QtCore import QTimer

from napari_unetseg.config import Recipe
from napari_unetseg.events import FinishReason
from napari_unetseg.jobs import JobState

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]

N_ROUNDS = 15
N_STROKES = 300
MB = 2**20


def resident_mb(pid):
    return psutil.Process(pid).memory_info().rss / MB


def on_disk_mb(folder):
    """Return what the files of a folder take, models aside: one is kept for each round."""
    files = (p for p in folder.rglob("*") if p.is_file() and "models" not in p.parts)
    return sum(p.stat().st_blocks * 512 for p in files) / MB


def test_memory_and_disk_stay_as_they_are_over_many_rounds(desk, figures):
    desk.paint(1)
    parent, child, disk, models = [], [], [], []
    for number in range(N_ROUNDS):
        desk.paint(number % 12)
        base = desk.controller.model.path if number % 2 else None
        desk.controller.train(desk.recipe(30), base=base)
        assert desk.run().reason is FinishReason.COMPLETED, desk.finished[-1]
        desk.controller.predict()
        assert desk.run().reason is FinishReason.COMPLETED, desk.finished[-1]
        gc.collect()
        parent.append(resident_mb(psutil.Process().pid))
        child.append(resident_mb(desk.controller.child_pid))
        folder = desk.workspace.session.folder
        disk.append(on_disk_mb(folder))
        models.append(sum(1 for _ in (folder / "models").iterdir()))
    figures(
        f"{N_ROUNDS} rounds of training and prediction, resident MB after the 3rd and the last: "
        f"this process {parent[2]:.0f} and {parent[-1]:.0f}, child {child[2]:.0f} and "
        f"{child[-1]:.0f}; session folder without models {disk[2]:.1f} and {disk[-1]:.1f} MB"
    )
    assert parent[-1] < parent[2] + 30
    assert child[-1] < child[2] * 1.1 + 30
    assert disk[-1] < disk[2] * 1.05 + 0.5
    assert models[-1] <= N_ROUNDS


class Clock:
    """Notes how long the window's event loop lets a timer of 5 ms wait.

    Attributes
    ----------
    gaps_ms : list of float
    own_ms : list of float
        Without the time in which the thread could have run and other programs had the processor.
    """

    def __init__(self):
        self.gaps_ms, self.own_ms = [], []
        self._last = time.perf_counter(), waited_s()
        self.timer = QTimer()
        self.timer.setInterval(5)
        self.timer.timeout.connect(self._tick)
        self.timer.start()

    def _tick(self):
        now = time.perf_counter(), waited_s()
        gap, waited = now[0] - self._last[0], now[1] - self._last[1]
        self.gaps_ms.append(gap * 1000)
        self.own_ms.append((gap - waited) * 1000)
        self._last = now


def waited_s():
    """Return for how long this thread has waited for a processor; 0 where nobody counts."""
    counts = Path("/proc/thread-self/schedstat")
    return int(counts.read_text().split()[1]) / 1e9 if counts.is_file() else 0.0


@pytest.mark.window
def test_hundreds_of_strokes_in_a_window_while_a_network_learns(
    make_napari_viewer, tmp_path, monkeypatch, figures
):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path / "home"))
    sitting = Sitting(make_napari_viewer(show=True))
    entry, person = sitting.entry, sitting.person
    history, at = [entry.codes.copy()], 0
    for k, points in ((1, [(40, 40), (40, 90)]), (0, [(90, 20), (90, 140)])):
        sitting.stroke(k, points)
        history.append(entry.codes.copy())
        at += 1
    sitting.train()
    person.wait(lambda: sitting.controller.state is JobState.RUNNING, 120)
    rng, took_s, counts = np.random.default_rng(0), [], {"stroke": 0, "undo": 0, "redo": 0}
    clock, segmentations = Clock(), []
    sitting.context.workspace.segmentation_changed.connect(lambda *_: segmentations.append(1))
    while counts["stroke"] < N_STROKES:
        deed = str(rng.choice(["stroke"] * 6 + ["undo"] * 2 + ["redo"]))
        counts[deed] += 1
        began = time.perf_counter()
        if deed == "undo":
            person.undo()
            at = max(0, at - 1)
        elif deed == "redo":
            person.redo()
            at = min(at + 1, len(history) - 1)
        else:
            ends = rng.uniform((10, 10), (118, 150), (2, 2))
            sitting.stroke(int(rng.integers(2)), ends)
            took_s.append(time.perf_counter() - began)
            if (entry.codes != history[at]).any():
                del history[at + 1 :]
                history.append(entry.codes.copy())
                at += 1
        assert (entry.codes == history[at]).all(), (deed, counts)
        layer = sitting.context.layers.annotations_layer(entry.id)
        assert (np.asarray(layer.data) == entry.codes).all(), (deed, counts)
    assert sitting.controller.state is JobState.RUNNING, sitting.controller.state
    clock.timer.stop()
    sitting.controller.cancel()
    person.wait(lambda: sitting.controller.state is JobState.IDLE, 30)
    assert (entry.codes == history[at]).all()
    gaps, own = np.array(clock.gaps_ms), np.array(clock.own_ms)
    figures(
        f"{counts['stroke']} strokes, {counts['undo']} undos, {counts['redo']} redos while "
        f"training ({len(segmentations)} updates of the segmentation): a stroke of "
        f"{np.median(took_s) * 1000:.0f} ms; event loop late by p50 {np.median(gaps):.0f}, p95 "
        f"{np.percentile(gaps, 95):.0f}, at most {gaps.max():.0f} ms; without waiting for other "
        f"programs {np.median(own):.0f}, {np.percentile(own, 95):.0f}, {own.max():.0f} ms"
    )
    assert own.max() < 1000


class Sitting:
    """A viewer with the plugin docked, an image taken in, and a hand to paint on it."""

    def __init__(self, viewer):
        viewer.window.resize(1280, 800)
        _, dock = viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net segmentation")
        self.viewer, self.context = viewer, dock.context
        self.controller = self.context.controller
        self.person = Person(viewer)
        rng = np.random.default_rng(0)
        pixels = rng.normal(80, 15, (4, 128, 160))
        pixels[:, 30:70, 30:100] += 90
        layer = viewer.add_image(pixels.clip(0, 255).astype(np.uint8), name="cells")
        viewer.reset_view()
        viewer.dims.set_current_step(0, 0)
        self.entry = self.context.layers.add_image([layer])

    def stroke(self, k, points):
        self.context.layers.set_tool("annotations", self.entry.id, "paint", k)
        layer = self.viewer.layers.selection.active
        layer.brush_size = 7
        self.person.stroke(layer, points, steps=4)

    def train(self):
        recipe = Recipe()
        training = {"max_time_s": None, "steps": 10**6, "patch_px": 64, "batch": 2}
        self.controller.train(
            recipe.replace(
                network=recipe.network.replace(filters=8, depth=2),
                training=recipe.training.replace(**training),
            )
        )
        self.controller.look_at(self.entry.id, 0)
