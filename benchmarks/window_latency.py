"""Measure whether painting stays smooth while the network learns.

A real window on a generated stack: changing the slice and painting a dab, timed from the event to
the picture, without and with a training run in the child process, in turns, or with ``--live`` one
that follows what is painted. Gaps of the event loop and the memory of both are printed too.

    xvfb-run -a python benchmarks/window_latency.py [--rounds 3] [--repeats 60] [--live]

Ten minutes of Live, a dab a second, between two minutes without::

    xvfb-run -a python benchmarks/window_latency.py --live --rounds 1 --parts 10 --pace 0.9
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import psutil
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "widgets"))

from person import Person

from napari_unetseg.config import Recipe
from napari_unetseg.config.shipped import shipped_models
from napari_unetseg.jobs import JobState
from napari_unetseg.samples import em_stack
from napari_unetseg.widgets.app import keep_until_the_end
from napari_unetseg.widgets.dock import SegmentationDock
from napari_unetseg.workspace import LiveSettings

#: Gaps that a person notices are told one by one.
LONG_S = 0.1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--parts", type=int, default=1, help="times as many dabs while training")
    parser.add_argument("--pace", type=float, default=0.02, help="seconds between dabs")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--live", action="store_true", help="training follows what is painted")
    options = parser.parse_args()
    bench = Bench(options.size)
    idle, training = [], []
    bench.measure(10)
    for number in range(options.rounds):
        idle += bench.measure(options.repeats, options.pace, "idle")
        bench.train(live=options.live)
        bench.memory(f"training {number + 1} begins")
        for part in range(options.parts):
            training += bench.measure(options.repeats, options.pace, "training")
            bench.memory(f"training {number + 1}, part {part + 1}")
        bench.cancel()
    idle += bench.measure(options.repeats, options.pace, "idle")
    bench.viewer.close()
    report(np.array(idle), np.array(training))
    bench.gaps.report()


class Bench:
    """A window with the sample stack, some annotations, and a person at the mouse."""

    def __init__(self, size: int) -> None:
        self.viewer = napari.Viewer()
        self.dock = SegmentationDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="U-Net segmentation")
        sample = em_stack(shape=(12, size, size))
        image = self.viewer.add_image(np.asarray(sample.image.data), name="sample")
        context = self.dock.context
        self.entry = context.layers.add_image([image])
        context.workspace.use_as_annotations(self.entry.id, sample.codes, [2, 8])
        context.layers.set_tool("annotations", self.entry.id, "paint", 1)
        self.layer = self.viewer.layers.selection.active
        self.controller = context.controller
        self.person = Person(self.viewer)
        self.drawn = 0
        self.gaps = Gaps()
        canvas = self.viewer.window._qt_viewer.canvas._scene_canvas  # noqa: SLF001
        canvas.events.draw.connect(self._on_draw)
        keep_until_the_end()

    def measure(self, repeats: int, pace_s: float = 0.02, what: str = "before") -> list[float]:
        """Return the time of each slice change with a dab, in ms; watch for gaps meanwhile."""
        self.gaps.begin(what)
        rng = np.random.default_rng(repeats)
        times = []
        for i in range(repeats):
            point = tuple(rng.uniform(0.2, 0.8, 2) * self.layer.data.shape[-2:])
            times.append(self._dab((i + 1) % len(self.layer.data), point))
            self._run_for(pace_s)
        self.gaps.end()
        return times

    def train(self, *, live: bool) -> None:
        """Start training and wait for its first steps."""
        steps: list[object] = []
        self.controller.stepped.connect(steps.append)
        recipe = Recipe()
        self.controller.look_at(self.entry.id, 0)
        if live:
            self.controller.go_live(LiveSettings(recipe, shipped_models()["membranes"]))
        else:
            training = recipe.training.replace(max_time_s=3600.0)
            self.controller.train(recipe.replace(training=training))
        self.person.wait(lambda: len(steps) >= 2, 120)
        self.controller.stepped.disconnect(steps.append)

    def memory(self, when: str) -> None:
        """Print what both processes hold."""
        pids = {"window": os.getpid(), "child": self.controller.child_pid}
        held = {name: psutil.Process(pid).memory_info() for name, pid in pids.items() if pid}
        # What is mapped from files counts as shared, and the system takes it back when it likes.
        mb = {name: (m.rss - m.shared) / 2**20 for name, m in held.items()}
        print(f"{when:24}" + "".join(f"  {name} {size:6.0f} MB" for name, size in mb.items()))

    def cancel(self) -> None:
        """End the training and wait until the child rests."""
        self.controller.cancel()
        self.person.wait(lambda: self.controller.state is JobState.IDLE, 30)
        self._run_for(2)

    def _dab(self, plane: int, point: tuple[float, float]) -> float:
        self.person.point_at(self.layer, point)
        began = time.perf_counter()
        self._until_drawn(lambda: self.viewer.dims.set_current_step(0, plane))
        self._until_drawn(lambda: self.person.press(self.layer, point))
        taken = time.perf_counter() - began
        self.person.end_stroke(self.layer, point)
        return 1000 * taken

    def _until_drawn(self, action: Callable[[], None]) -> None:
        seen, end = self.drawn, time.perf_counter() + 2
        action()
        while self.drawn == seen:
            QApplication.processEvents()
            if time.perf_counter() > end:
                raise TimeoutError("nothing was drawn for 2 s")

    def _run_for(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            QApplication.processEvents()
            time.sleep(0.002)

    def _on_draw(self, event: object) -> None:
        self.drawn += 1


class Gaps:
    """How long the event loop was away, by what was going on."""

    def __init__(self) -> None:
        # Two hundred a second: as a list of floats they would be most of what memory grows by.
        self._gaps: dict[str, array[float]] = {}
        self._long: list[str] = []
        self._began = time.perf_counter()
        self._what = ""
        self._seen = self._collected = 0.0
        gc.callbacks.append(self._on_collection)
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_tick)

    def begin(self, what: str) -> None:
        """Watch from now on."""
        self._what, self._seen = what, time.perf_counter()
        self._timer.start(5)

    def end(self) -> None:
        """Watch no more."""
        self._timer.stop()

    def report(self) -> None:
        """Print the longest, and how many were long."""
        for what, gaps in self._gaps.items():
            ms = 1000 * np.array(gaps)
            n_long = (ms > 1000 * LONG_S).sum()
            print(
                f"gaps of the event loop, {what}: longest {ms.max():.0f} ms, "
                f"{n_long} above {1000 * LONG_S:.0f} ms in {ms.sum() / 1000:.0f} s"
            )
        for line in self._long:
            print(line)

    def _on_collection(self, phase: str, about: dict[str, int]) -> None:
        if phase == "stop" and about["generation"] == 2:
            self._collected = time.perf_counter()

    def _on_tick(self) -> None:
        now = time.perf_counter()
        gap = now - self._seen
        self._gaps.setdefault(self._what, array("f")).append(gap)
        if gap > LONG_S:
            why = ", Python collected garbage" if self._collected > self._seen else ""
            when = f"after {now - self._began:.0f} s"
            self._long.append(f"{self._what}: {1000 * gap:.0f} ms {when}{why}")
        self._seen = now


def report(idle: np.ndarray, training: np.ndarray) -> None:
    """Print a table and the ratio that matters."""
    print(f"{'':10} {'median':>8} {'p95':>8} {'max':>8}   ms, slice change + dab")
    for name, times in (("idle", idle), ("training", training)):
        median, p95 = np.percentile(times, [50, 95])
        print(f"{name:10} {median:8.1f} {p95:8.1f} {times.max():8.1f}   n = {len(times)}")
    ratio = np.percentile(training, 95) / np.percentile(idle, 95)
    print(f"p95 while training / p95 idle = {ratio:.2f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_UNETSEG_HOME"] = folder
        main()
