"""Hands what is painted on to a training that is under way, and remembers its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from psygnal import Signal

from napari_unetseg.config import Recipe
from napari_unetseg.events import AnnotationsTaken, CheckpointSaved, Event, Rested
from napari_unetseg.jobs import Painted, Worker

from .job_files import JobFiles
from .next_step import LiveState
from .workspace import Workspace

#: Checkpoints that are offered to return to.
MOST_CHECKPOINTS = 8


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model that was saved while somebody painted.

    Attributes
    ----------
    path : Path
        Its folder.
    mean_iou : float or None
        On held-out annotations at that time.
    """

    path: Path
    step: int
    mean_iou: float | None


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What training that follows a person begins with.

    Attributes
    ----------
    recipe : Recipe
    base : Path or None
        Model to start from.
    device : str
    """

    recipe: Recipe
    base: Path | None = None
    device: str = "auto"


class LiveTraining:
    """The window's side of training that follows a person.

    Strokes are noted when they end and handed on at the next `hand_on`: the difference is written
    into the file that the child reads, and a short message says where.

    Parameters
    ----------
    workspace : Workspace
    worker : Worker
    files : JobFiles

    Attributes
    ----------
    changed : Signal()
        Whether it is on, frozen or resting, or its checkpoints.
    frozen : Signal(bool)
        A person wants it to learn nothing for the time being, or to learn again.
    taken : Signal(int)
        Training includes all changes up to this one.
    is_on, is_frozen, is_resting : bool
    is_complete : bool
        Whether every slice has been segmented with all that was learned.
    revision : int
        Changes handed on so far.
    checkpoints : list of Checkpoint
        The newest last.
    settings : LiveSettings or None
        Of the training that is under way.
    """

    changed = Signal()
    frozen = Signal(bool)
    taken = Signal(int)

    def __init__(self, workspace: Workspace, worker: Worker, files: JobFiles) -> None:
        self.is_on = self.is_frozen = self.is_resting = self.is_complete = False
        self.revision = 0
        self.checkpoints: list[Checkpoint] = []
        self.settings: LiveSettings | None = None
        self._names: list[str] = []
        self._paints_beyond = False
        self._workspace = workspace
        self._worker = worker
        self._files = files
        self._noted: dict[str, set[int]] = {}
        self._images: set[str] = set()
        self._away: set[str] = set()
        workspace.codes_changed.connect(self._note)
        workspace.images_changed.connect(self._follow_images)

    def begin(self, settings: LiveSettings) -> None:
        """Note what is painted from now on."""
        self.is_on, self.is_frozen = True, False
        self.is_resting = self.is_complete = False
        self.settings = settings
        self._names, self._paints_beyond = self._class_names(), False
        self._images, self._away = set(self._workspace.images), set()
        self.revision = 0
        self.checkpoints = []
        self._noted.clear()
        self.changed.emit()

    def end(self) -> None:
        """Hand nothing more on."""
        self.is_on = self.is_frozen = self.is_resting = self.is_complete = False
        self.settings = None
        self._noted.clear()
        self.changed.emit()

    @property
    def state(self) -> LiveState:
        """What it is doing, in a word."""
        if not self.is_on:
            return "off"
        if self.is_frozen:
            return "frozen"
        return "resting" if self.is_resting else "learning"

    @property
    def is_outdated(self) -> bool:
        """Whether the classes are others than those that are trained.

        One that was only added counts from its first stroke on.
        """
        names, trained = self._class_names(), self._names
        if not self.is_on or names == trained:
            return False
        return names[: len(trained)] != trained or self._paints_beyond

    def hand_on(self) -> None:
        """Let the child know what has been painted since this was called last."""
        if self.is_outdated:
            return  # codes mean other classes than those it knows
        noted, self._noted = self._noted, {}
        for image_id, planes in noted.items():
            entry = self._workspace.images.get(image_id)
            if entry is None:
                continue
            for plane in sorted(planes):
                self._paints_beyond |= int(entry.codes[plane].max()) > len(self._names) + 1
                box = self._files.update_training_image(entry, plane)
                if box is not None:
                    self.revision += 1
                    self._worker.painted(Painted(image_id, plane, box, self.revision))

    def freeze(self, on: bool) -> None:
        """Learn nothing for the time being, or learn again."""
        if self.is_on:
            self.is_frozen = on
            self._worker.freeze(on)
            self.frozen.emit(on)
            self.changed.emit()

    def return_to(self, checkpoint: Checkpoint) -> None:
        """Take the weights of a checkpoint, and learn nothing more until told to."""
        if self.is_on:
            self.is_frozen = True
            self._worker.return_to(str(checkpoint.path))
            self.changed.emit()

    def hear(self, event: Event) -> None:
        """Take in what the child says."""
        match event:
            case AnnotationsTaken(revision=revision):
                self.is_resting = self.is_complete = False
                self.taken.emit(revision)
            case Rested(everywhere=everywhere):
                self.is_resting, self.is_complete = True, everywhere
            case CheckpointSaved(path, step, mean_iou):
                self.checkpoints.append(Checkpoint(Path(path), step, mean_iou))
                del self.checkpoints[:-MOST_CHECKPOINTS]
            case _:
                return
        self.changed.emit()

    def close(self) -> None:
        """Let go of the workspace."""
        self._workspace.codes_changed.disconnect(self._note)
        self._workspace.images_changed.disconnect(self._follow_images)

    def _class_names(self) -> list[str]:
        return [c.name for c in self._workspace.classes]

    def _follow_images(self) -> None:
        """Note what may have changed of an image while it was left out."""
        there = set(self._workspace.images)
        for image_id in self._away & there:
            # What was ever annotated stays decided.
            decided = self._workspace.images[image_id].blocks.any(axis=(1, 2))
            self._note(image_id, np.flatnonzero(decided).tolist())
        self._away = self._images - there

    def _note(self, image_id: str, planes: list[int]) -> None:
        # Of images that came later, the child knows nothing.
        if self.is_on and image_id in self._images:
            self._noted.setdefault(image_id, set()).update(planes)
