r"""A person at a real window: strokes, the network that follows them, and the same for a forest.

A scripted person opens a stack, paints a few strokes with the mouse, switches *Live* on, goes from
suggestion to suggestion, paints there where most is wrong as a true mask says, and accepts what is
in sight once it is right; at the end the segmentation is exported. Printed are the score on slices
that are never painted by the number of strokes and by seconds, beside a random forest that learned
the same annotations, and how long it takes from the end of a stroke to the first loss that includes
it and to the new segmentation of the slice in view::

    UNETSEG_DATA=../shared/data xvfb-run -a -s "-screen 0 1400x900x24 +extension GLX" \
        python benchmarks/interactive.py [--structure mitochondria] [--start scratch] [--strokes 31]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import napari
import numpy as np
from few_shot import BRUSH_PX, LENGTH_PX, SLICES
from fine_tuning import SCORED
from forest import Forest
from qtpy.QtCore import QEventLoop, QTimer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "widgets"))

from oracle import CORRECT, EXPORT, TRAIN, Looked, Oracle

from napari_unetseg import open_stack
from napari_unetseg.config.shipped import shipped_models
from napari_unetseg.images import read_labels
from napari_unetseg.measure import ConfusionMatrix, scores
from napari_unetseg.samples.strokes import Stroke
from napari_unetseg.widgets import export_step
from napari_unetseg.widgets.dock import SegmentationDock

#: Strokes before *Live* is switched on, at most in one suggested region, and regions that are gone
#: to before suggestions are asked for again.
FIRST, A_REGION, REGIONS = 4, 3, 3

#: Numbers of strokes after which slices that were never painted are scored.
MILESTONES = (4, 10, 16, 22, 31, 46, 61)


@dataclass
class Times:
    """Seconds from the end of each stroke, or from a wish.

    Attributes
    ----------
    loss : list of float
        To the first loss that includes it.
    view : list of float
        To the slice in view, segmented anew.
    suggestion : list of float
        From *Suggest* to the first region.
    """

    loss: list[float] = field(default_factory=list)
    view: list[float] = field(default_factory=list)
    suggestion: list[float] = field(default_factory=list)


class Session(Oracle):
    """A window with the stack, and a person who knows the truth and looks at the clock.

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
        truth = read_labels(folder / f"{structure}.ome.tif", "masks", like=stack).codes
        viewer = napari.Viewer()
        viewer.window.resize(1280, 800)
        dock = SegmentationDock(viewer)
        viewer.window.add_dock_widget(dock, name="U-Net segmentation")
        super().__init__(viewer, dock, truth, seed, BRUSH_PX, LENGTH_PX)
        self.open(folder / "raw.ome.tif")
        self.times = Times()
        self.taken = 0
        self.n_steps = self.n_views = self.n_accepted = 0
        self.not_working = 0.0
        self._painting = False
        self.controller.live.taken.connect(self._on_taken)
        self.controller.stepped.connect(self._on_stepped)
        self.workspace.segmentation_changed.connect(self._on_shown)

    # ---------------------------------------------------------------- events

    def _on_taken(self, revision: int) -> None:
        self.taken = revision

    def _on_stepped(self, _: object) -> None:
        self.n_steps += 1

    def _on_shown(self, image: str, planes: list[int]) -> None:
        # A stroke shows itself too; what the network answers comes without one.
        if planes == [self.layers.current_plane(self.entry)] and not self._painting:
            self.n_views += 1

    # --------------------------------------------------------------- painting

    def drag(self, stroke: Stroke) -> None:
        """Drag the mouse; what that shows by itself is no answer."""
        self._painting = True
        super().drag(stroke)
        self._painting = False

    def go_live(self, start: str) -> float:
        """Choose the start, switch *Live* on; return the seconds to the first segmentation."""
        train = self.go_to(TRAIN)
        if start == "scratch":
            train.base.setCurrentIndex(train.base.findData("scratch"))
        else:
            self.controller.open_model(shipped_models()[start])
        self.wait(self.dock.live.live.isEnabled, 60)
        began, views = time.monotonic(), self.n_views
        self.click(self.dock.live.live)
        self.wait(lambda: self.n_views > views, 120)
        self.go_to(CORRECT)
        return time.monotonic() - began

    def places(self) -> Iterator[Looked]:
        """Go from suggestion to suggestion, and ask anew after some."""
        while True:
            began = time.monotonic()
            at = self.ask_again()
            self.times.suggestion.append(time.monotonic() - began)
            yield at
            for _ in range(min(REGIONS, len(self.controller.suggestions.regions)) - 1):
                yield self.next_suggestion()

    def work_on(self, at: Looked, until: int, pace_s: float) -> None:
        """Paint in a region where it is wrong; accept what is in sight once that is right."""
        self.until_seen()
        for stroke in self.correct(at, min(A_REGION, until - self.n_strokes)):
            self.measured(stroke, pace_s)
        if self.is_right(sight := self.in_sight()):
            self.click(self.dock.panels[CORRECT].accept_in_sight)
            self.n_accepted += int(np.prod([part.stop - part.start for part in sight.inside]))

    def measured(self, stroke: Stroke, pace_s: float) -> None:
        """Paint a stroke, note how long it takes to matter, and let some time pass."""
        revision = self.controller.live.revision
        self.paint(stroke)
        ended = time.monotonic()
        self.wait(lambda: self.controller.live.revision > revision, 5)
        mine = self.controller.live.revision
        self.wait(lambda: self.taken >= mine, 20)
        seen, views = self.n_steps, self.n_views
        self.wait(lambda: self.n_steps > seen, 20)
        self.times.loss.append(time.monotonic() - ended)
        self.wait(lambda: self.n_views > views, 20)
        self.times.view.append(time.monotonic() - ended)
        self.pause(max(0.0, pace_s - (time.monotonic() - ended)))

    def until_seen(self) -> None:
        """Wait until the slice in view has been segmented by what is learned so far."""
        views, live = self.n_views, self.controller.live
        self.wait(lambda: self.n_views > views or live.is_complete, 30)

    def export(self, target: Path) -> bool:
        """Switch *Live* off and save the segmentation; return whether it is that shown."""
        self.click(self.dock.live.live)
        self.wait(lambda: not self.controller.live.is_on, 300)
        step = self.go_to(EXPORT)
        with patch.object(export_step, "ask_paths", lambda *_, **__: [target]):
            self.click(step.save_segmentation)
        self.wait(target.is_file, 60)
        saved = read_labels(target, "masks", like=self.entry.stack).codes
        shown = (self.entry.segmentation(plane) for plane in range(len(saved)))
        return all(np.array_equal(*pair) for pair in zip(saved, shown, strict=True))

    # ---------------------------------------------------------------- scores

    def report(self, began: float, *, forest: bool) -> None:
        """Score what is learned by now, and print it; the clock of the person stands meanwhile."""
        paused = time.monotonic()
        self.wait(lambda: self.controller.live.is_complete, 300)
        settled = time.monotonic()
        codes = self.entry.codes
        row = {
            "strokes": self.n_strokes,
            "slices": len(self.entry.annotated_planes()),
            "px": int(sum(np.count_nonzero(p) for p in codes)),
            "accepted px": self.n_accepted,
            "right": round(self.share_right(), 3),
            "worked s": round(paused - began - self.not_working, 1),
            "until complete s": round(settled - paused, 1),
            "live": round(self.score(), 4),
        }
        if forest:
            score, seconds = self.score_forest()
            row |= {"forest": round(score, 4), "forest s": round(seconds, 1)}
        print(json.dumps(row), flush=True)
        self.not_working += time.monotonic() - paused

    def score(self) -> float:
        """Return the mean IoU on the slices that are never painted."""
        shown = self.entry.slots.shown_as
        return self._scored({p: shown[self.entry.prediction[p]] for p in SCORED})

    def score_forest(self) -> tuple[float, float]:
        """Return the same of a forest that learned the same annotations, and how long it took."""
        began, stack = time.monotonic(), self.entry.stack
        painted = self.entry.annotated_planes()
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

    def wait(self, until: Callable[[], object], seconds: float = 60) -> None:
        """Let the window run, idle between events, until something is so."""
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
    parser.add_argument("--start", help="name of a model, or scratch; as the structure by default")
    parser.add_argument("--strokes", type=int, default=31)
    parser.add_argument("--pace", type=float, default=2.0, help="seconds from stroke to stroke")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-forest", action="store_true")
    options = parser.parse_args()
    session = Session(options.structure, options.seed)
    session.first_strokes(SLICES[0], [2, 1] * (FIRST // 2))
    took = session.go_live(options.start or options.structure)
    print(f"first segmentation of the slice in view after {took:.1f} s")
    began = time.monotonic()
    session.report(began, forest=not options.no_forest)
    milestones = [n for n in MILESTONES if FIRST < n <= options.strokes]
    for at in session.places():
        if at.plane in SCORED:
            continue  # what is scored is never painted
        session.work_on(at, milestones[0], options.pace)
        if session.n_strokes >= milestones[0]:
            session.report(began, forest=not options.no_forest)
            milestones.pop(0)
        if not milestones:
            break
    times = session.times
    for name in ("loss", "view", "suggestion"):
        values = getattr(times, name)
        middle, late = np.percentile(values, [50, 95])
        start = "suggest" if name == "suggestion" else "stroke"
        print(f"{start} to {name}: median {middle:.2f} s, p95 {late:.2f} s, n = {len(values)}")
    with tempfile.TemporaryDirectory() as folder:
        same = session.export(Path(folder) / "masks.ome.tif")
    print(f"exported as shown: {same}")
    session.viewer.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_UNETSEG_HOME"] = home
        main()
