r"""A person at a real window: strokes, the network that follows them, and the same for a forest.

A scripted person opens a stack, paints a few strokes with the mouse, switches *Live* on and goes on
painting where most is wrong, as a true mask says. Printed are the score on slices that were never
painted by the number of strokes, beside a random forest that learned the same strokes, and how long
it takes from the end of a stroke to the first loss that includes it and to the new segmentation of
the slice in view::

    UNETSEG_DATA=../shared/data xvfb-run -a -s "-screen 0 1400x900x24 +extension GLX" \
        python benchmarks/interactive.py [--start membranes|scratch] [--strokes 31] [--pace 2]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import napari
import numpy as np
from few_shot import BRUSH_PX, LENGTH_PX, SLICES
from fine_tuning import SCORED
from forest import Forest
from qtpy.QtCore import QEventLoop, QTimer
from scipy.ndimage import distance_transform_edt

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "widgets"))

from person import Person

from napari_unetseg import open_stack
from napari_unetseg.config.shipped import shipped_models
from napari_unetseg.images import read_labels
from napari_unetseg.measure import ConfusionMatrix, scores
from napari_unetseg.samples.strokes import Annotator, Stroke
from napari_unetseg.widgets.dock import SegmentationDock
from napari_unetseg.widgets.train_step import TrainStep

TRAIN, CORRECT = 2, 3

#: Strokes before *Live* is switched on, and between looks at another slice.
FIRST, A_SLICE = 4, 6

#: Numbers of strokes after which slices that were never painted are scored.
MILESTONES = (4, 10, 16, 22, 31, 46, 61)


@dataclass
class Times:
    """Seconds from the end of each stroke.

    Attributes
    ----------
    loss : list of float
        To the first loss that includes it.
    view : list of float
        To the slice in view, segmented anew.
    """

    loss: list[float] = field(default_factory=list)
    view: list[float] = field(default_factory=list)


class Session:
    """A window with the stack, and a person who knows the truth.

    Parameters
    ----------
    structure : str
        Of `vnc`: the mask that is the truth.
    seed : int
        Of the strokes.
    """

    def __init__(self, structure: str, seed: int) -> None:
        folder = Path(os.environ.get("UNETSEG_DATA", "../shared/data")) / "vnc"
        stack = open_stack(folder / "raw.ome.tif")
        self.truth = read_labels(folder / f"{structure}.ome.tif", "masks", like=stack).codes
        self.annotator = Annotator(self.truth, seed, BRUSH_PX)
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1280, 800)
        self.dock = SegmentationDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="U-Net segmentation")
        size = stack.pixel_size_um
        image = self.viewer.add_image(
            np.asarray(stack.data),
            name="vnc",
            scale=[size[axis] for axis in "ZYX"],
            units=["micrometer"] * 3,
        )
        context = self.dock.context
        self.layers, self.controller = context.layers, context.controller
        self.entry = self.layers.add_image([image])
        self.viewer.reset_view()
        self.person = Person(self.viewer)
        self.times = Times()
        self.taken = 0
        self.n_steps = self.n_views = 0
        self.controller.live.taken.connect(self._on_taken)
        self.controller.stepped.connect(self._on_stepped)
        context.workspace.segmentation_changed.connect(self._on_shown)
        self.n_strokes = 0

    # ---------------------------------------------------------------- events

    def _on_taken(self, revision: int) -> None:
        self.taken = revision

    def _on_stepped(self, _: object) -> None:
        self.n_steps += 1

    def _on_shown(self, image: str, planes: list[int]) -> None:
        # A stroke shows itself too; what the network answers comes without one.
        if planes == [self.layers.current_plane(self.entry)] and not self._painting:
            self.n_views += 1

    _painting = False

    # --------------------------------------------------------------- painting

    def show(self, plane: int) -> None:
        """Move the slider."""
        self.layers.show_plane(self.entry, plane)
        self.run_for(0.3)

    def paint(self, stroke: Stroke) -> float:
        """Paint with the mouse; return when the button was let go."""
        self.layers.set_tool("annotations", self.entry.id, "paint", stroke.code - 1)
        layer = self.viewer.layers.selection.active
        layer.brush_size = self.brush_of(stroke)
        self._painting = True
        self.person.stroke(layer, [tuple(p) for p in stroke.path[::2]] or [(0, 0)], steps=2)
        ended = time.monotonic()
        self._painting = False
        self.n_strokes += 1
        return ended

    def brush_of(self, stroke: Stroke) -> int:
        """Return the brush that a careful person takes for what a stroke follows."""
        room = distance_transform_edt(self.truth[stroke.plane] == stroke.code)
        y, x = np.round(stroke.path).astype(int).T
        return int(np.clip(2 * np.percentile(room[y, x], 5) - 1, 1, BRUSH_PX))

    def first_strokes(self, plane: int) -> None:
        """Paint both classes on a slice."""
        drawn = np.array(self.entry.codes)
        for stroke in self.annotator.annotate(drawn, plane, [2, 1] * (FIRST // 2), LENGTH_PX):
            self.paint(stroke)

    def next_strokes(self, plane: int, n: int) -> list[Stroke]:
        """Return strokes where most is wrong in what is shown."""
        shown = np.zeros_like(self.truth)
        shown[plane] = self.entry.segmentation(plane)
        drawn = np.array(self.entry.codes)
        return self.annotator.correct(drawn, shown, [plane], n, LENGTH_PX)

    def measured(self, stroke: Stroke, pace_s: float) -> None:
        """Paint a stroke, note how long it takes to matter, and let some time pass."""
        revision = self.controller.live.revision
        ended = self.paint(stroke)
        self.wait(lambda: self.controller.live.revision > revision, 5)
        mine = self.controller.live.revision
        self.wait(lambda: self.taken >= mine, 20)
        seen, views = self.n_steps, self.n_views
        self.wait(lambda: self.n_steps > seen, 20)
        self.times.loss.append(time.monotonic() - ended)
        self.wait(lambda: self.n_views > views, 20)
        self.times.view.append(time.monotonic() - ended)
        self.run_for(max(0.0, pace_s - (time.monotonic() - ended)))

    # ---------------------------------------------------------------- scores

    def until_seen(self) -> None:
        """Wait until the slice in view has been segmented by what is learned so far."""
        views, live = self.n_views, self.controller.live
        self.wait(lambda: self.n_views > views or live.is_complete, 20)

    def settle(self) -> None:
        """Wait until everything that was painted is learned and every slice segmented with it."""
        self.wait(lambda: self.controller.live.is_complete, 300)

    def share_right(self) -> float:
        """Return the share of painted pixels that are painted as the truth has them."""
        codes = np.array(self.entry.codes)
        return float((codes == self.truth)[codes > 0].mean())

    def score(self) -> float:
        """Return the mean IoU on the slices that are never painted."""
        shown = self.entry.slots.shown_as
        return self._scored({p: shown[self.entry.prediction[p]] for p in SCORED})

    def score_forest(self) -> tuple[float, float]:
        """Return the same of a forest that learned the same strokes, and how long that took."""
        began, stack = time.monotonic(), self.entry.stack
        painted = [p for p in range(len(self.truth)) if self.entry.codes[p].any()]
        planes = [stack.plane(p).astype(np.float32) for p in painted]
        forest = Forest(planes, [np.array(self.entry.codes[p]) for p in painted])
        answers = {p: forest.apply(stack.plane(p).astype(np.float32)) for p in SCORED}
        return self._scored(answers), time.monotonic() - began

    def _scored(self, answers: dict[int, np.ndarray]) -> float:
        matrix = ConfusionMatrix(2)
        for plane, codes in answers.items():
            matrix.add(self.truth[plane], np.maximum(codes, 1))
        iou = scores(matrix, ["background", "class 1"]).iou
        return sum(iou.values()) / len(iou)

    def run_for(self, seconds: float) -> None:
        """Let the window run as it does for a person: idle between events."""
        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        loop.exec()

    def wait(self, until: Callable[[], object], seconds: float) -> None:
        """Let the window run until something is so."""
        loop, end = QEventLoop(), time.monotonic() + seconds
        timer = QTimer()
        timer.timeout.connect(lambda: loop.quit() if until() or time.monotonic() > end else None)
        timer.start(10)
        loop.exec()
        timer.stop()
        if not until():
            raise TimeoutError(f"waited {seconds} s in vain")


def main() -> None:
    """Paint, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structure", default="membranes")
    parser.add_argument("--start", default="membranes", help="name of a model, or scratch")
    parser.add_argument("--strokes", type=int, default=31)
    parser.add_argument("--pace", type=float, default=2.0, help="seconds from stroke to stroke")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-forest", action="store_true")
    options = parser.parse_args()
    session = Session(options.structure, options.seed)
    person, dock = session.person, session.dock
    session.show(SLICES[0])
    session.first_strokes(SLICES[0])
    train = dock.panels[TRAIN]
    assert isinstance(train, TrainStep)
    dock.show_step(TRAIN)
    choose(session, train, options.start)
    session.wait(dock.live.live.isEnabled, 60)
    began = time.monotonic()
    person.click(dock.live.live)
    session.wait(lambda: session.n_views > 0, 120)
    print(f"first segmentation of the slice in view after {time.monotonic() - began:.1f} s")
    dock.show_step(CORRECT)
    done = 0
    while True:
        if session.n_strokes in MILESTONES or session.n_strokes >= options.strokes:
            report(session, began, forest=not options.no_forest)
        if session.n_strokes >= options.strokes:
            break
        plane = SLICES[done // A_SLICE % len(SLICES)]
        if session.layers.current_plane(session.entry) != plane:
            session.show(plane)
            session.until_seen()
        strokes = session.next_strokes(plane, 3)
        if not strokes:
            done += A_SLICE
            continue
        for stroke in strokes:
            session.measured(stroke, options.pace)
            done += 1
            if session.n_strokes in MILESTONES:
                break
    for name, values in (("loss", session.times.loss), ("view", session.times.view)):
        middle, late = np.percentile(values, [50, 95])
        print(f"stroke to {name}: median {middle:.2f} s, p95 {late:.2f} s, n = {len(values)}")
    session.viewer.close()


def choose(session: Session, train: TrainStep, start: str) -> None:
    """Choose the start in the Train step."""
    if start == "scratch":
        train.base.setCurrentIndex(train.base.findData("scratch"))
    else:
        session.controller.open_model(shipped_models()[start])


def report(session: Session, began: float, *, forest: bool) -> None:
    """Score what is learned by now, and print it."""
    session.settle()
    row = {
        "strokes": session.n_strokes,
        "px": int(sum(np.count_nonzero(p) for p in session.entry.codes)),
        "seconds": round(time.monotonic() - began, 1),
        "right": round(session.share_right(), 3),
        "live": round(session.score(), 4),
    }
    if forest:
        score, seconds = session.score_forest()
        row |= {"forest": round(score, 4), "forest seconds": round(seconds, 1)}
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_UNETSEG_HOME"] = home
        main()
