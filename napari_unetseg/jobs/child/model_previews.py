"""Small pictures of what models make of the slice in view; imports torch."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished, FinishReason, ModelPreviewed
from napari_unetseg.images import is_scale_open, map_npy, normalisation_of
from napari_unetseg.jobs.commands import PreviewModelsCommand
from napari_unetseg.jobs.pixels import open_image
from napari_unetseg.learning.device import choose_device
from napari_unetseg.learning.model_previews import PICTURE_PX, preview_model
from napari_unetseg.wording import counted

from .job import Emit, Job
from .prediction import RecentModels


def run_previews(
    command: PreviewModelsCommand, job: Job, emit: Emit, models: RecentModels
) -> Finished:
    """Draw a picture for each model; one that does not fit says why."""
    device = choose_device(command.device)
    part, sample = open_image(command.part), map_npy(command.sample)
    codes = None if command.annotations is None else map_npy(command.annotations)
    for number, path in enumerate(command.models):
        job.check()
        try:
            model = models.load(path)
            how = normalisation_of(sample, model.info.recipe.normalisation)
            # A pixel size that a person has given meanwhile counts at once.
            is_open = is_scale_open(model.info, part)
            preview = preview_model(
                model,
                part,
                command.plane,
                how,
                codes=codes,
                device=device,
                scale=models.scales.get((path, command.sample)) if is_open else None,
            )
            if is_open:
                models.scales[path, command.sample] = preview.scale
        except UserError as error:
            emit(ModelPreviewed(path, sentence=str(error)))
            continue
        picture = Image.fromarray(preview.picture)
        picture.thumbnail((PICTURE_PX, PICTURE_PX))
        target = Path(command.folder) / f"{job.number}-{number}.png"
        picture.save(target)
        emit(ModelPreviewed(path, str(target), preview.score))
    return Finished(FinishReason.COMPLETED, f"{counted(len(command.models), 'model')} to see.")
