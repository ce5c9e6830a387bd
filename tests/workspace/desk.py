"""A workspace at work, with a real child process."""

from __future__ import annotations

import time

import numpy as np

from napari_unetseg.config import Recipe
from napari_unetseg.images import Stack
from napari_unetseg.jobs import Worker
from napari_unetseg.project import Session
from napari_unetseg.workspace import JobController, Workspace

SHAPE = (3, 96, 96)


class Desk:
    """A workspace with an image of two grey levels, some strokes, and a real child process."""

    def __init__(self, folder) -> None:
        rng = np.random.default_rng(0)
        self.truth = np.zeros(SHAPE, bool)
        self.truth[:, 20:50, 20:70] = True
        pixels = (80 + 90 * self.truth + rng.normal(0, 15, SHAPE)).clip(0, 255).astype(np.uint8)
        self.workspace = Workspace(Session(folder))
        self.controller = JobController(self.workspace, Worker())
        self.entry = self.workspace.add_image(Stack(pixels, "ZYX", name="cells"))
        self.said: list[str] = []
        self.finished: list = []
        self.controller.status.connect(self.said.append)
        self.controller.finished.connect(self.finished.append)

    def paint(self, plane: int = 1) -> None:
        painted = self.entry.codes.copy()
        painted[plane, 25:45, 25:65] = 2
        painted[plane, 60:90, 5:90] = 1
        self.workspace.commit_annotations(self.entry.id, painted, [plane])

    def recipe(self, **training) -> Recipe:
        recipe = Recipe()
        small = {"max_time_s": None, "steps": 8, "patch_px": 64, "batch": 2} | training
        return recipe.replace(
            network=recipe.network.replace(filters=8, depth=2),
            training=recipe.training.replace(**small),
        )

    def wait(self, until, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"waited {seconds} s in vain; {self.said}"
            self.controller.poll()
            time.sleep(0.01)

    def run(self) -> None:
        n = len(self.finished)
        self.wait(lambda: len(self.finished) > n)
