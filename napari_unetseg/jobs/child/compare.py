"""The table that says which method to use, for a window; imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from napari_unetseg.comparison import AnnotatedImage, Comparison
from napari_unetseg.config import LabelClass, describe_validation_error
from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished, FinishReason, MethodCompared
from napari_unetseg.jobs.commands import CompareCommand
from napari_unetseg.jobs.pixels import Codes, create_codes

from .job import Emit, Job
from .training import opened, training_images


def run_compare(command: CompareCommand, job: Job, emit: Emit) -> Finished:
    """Compare methods; each row is sent when it is known."""
    images = [
        AnnotatedImage(image.stack, image.codes, image.blocks)
        for image in training_images(command, opened(command, emit))
    ]
    answers = _Answers(Path(command.folder), [item.image.id for item in command.images], images)

    def check() -> None:
        job.check()
        if job.stop:
            comparison.stop()

    comparison = Comparison(
        images,
        _classes(command),
        models=command.models,
        max_time_s=command.max_time_s,
        model_path=Path(command.folder) / "network.unet",
        device=command.device,
        keep=answers.keep,
        check=check,
    )
    for event in comparison.run():
        emit(answers.told(event) if isinstance(event, MethodCompared) else event)
        job.check()
    found = comparison.recommended()
    reason = FinishReason.STOPPED_EARLY if job.stop else FinishReason.COMPLETED
    return Finished(reason, found.sentence, results={"recommended": found.name})


def _classes(command: CompareCommand) -> tuple[LabelClass, ...]:
    try:
        return tuple(LabelClass.model_validate(c) for c in command.classes)
    except ValidationError as error:
        raise UserError(describe_validation_error(error)) from error


class _Answers:
    """Files of what methods answer to slices that they are scored on.

    Parameters
    ----------
    folder : Path
    ids : sequence of str
        Of the images.
    images : sequence of AnnotatedImage
    """

    def __init__(self, folder: Path, ids: Sequence[str], images: Sequence[AnnotatedImage]) -> None:
        self._folder = folder
        self._ids = ids
        self._shapes = [image.codes.shape for image in images]
        self._files: dict[tuple[str, int], tuple[Path, Codes]] = {}

    def keep(self, name: str, image: int, plane: int, codes: Codes) -> None:
        """Write a slice."""
        key = name, image
        if key not in self._files:
            path = self._folder / f"answers-{len(self._files)}.npy"
            self._files[key] = path, create_codes(path, self._shapes[image])
        self._files[key][1][plane] = codes

    def told(self, row: MethodCompared) -> MethodCompared:
        """Return a row that says where its answers are; they are written out by then."""
        found: dict[str, str] = {}
        for (name, image), (path, codes) in self._files.items():
            if name == row.name:
                assert isinstance(codes, np.memmap)
                codes.flush()
                found[self._ids[image]] = str(path)
        return replace(row, answers=found)
