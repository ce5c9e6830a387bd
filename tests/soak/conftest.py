"""A desk to run jobs at without a window, and a place for figures."""

import os
import time

import numpy as np
import pytest

from napari_unetseg.config import Recipe
from napari_unetseg.images import Stack
from napari_unetseg.jobs import Worker
from napari_unetseg.project import Session
from napari_unetseg.workspace import JobController, Workspace

SHAPE = (12, 96, 96)


class Desk:
    """A workspace with an image of two grey levels and a real child process."""

    def __init__(self, folder):
        self.folder = folder
        rng = np.random.default_rng(0)
        self.truth = np.zeros(SHAPE, bool)
        self.truth[:, 20:50, 20:70] = True
        pixels = (80 + 90 * self.truth + rng.normal(0, 15, SHAPE)).clip(0, 255).astype(np.uint8)
        self.workspace = Workspace(Session(folder))
        self.controller = JobController(self.workspace, Worker())
        self.entry = self.workspace.add_image(Stack(pixels, "ZYX", name="cells"))
        self.states = []
        self.finished = []
        self.controller.state_changed.connect(self.states.append)
        self.controller.finished.connect(self.finished.append)

    def paint(self, plane):
        painted = self.entry.codes.copy()
        painted[plane, 25:45, 25:65] = 2
        painted[plane, 60:90, 5:90] = 1
        self.workspace.commit_annotations(self.entry.id, painted, [plane])

    def recipe(self, steps=8):
        recipe = Recipe()
        training = {"max_time_s": None, "steps": steps, "patch_px": 64, "batch": 2}
        return recipe.replace(
            network=recipe.network.replace(filters=8, depth=2),
            training=recipe.training.replace(**training),
        )

    def poll_for(self, seconds, until=lambda: False):
        """Poll as the window's timer does; return whether it came to be so in time."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                return False
            self.controller.poll()
            time.sleep(0.005)
        return True

    def run(self, seconds=120):
        """Poll until the job has ended; return its `Finished`."""
        n = len(self.finished)
        assert self.poll_for(seconds, lambda: len(self.finished) > n), self.states[-3:]
        return self.finished[-1]

    def close(self):
        self.controller.close()
        self.workspace.close()


@pytest.fixture
def desk(tmp_path, monkeypatch):
    # Whatever anybody puts into the system's folder for temporary files lands here and is seen.
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    desk = Desk(tmp_path / "sessions")
    desk.temporary = tmp_path / "temporary"
    yield desk
    desk.close()


@pytest.fixture
def figures(capsys):
    """Print a line of figures past pytest's capture, as docs/soak.md quotes them."""

    def show(line):
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)  # noqa: T201 - the report of a soak test

    return show


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """Keep children to one core: nothing here is large enough for more."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert os.environ["OMP_NUM_THREADS"] == "1"
