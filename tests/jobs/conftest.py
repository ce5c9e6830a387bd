"""A small scene to learn from, and workers that never outlive their test."""

import time

import numpy as np
import pytest

from napari_unetseg.events import Finished
from napari_unetseg.jobs import ImageRef, TrainCommand, TrainingImageRef, Worker, create_codes

N_PLANES, SIDE = 5, 64
TIMEOUT_S = 120


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """Keep the tests' children to one core; nothing here is large enough for more."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


class Scene:
    """A bright and dark checkerboard in a folder whose name is not easy."""

    def __init__(self, folder):
        self.folder = folder / "dossier é 実験"
        self.folder.mkdir()
        y, x = np.mgrid[:SIDE, :SIDE]
        self.truth = ((y // 16 + x // 16) % 2 + 1).astype(np.uint8)
        noise = np.random.default_rng(0).normal(0, 15, (N_PLANES, SIDE, SIDE))
        np.save(self.folder / "image.npy", (noise + 60 + 100 * (self.truth == 2)).astype(np.uint8))
        codes = np.zeros((N_PLANES, SIDE, SIDE), np.uint8)
        codes[0] = self.truth
        np.save(self.folder / "annotations.npy", codes)
        self.image = ImageRef("scene", str(self.folder / "image.npy"), "ZYX", name="sçene")
        self.n_predictions = 0

    def training(self, *, steps=3, **changes):
        """A command to train on the scene; `prediction` is what it will fill."""
        self.n_predictions += 1
        path = self.folder / f"prediction-{self.n_predictions}.npy"
        self.prediction = create_codes(path, (N_PLANES, SIDE, SIDE))
        image = TrainingImageRef(
            self.image, str(self.folder / "annotations.npy"), prediction=str(path)
        )
        training = {"steps": steps, "max_time_s": None, "patch_px": 64, "batch": 2}
        recipe = {"network": {"depth": 2, "filters": 8}, "training": training}
        chosen = {
            "images": [image],
            "recipe": recipe,
            "classes": [{"name": "blanc", "color": "#e69f00"}],
            "model_path": str(self.folder / f"modèle-{self.n_predictions}.unet"),
            "device": "cpu",
        }
        return TrainCommand(**{**chosen, **changes})


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


@pytest.fixture(scope="module")
def shared_worker():
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def worker(shared_worker):
    """A worker that is idle and warm as a rule; other tests of the module use it too."""
    yield shared_worker
    shared_worker.cancel()
    events_until(shared_worker, lambda _: False)


@pytest.fixture
def new_worker():
    """Make workers of one's own; they are closed at the end."""
    made = []

    def make(*arguments, **options):
        made.append(Worker(*arguments, **options))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


def events_until(worker, is_enough, timeout_s=TIMEOUT_S):
    """Poll until an event is enough or the job has ended; return all events."""
    events = []
    deadline = time.monotonic() + timeout_s
    while worker.state != "idle":
        assert time.monotonic() < deadline, f"nothing came after {events[-3:]}"
        for event in worker.poll():
            events.append(event)
            if is_enough(event):
                return events
        time.sleep(0.005)
    return events


def run(worker, command):
    """Run a job to its end; return its events and the last of them."""
    worker.submit(command)
    events = events_until(worker, lambda event: isinstance(event, Finished))
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Finished) for event in events) == 1
    return events, events[-1]


@pytest.fixture
def jobs():
    """The functions above."""

    class Functions:
        pass

    Functions.events_until = staticmethod(events_until)
    Functions.run = staticmethod(run)
    return Functions
