"""Where annotating is worth most next; imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from napari_unetseg.events import Finished, FinishReason, RegionsSuggested
from napari_unetseg.jobs.commands import SuggestCommand
from napari_unetseg.learning import Model, Suggester, TrainingImage
from napari_unetseg.learning.device import choose_device
from napari_unetseg.wording import counted

from .job import Countdown, Emit, Job
from .prediction import RecentModels
from .training import opened, training_images


def run_suggest(command: SuggestCommand, job: Job, emit: Emit, models: RecentModels) -> Finished:
    """Look at the slices and rank regions of them."""
    images = training_images(command, opened(command, emit))
    model = None if command.model is None else models.load(command.model)
    device = choose_device(command.device)
    suggester = Suggester(images, model, device=device, resample=True)
    countdown = Countdown(emit, "Looking at slice", suggester.n_slices)
    for _ in suggester.look():
        countdown.advance()
        job.check()
    found = _told(suggester, [item.image.id for item in command.images], command.n)
    emit(found)
    n = len(found.regions)
    sentence = f"{counted(n, 'place')} suggested." if n else "Nothing is left to suggest."
    return Finished(FinishReason.COMPLETED, sentence)


class Suggesting:
    """The same, a slice at a time, while something else goes on.

    Parameters
    ----------
    images : sequence of TrainingImage
    ids : sequence of str
        Of the images.
    model : Model
        Of these images.
    n : int
        Regions at most.
    """

    def __init__(
        self, images: Sequence[TrainingImage], ids: Sequence[str], model: Model, n: int
    ) -> None:
        self._ids = ids
        self._n = n
        self._suggester = Suggester(images, model)
        self._looking = self._suggester.look()

    def go_on(self) -> RegionsSuggested | None:
        """Look at one more slice; return the regions once all have been looked at."""
        if next(self._looking, None) is not None:
            return None
        return _told(self._suggester, self._ids, self._n)


def _told(suggester: Suggester, ids: Sequence[str], n: int) -> RegionsSuggested:
    regions = [{**asdict(s), "image": ids[s.image]} for s in suggester.ranked(n)]
    return RegionsSuggested(regions)
