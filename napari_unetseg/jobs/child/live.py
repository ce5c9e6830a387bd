"""Training that follows a person who is painting; imports torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_unetseg.events import (
    AnnotationsTaken,
    CheckpointSaved,
    Event,
    Finished,
    Rested,
    TrainingStep,
)
from napari_unetseg.jobs.commands import LiveCommand
from napari_unetseg.learning import TrainingImage
from napari_unetseg.learning.device import choose_device
from napari_unetseg.learning.live_regions import Change
from napari_unetseg.learning.live_trainer import LiveTrainer

from .job import Emit, Job
from .prediction import RecentModels
from .suggesting import Suggesting
from .training import images_in_view, keep_and_apply, opened, training_images, understood
from .view import View

#: Seconds between checkpoints while somebody is painting.
CHECKPOINT_EVERY_S = 45.0

#: Seconds between looks at what the window says while there is nothing to do.
_PAUSE_S = 0.02


def run_live(command: LiveCommand, job: Job, emit: Emit, models: RecentModels) -> Finished:
    """Train until told to stop, then save the model and segment every slice."""
    device = choose_device(command.device)
    stacks = opened(command, emit)
    recipe, classes = understood(command)
    changes = Changes(job, command)
    images = training_images(command, stacks)
    ids = [item.image.id for item in command.images]
    trainer = LiveTrainer(
        images,
        recipe,
        classes,
        changes.take,
        name=Path(command.model_path).stem,
        base=None if command.base is None else models.load(command.base),
        device=device,
    )
    targets = images_in_view(command, stacks)
    view = View(trainer.current_model, targets, device, emit)
    follower = Follower(trainer, view, Path(command.checkpoints), job, emit, changes, images, ids)
    for event in trainer.run():
        job.check()
        follower.hear(event)
        if job.stop:
            trainer.stop()
    return keep_and_apply(command, trainer, targets, follower.last, device, job, emit, models)


class Follower:
    """Does what is to be done between steps: shows, saves, pauses, returns.

    Attributes
    ----------
    last : TrainingStep or None
        The last one that was reported.
    """

    def __init__(
        self,
        trainer: LiveTrainer,
        view: View,
        checkpoints: Path,
        job: Job,
        emit: Emit,
        changes: Changes,
        images: Sequence[TrainingImage],
        ids: Sequence[str],
    ) -> None:
        self.last: TrainingStep | None = None
        self._trainer = trainer
        self._view = view
        self._checkpoints = checkpoints
        self._job = job
        self._emit = emit
        self._changes = changes
        self._images = images
        self._ids = ids
        self._suggesting: Suggesting | None = None
        self._resting = self._everywhere = False
        self._n_saved = 0
        self._saved_at = time.monotonic()
        self._saved_step = 0
        self._taken = False

    def hear(self, event: Event) -> None:
        """Hand an event on, and do what is due after it."""
        job = self._job
        match event:
            case AnnotationsTaken():
                self._emit(replace(event, revision=self._changes.revision))
                self._view.hurry(event.step)
                self._taken, self._resting = True, False
            case Rested():
                self._rest(event)
            case TrainingStep():
                self.last = event
                self._emit(event)
                if not job.stop:
                    self._view.follow(job.looked_at, event.step)
                    self._save_when_due(event.step)
            case _:
                self._emit(event)
        self._suggest()
        while job.frozen and not job.stop and self.last is not None:
            self._stay_frozen(self.last.step)

    def _rest(self, event: Rested) -> None:
        if not self._resting:
            self._emit(event)
            self._resting, self._everywhere = True, False
            if event.step > self._saved_step:
                self._save(event.step)
        if self._suggesting is not None:
            return  # they are waited for
        if self._view.fill(self._job.looked_at, event.step):
            self._everywhere = False
        elif not self._everywhere:
            self._emit(Rested(event.step, everywhere=True))
            self._everywhere = True
        else:
            time.sleep(_PAUSE_S)

    def _stay_frozen(self, step: int) -> None:
        self._job.check()
        path, self._job.return_to = self._job.return_to, None
        if path is not None and self._trainer.return_to(path):
            self._view.forget()
        self._suggest()
        if not self._view.fill(self._job.looked_at, step):
            time.sleep(_PAUSE_S)

    def _suggest(self) -> None:
        """Look at one more slice for the regions that are asked for."""
        if self._job.suggest:
            model = self._trainer.current_model()
            self._suggesting = Suggesting(self._images, self._ids, model, self._job.suggest)
            self._job.suggest = 0
        if self._suggesting is not None:
            found = self._suggesting.go_on()
            if found is not None:
                self._emit(found)
                self._suggesting = None

    def _save_when_due(self, step: int) -> None:
        if self._taken and time.monotonic() - self._saved_at >= CHECKPOINT_EVERY_S:
            self._save(step)

    def _save(self, step: int) -> None:
        self._n_saved += 1
        path = self._checkpoints / f"{self._n_saved}.unet"
        model = self._trainer.checkpoint(str(path))
        model.save(path, overwrite=True)
        self._saved_at, self._saved_step, self._taken = time.monotonic(), step, False
        score = model.info.scores.get("mean_iou")
        self._emit(CheckpointSaved(str(path), step, score))


class Changes:
    """What the window says it has changed, as training understands it.

    Attributes
    ----------
    revision : int
        Of the last change that was taken.
    """

    def __init__(self, job: Job, command: LiveCommand) -> None:
        self.revision = 0
        self._job = job
        self._numbers = {item.image.id: n for n, item in enumerate(command.images)}

    def take(self) -> list[Change]:
        """Return what has changed since this was called last."""
        painted = self._job.take_painted()
        if painted:
            self.revision = painted[-1].revision
        return [
            Change(self._numbers[p.image], p.plane, (p.box[0], p.box[1], p.box[2], p.box[3]))
            for p in painted
        ]
