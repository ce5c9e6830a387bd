"""Take the pictures of the README: the window on the sample stack after a minute of training.

    make screenshot

A generated stack is opened, strokes are painted along its true classes, a network trains, and the
window is photographed at every step of the dock.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_unetseg.events import Finished
from napari_unetseg.jobs import JobState
from napari_unetseg.samples import em_stack
from napari_unetseg.samples.strokes import Annotator

DOCS = Path(__file__).parents[1] / "docs"
STEPS = ("data", "baselines", "train", "correct", "export")


def main() -> None:
    """Open, paint, train, photograph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of training")
    parser.add_argument("--theme", default="dark", choices=["dark", "light"])
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--every-step", type=Path, help="folder for a picture of every step")
    options = parser.parse_args()
    photographer = Photographer(options.theme, *map(int, options.size.split("x")))
    photographer.train(options.seconds)
    if options.every_step:
        options.every_step.mkdir(parents=True, exist_ok=True)
        for index, name in enumerate(STEPS):
            photographer.show(index)
            photographer.save(options.every_step / f"{name}-{options.theme}.png")
    else:
        photographer.show(STEPS.index("train"))
        photographer.save(DOCS / "window.png")
    photographer.viewer.close()


class Photographer:
    """A window with the dock, the sample stack and some strokes."""

    def __init__(self, theme: str, width: int, height: int) -> None:
        self.viewer = napari.Viewer(show=True)
        self.viewer.theme = theme
        self.viewer.window.resize(width, height)
        _, self.dock = self.viewer.window.add_plugin_dock_widget(
            "napari-unetseg", "U-Net segmentation"
        )
        self.context = self.dock.context
        sample = em_stack(seed=3)
        size = sample.image.pixel_size_um
        image = self.viewer.add_image(
            np.asarray(sample.image.data),
            name="neuropil",
            scale=[size[axis] for axis in "ZYX"],
            units=["micrometer"] * 3,
            axis_labels=["z", "y", "x"],
        )
        self.entry = self.context.layers.add_image([image])
        self.context.workspace.set_classes(sample.classes)
        codes, annotator = np.zeros_like(sample.codes), Annotator(sample.codes)
        for plane in (4, 12, 19):
            annotator.annotate(codes, plane, [1, 1, 1, 2, 2, 2, 3, 3], length_px=120)
        self.context.workspace.commit_annotations(self.entry.id, codes, [4, 12, 19])
        self.viewer.dims.set_current_step(0, 12)
        self.viewer.reset_view()

    def train(self, seconds: int) -> None:
        """Press Train and wait for the end."""
        ended: list[Finished] = []
        self.context.controller.finished.connect(ended.append)
        panel = self.dock.panels[STEPS.index("train")]
        self.show(STEPS.index("train"))
        panel.seconds.setValue(seconds)
        panel.train.click()
        deadline = time.monotonic() + seconds + 240
        while not ended and time.monotonic() < deadline:
            self._run(0.1)
        if not ended or self.context.controller.state is not JobState.IDLE:
            sys.exit("Training did not end.")
        print(ended[0].sentence)

    def show(self, index: int) -> None:
        """Bring a step into view."""
        self.dock.show_step(index)
        self._run(1.5)

    def save(self, path: Path) -> None:
        """Write a picture of the whole window."""
        self._run(0.5)
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)

    def _run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_UNETSEG_HOME"] = folder
        main()
