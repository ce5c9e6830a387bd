"""A window with one image and a worker that does what the test says."""

from __future__ import annotations

import numpy as np
from person import Person

from napari_unetseg.config import LabelClass, ModelInfo, Recipe
from napari_unetseg.events import Finished, FinishReason, TrainingStarted
from napari_unetseg.jobs import JobState
from napari_unetseg.jobs.commands import PreviewModelsCommand
from napari_unetseg.project import Session
from napari_unetseg.widgets.context import Context
from napari_unetseg.workspace import JobController, Workspace

CLASSES = (LabelClass(name="cell", color="#e69f00"),)


class ScriptedWorker:
    """Stands where the child process does; says what it is told to say."""

    state = JobState.IDLE

    #: Whether pictures of models are asked for in vain, as if there were none to see.
    ignores_previews = True

    def __init__(self) -> None:
        self.commands = []
        self.said = []
        self.looked_at = []
        self.asked = []

    def start(self):
        pass

    def submit(self, command):
        if isinstance(command, PreviewModelsCommand) and self.ignores_previews:
            self.said.append(Finished(FinishReason.COMPLETED, ""))
        else:
            self.commands.append(command)

    def look_at(self, image_id, plane, box=None):
        self.looked_at.append((image_id, plane))

    def stop(self):
        self.asked.append("stop")

    def cancel(self):
        self.asked.append("cancel")

    def poll(self):
        said, self.said = self.said, []
        return said

    def close(self):
        pass


def cells(shape=(4, 96, 128)) -> np.ndarray:
    """Return bright discs on dark ground, another number of them on each slice."""
    _, height, width = shape
    y, x = np.mgrid[:height, :width]
    planes = np.full(shape, 40, np.float32)
    for plane in range(shape[0]):
        for i in range(plane + 1):
            planes[plane][(y - height / 2) ** 2 + (x - 20 - 28 * i) ** 2 < 100] = 200
    noise = np.random.default_rng(0).normal(0, 5, shape)
    return np.clip(planes + noise, 0, 255).astype(np.uint8)


class Stage:
    """Everything a step works with, and the hand that works it."""

    def __init__(self, viewer, folder, pixels=None, **image) -> None:
        self.viewer = viewer
        self.worker = ScriptedWorker()
        self.workspace = Workspace(Session(folder / "sessions"))
        self.controller = JobController(self.workspace, self.worker)
        self.context = Context(viewer, self.workspace, self.controller)
        self.layers = self.context.layers
        self.folder = folder
        self.said = []
        self._n_submitted = 0
        self.context.said.connect(self.said.append)
        self.person = Person(viewer)
        self.entry = None
        if pixels is not None:
            self.image = viewer.add_image(pixels, name="cells", **image)
            self.entry = self.layers.add_image([self.image])

    def show(self, step):
        """Dock a step and enter it."""
        panel = step(self.context)
        self.viewer.window.add_dock_widget(panel, name=panel.TITLE)
        panel.entered()
        return panel

    def annotate(self, plane=1, everything=False):
        """Paint both classes on a slice: a few pixels, or all of them."""
        codes = self.entry.codes.copy()
        pixels = self.entry.stack.plane(plane)[0]
        if everything:
            codes[plane] = np.where(pixels > 120, 2, 1)
        else:
            codes[plane, 2:6, 2:6] = 1
            codes[plane, 46:50, 18:22] = 2
        self.workspace.commit_annotations(self.entry.id, codes, [plane])

    def say(self, *events):
        """Let the worker say something."""
        self.worker.said += events
        self.controller.poll()

    def submitted(self):
        """Wait until the worker has its next command; return it."""
        n = self._n_submitted
        self.person.wait(lambda: self.controller.poll() or len(self.worker.commands) > n, 10)
        self._n_submitted = len(self.worker.commands)
        return self.worker.commands[-1]

    def train_started(self, n_held_out_px=0):
        """Let the worker report that training has begun."""
        self.say(TrainingStarted("cpu", "bfloat16", 32, n_held_out_px))

    def finish(self, sentence="Done."):
        self.say(Finished(FinishReason.COMPLETED, sentence))

    def model(self, name="first", **changes) -> ModelInfo:
        """Write what a model says of itself; return its folder."""
        folder = self.folder / f"{name}.unet"
        folder.mkdir(exist_ok=True)
        facts = {"name": name, "recipe": Recipe(), "classes": CLASSES, "channels": ("grey",)}
        info = ModelInfo(**(facts | changes))
        (folder / "model.json").write_text(info.model_dump_json(), encoding="utf-8")
        return folder

    def close(self):
        self.context.timer.stop()
        self.layers.close()
        self.controller.close()
        self.workspace.close()
