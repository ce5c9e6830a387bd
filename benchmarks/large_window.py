"""Measure whether the window is as quick on a stack larger than the memory as on a small one.

Each stack gets windows of its own, in turns with a small one: it is opened, painted on with the
mouse on slices far apart, strokes are taken back and done again, slices are switched, the window
is closed, and the next one finds the earlier work. What is measured is printed beside the same of
the small stack, with what the window holds in memory.

    xvfb-run -a python benchmarks/large_window.py [--gb 20 100] [--rounds 2] [PATH ...]

Stacks are files with holes, made in a temporary folder: they take no room. Files of one's own may
be given instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import napari
import numpy as np
import numpy.typing as npt
import psutil
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "widgets"))

from person import Person

from napari_unetseg.widgets.app import DOCK_TITLE, PLUGIN
from napari_unetseg.widgets.dock import SegmentationDock

#: The step of the dock, how long it learns, and how many slices are waited for.
_TRAIN, _TRAIN_S, _PREDICTED = 2, 20, 8

#: Of a slice of the stacks that are made.
_SIDE_PX = 2048

#: The others are compared with this.
_SMALL_PLANES = 24

#: Slices with something in the image.
_FILLED = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs="*", metavar="PATH")
    parser.add_argument("--gb", type=float, nargs="*", default=[20, 100])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--strokes", type=int, default=20)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(_in_windows(options.one, options.strokes)))
        return
    with tempfile.TemporaryDirectory() as folder:
        small = _sparse(Path(folder) / "small.nrrd", _SMALL_PLANES)
        large = options.paths or [
            _sparse(Path(folder) / f"{gb:g} GB.nrrd", round(gb * 1e9 / _SIDE_PX**2))
            for gb in options.gb
        ]
        found: dict[str, list[dict[str, float]]] = {}
        for _ in range(options.rounds):
            for path in [small, *large]:
                found.setdefault(path.stem, []).append(_measured(path, options.strokes))
    _report({name: _median(runs) for name, runs in found.items()})


def _sparse(path: Path, n_planes: int) -> Path:
    """Make a stack of which a few slices hold something; the others are holes."""
    shape = (n_planes, _SIDE_PX, _SIDE_PX)
    header = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: {} {} {}\nencoding: raw\n\n"
    path.write_text(header.format(*shape[::-1]))
    offset = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(offset + int(np.prod(shape)))
    pixels = np.memmap(path, np.uint8, "r+", offset, shape)
    rng = np.random.default_rng(0)
    for plane in np.linspace(0, n_planes - 1, _FILLED).astype(int):
        pixels[plane] = rng.integers(0, 255, shape[1:], np.uint8)
    pixels.flush()
    return path


def _measured(path: Path, n_strokes: int) -> dict[str, float]:
    """Measure in a process of its own: what it holds in memory is of this stack alone."""
    with tempfile.TemporaryDirectory() as home:
        ran = subprocess.run(
            [sys.executable, __file__, "--one", str(path), "--strokes", str(n_strokes)],
            env=os.environ | {"NAPARI_UNETSEG_HOME": home},
            check=True,
            capture_output=True,
            text=True,
        )
    measured: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return measured


def _in_windows(path: Path, n_strokes: int) -> dict[str, float]:
    """Work in a window, then open another one."""
    found = {}
    first = Window(path)
    found["shown, s"], found["ready to paint, s"] = first.shown_s, first.opened_s
    found["memory: opened, MB"] = _held_mb()
    found |= first.work(n_strokes)
    found["memory: painted, MB"] = _held_mb()
    found |= first.learn()
    found["memory: learned, MB"] = _held_mb()
    found["close, s"] = _timed(first.close)
    second = Window(path)
    found["open again, s"] = second.opened_s
    found["earlier work found, s"] = second.find_earlier_work()
    found["brought back, s"] = second.bring_back()
    found["memory: again, MB"] = _held_mb()
    second.close()
    return found


class Window:
    """A napari window with the dock and one stack, and a person at the mouse."""

    def __init__(self, path: Path) -> None:
        self.viewer = napari.Viewer()
        _, dock = self.viewer.window.add_plugin_dock_widget(PLUGIN, DOCK_TITLE)
        assert isinstance(dock, SegmentationDock)
        self.dock = dock
        self.context = dock.context
        self.person = Person(self.viewer)
        self._drawn = 0
        canvas = self.viewer.window._qt_viewer.canvas._scene_canvas  # noqa: SLF001
        canvas.events.draw.connect(self._on_draw)
        QApplication.processEvents()
        self.began = time.perf_counter()
        self.viewer.open(path, plugin=PLUGIN)
        self._until_drawn(QApplication.processEvents)
        self.shown_s = time.perf_counter() - self.began
        self.dock.panels[0].images.item(0).setCheckState(Qt.CheckState.Checked)
        (self.entry,) = self.context.workspace.images.values()
        self._until_drawn(QApplication.processEvents)
        self.opened_s = time.perf_counter() - self.began

    def work(self, n_strokes: int) -> dict[str, float]:
        """Paint, take back, do again and switch slices; return medians, in ms."""
        context, entry = self.context, self.entry
        context.layers.set_tool("annotations", entry.id, "paint", 1)
        layer = context.layers.annotations_layer(entry.id)
        layer.brush_size = 40
        height, width = entry.shape[1:]
        rng = np.random.default_rng(1)
        planes = np.linspace(0, entry.shape[0] - 1, n_strokes).astype(int)
        switched, pressed, stroke, undone, redone = [], [], [], [], []
        for plane in planes:
            switched.append(self._until_drawn(partial(self._go_to, int(plane))))
            ends = rng.uniform(0.3, 0.7, (2, 2)) * (height, width)
            self.person.point_at(layer, ends[0])
            pressed.append(self._until_drawn(partial(self.person.press, layer, ends[0])))
            stroke.append(_timed(partial(self._drag, layer, ends)))
            self._run_for(0.05)
        n_px = [int(np.count_nonzero(entry.codes[p])) for p in planes]
        assert all(n_px), n_px
        for _ in range(n_strokes // 2):
            undone.append(_timed(self.person.undo))
            self._run_for(0.02)
        for _ in range(n_strokes // 2):
            redone.append(_timed(self.person.redo))
            self._run_for(0.02)
        assert [int(np.count_nonzero(entry.codes[p])) for p in planes] == n_px
        n_planes = entry.shape[0]
        beside = [
            self._until_drawn(partial(self._go_to, (self._here() + 1) % n_planes))
            for _ in range(n_strokes)
        ]
        times = {
            "switch far": switched[1:],
            "press to picture": pressed,
            "rest of a stroke": stroke,
            "undo": undone,
            "redo": redone,
            "next slice": beside,
        }
        medians = {f"{name}, ms": 1000 * float(np.median(t)) for name, t in times.items()}
        return medians | {"longest of all, ms": 1000 * max(map(max, times.values()))}

    def learn(self) -> dict[str, float]:
        """Train a model and let it begin with the slices."""
        controller, entry = self.context.controller, self.entry
        # The other class beside the last stroke, on a slice with something on it.
        self._go_to(0)
        context, (height, width) = self.context, entry.shape[1:]
        context.layers.set_tool("annotations", entry.id, "paint", 0)
        layer = context.layers.annotations_layer(entry.id)
        self.person.stroke(layer, [(height * 0.1, width * f) for f in (0.2, 0.8)])
        self.person.click(self.dock._buttons.button(_TRAIN))  # noqa: SLF001
        train = self.dock.panels[_TRAIN]
        train.seconds.setValue(_TRAIN_S)
        steps: list[object] = []
        ended: list[object] = []
        controller.stepped.connect(steps.append)
        controller.finished.connect(ended.append)
        began = time.perf_counter()
        self.person.click(train.train)
        longest = self._wait(lambda: bool(steps))
        found = {"first step of training, s": time.perf_counter() - began}
        longest = max(longest, self._wait(lambda: bool(entry.predicted)))
        found["slice in view predicted, s"] = time.perf_counter() - began
        longest = max(longest, self._wait(lambda: len(entry.predicted) >= _PREDICTED))
        found["trained, 8 slices predicted, s"] = time.perf_counter() - began
        began = time.perf_counter()
        self.person.click(self.dock.status.cancel)
        longest = max(longest, self._wait(lambda: bool(ended)))
        found["cancelled, s"] = time.perf_counter() - began
        assert controller.model is not None, ended
        return found | {"longest pause meanwhile, ms": 1000 * longest}

    def _wait(self, until: Callable[[], bool]) -> float:
        """Let the window live until something is so; return its longest pause, in s."""
        longest, end = 0.0, time.perf_counter() + 600
        while not until():
            longest = max(longest, _timed(QApplication.processEvents))
            time.sleep(0.002)
            if time.perf_counter() > end:
                raise TimeoutError(self.dock.status.sentence.text())
        return longest

    def find_earlier_work(self) -> float:
        """Wait until the dock offers what was painted before; return the seconds since opening."""
        data = self.dock.panels[0]
        self.person.wait(lambda: data.earlier_works.count(), 600)
        return time.perf_counter() - self.began

    def bring_back(self) -> float:
        """Bring it back; return how long that takes."""
        data = self.dock.panels[0]
        taken = _timed(lambda: self.person.click(data.bring_back))
        assert self.entry.annotated_planes()
        return taken

    def close(self) -> None:
        """Close the window, as its cross does."""
        self.viewer.close()
        QApplication.processEvents()

    def _here(self) -> int:
        return int(self.viewer.dims.current_step[0])

    def _go_to(self, plane: int) -> None:
        self.viewer.dims.set_current_step(0, plane)

    def _drag(self, layer: Labels, ends: npt.NDArray[np.float64]) -> None:
        for t in np.linspace(0, 1, 8)[1:]:
            self.person.go_on(layer, ends[0] + t * (ends[1] - ends[0]))
        self.person.end_stroke(layer, ends[1])

    def _until_drawn(self, action: Callable[[], None]) -> float:
        began = time.perf_counter()
        seen, end = self._drawn, began + 120
        action()
        self.viewer.window._qt_viewer.canvas._scene_canvas.update()  # noqa: SLF001
        while self._drawn == seen:
            QApplication.processEvents()
            if time.perf_counter() > end:
                raise TimeoutError("nothing was drawn for 120 s")
        return time.perf_counter() - began

    def _run_for(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            QApplication.processEvents()
            time.sleep(0.002)

    def _on_draw(self, event: object) -> None:
        self._drawn += 1


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _held_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.median([run[name] for run in runs])) for name in runs[0]}


def _report(found: dict[str, dict[str, float]]) -> None:
    small, *others = found
    print(f"{'':24}{small:>10}" + "".join(f"{name:>12}{'ratio':>8}" for name in others))
    for what, of_small in found[small].items():
        of_others = [found[name][what] for name in others]
        shown = "".join(f"{value:12.2f}{value / max(of_small, 1e-9):8.2f}" for value in of_others)
        print(f"{what:24}{of_small:10.2f}{shown}")


if __name__ == "__main__":
    main()
