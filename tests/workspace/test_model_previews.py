"""Pictures of models on the slice in view: drawn when there is nothing else to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from desk import SHAPE, Desk
from PIL import Image

from napari_unetseg.config import find_model
from napari_unetseg.events import FinishReason, ModelPreviewed
from napari_unetseg.images import Stack
from napari_unetseg.workspace.model_previews import BESIDE, SIDE_PX, window_of_interest


class Viewer(Desk):
    """A desk with a model, and what was seen of models."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seen: list[ModelPreviewed] = []
        self.failures: list[str] = []
        self.controller.previews.previewed.connect(self.seen.append)
        self.controller.previews.failed.connect(self.failures.append)

    def learn(self) -> Path:
        self.paint()
        self.controller.train(self.recipe(steps=60))
        self.run()
        assert self.controller.model is not None
        return self.controller.model.path

    def look(self, models: list[Path], plane: int = 1, n: int | None = None) -> None:
        n = len(self.seen) + (len(models) if n is None else n)
        self.controller.previews.ask(self.entry, plane, models)
        self.wait(lambda: len(self.seen) >= n)


@pytest.fixture
def viewer(tmp_path):
    viewer = Viewer(tmp_path)
    yield viewer
    viewer.controller.close()
    viewer.workspace.close()


def test_a_model_is_seen_and_scored_and_one_that_does_not_fit_says_why(viewer, tmp_path):
    model = viewer.learn()
    broken = tmp_path / "broken.unet"
    broken.mkdir()
    viewer.look([model, broken])
    seen, unfit = viewer.seen
    assert seen.model == str(model)
    assert seen.score is not None
    assert seen.score > 0.8
    picture = np.asarray(Image.open(seen.picture))
    assert picture.shape == (*SHAPE[1:], 3)
    assert (np.ptp(picture.astype(int), axis=2) > 0).mean() > 0.1  # a class has a colour
    assert not unfit.picture
    assert "no model" in unfit.sentence
    assert not viewer.failures
    viewer.look([model], plane=0)
    assert viewer.seen[-1].score is None  # nothing is painted there
    assert viewer.workspace.session.recent_models(3) == [model]


def test_work_comes_first(viewer):
    model = viewer.learn()
    viewer.controller.previews.ask(viewer.entry, 0, [model] * 500)
    viewer.wait(lambda: len(viewer.seen) >= 2)
    assert viewer.controller.why_not_train() is None
    viewer.controller.train(viewer.recipe(steps=4), base=model)
    viewer.run()
    assert viewer.finished[-1].reason is FinishReason.COMPLETED
    assert len(viewer.seen) < 500
    n = len(viewer.seen)
    viewer.look([model])  # and afterwards it goes on
    assert len(viewer.seen) == n + 1


def test_of_slices_passed_by_only_the_last_counts(viewer):
    model = viewer.learn()
    viewer.look([model] * 200, plane=0, n=1)
    n = len(viewer.seen)
    viewer.controller.previews.ask(viewer.entry, 2, [model] * 200)
    viewer.look([model], plane=1)
    viewer.wait(lambda: not viewer.controller.previews.under_way)
    assert len(viewer.seen) == n + 1
    assert viewer.seen[-1].score is not None  # of the slice that is painted
    assert not viewer.failures


def test_a_child_that_dies_is_told_and_the_next_question_is_answered(viewer):
    model = viewer.learn()
    viewer.look([model] * 200, n=1)
    psutil.Process(viewer.controller.child_pid).kill()
    viewer.wait(lambda: bool(viewer.failures))
    assert "ended unexpectedly" in viewer.failures[0]
    viewer.look([model])


def test_no_more_of_an_image_is_written_than_is_looked_at(viewer):
    model = viewer.learn()
    pixels = np.zeros((40, 1500, 1500), np.uint8)
    viewer.entry = viewer.workspace.add_image(Stack(pixels, "ZYX", name="large"))
    viewer.look([model], plane=20)
    part = np.load(viewer.workspace.session.path(viewer.entry.id, "preview-pixels"))
    assert part.shape == (1 + 2 * BESIDE, SIDE_PX, SIDE_PX)
    assert not viewer.workspace.session.path(viewer.entry.id, "pixels").exists()


def test_what_is_painted_is_in_the_middle_of_the_window():
    painted = np.zeros((2000, 1000), np.uint8)
    painted[1990:, :10] = 2
    assert window_of_interest(painted.shape, painted) == (slice(1488, 2000), slice(0, 512))
    painted = np.zeros((2000, 1000), np.uint8)
    painted[1000:1003, 500:503] = 1
    assert window_of_interest(painted.shape, painted) == (slice(745, 1257), slice(245, 757))
    assert window_of_interest((100, 60), None) == (slice(0, 100), slice(0, 60))


def test_a_pixel_size_given_meanwhile_counts_in_the_next_picture(viewer) -> None:
    """Until then the scale is looked for, once for an image."""
    membranes = find_model("membranes")
    viewer.look([membranes])
    unknown = Path(viewer.seen[-1].picture).read_bytes()
    viewer.look([membranes])
    assert Path(viewer.seen[-1].picture).read_bytes() == unknown
    viewer.entry.stack = replace(viewer.entry.stack, pixel_size_um={"Y": 0.002, "X": 0.002})
    viewer.look([membranes])
    assert Path(viewer.seen[-1].picture).read_bytes() != unknown
