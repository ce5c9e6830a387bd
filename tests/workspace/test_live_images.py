"""What training that is live hears of images that leave the data set and come back."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.config import Recipe
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import LiveSettings, LiveTraining, Workspace
from napari_unetseg.workspace.job_files import JobFiles

SHAPE = (3, 40, 50)


class Bench:
    """Two images and a training that only listens."""

    def __init__(self, folder) -> None:
        self.workspace = Workspace(Session(folder))
        self.files = JobFiles(self.workspace.session)
        self.heard = []
        self.live = LiveTraining(self.workspace, self, self.files)
        rng = np.random.default_rng(0)
        pixels = [rng.integers(0, 255, SHAPE, dtype=np.uint8) for _ in range(2)]
        self.stacks = [Stack(p, "ZYX", name=f"cells {i}") for i, p in enumerate(pixels)]
        self.entries = [self.workspace.add_image(stack) for stack in self.stacks]

    def painted(self, change) -> None:
        self.heard.append(change)

    def begin(self) -> None:
        for entry in self.workspace.images.values():
            self.files.training_image(entry, None)
        self.live.begin(LiveSettings(Recipe()))

    def paint(self, i, plane, code=2) -> None:
        painted = self.entries[i].codes.copy()
        painted[plane, 5:9, 5:20] = code
        self.workspace.commit_annotations(self.entries[i].id, painted, [plane])

    def trained(self, i) -> np.ndarray:
        return np.load(self.workspace.session.path(self.entries[i].id, "annotations-to-train"))


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.live.close()
    bench.workspace.close()


def test_a_training_hears_nothing_of_images_that_an_earlier_one_had(bench):
    bench.begin()
    bench.live.end()
    bench.workspace.remove_image(bench.entries[0].id)
    bench.begin()
    bench.workspace.add_image(bench.stacks[0])
    bench.paint(0, 1)
    bench.paint(1, 1)
    bench.live.hand_on()
    assert [change.image for change in bench.heard] == [bench.entries[1].id]


def test_what_is_undone_while_an_image_is_left_out_is_heard_of_when_it_is_back(bench):
    bench.paint(0, 1)
    bench.begin()
    bench.paint(0, 2)
    bench.workspace.remove_image(bench.entries[0].id)
    bench.live.hand_on()
    bench.workspace.undo()
    bench.workspace.undo()
    bench.workspace.add_image(bench.stacks[0])
    bench.live.hand_on()
    assert not bench.trained(0).any()
    assert [(change.plane, change.revision) for change in bench.heard] == [(1, 1)]


def test_a_stroke_is_heard_of_whose_image_was_left_out_right_after_it(bench):
    bench.begin()
    bench.paint(0, 2)
    bench.workspace.remove_image(bench.entries[0].id)
    bench.live.hand_on()
    bench.workspace.add_image(bench.stacks[0])
    bench.live.hand_on()
    assert (bench.trained(0) == bench.entries[0].codes).all()
    assert [change.plane for change in bench.heard] == [2]
