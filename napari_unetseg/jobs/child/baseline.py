"""Classical steps over whole stacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import ValidationError

from napari_unetseg.classical import (
    LARGEST_GREY,
    Chain,
    ChainRecipe,
    Source,
    Told,
    answers,
    find_step,
    run_stack,
)
from napari_unetseg.config import describe_validation_error
from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished, FinishReason
from napari_unetseg.images import check_numbers, check_pixels, map_npy
from napari_unetseg.jobs.commands import BaselineCommand, ImageToSegment
from napari_unetseg.jobs.pixels import create_labels, open_codes, open_image
from napari_unetseg.wording import counted

from .job import Countdown, Emit, Job


def run_baseline(command: BaselineCommand, job: Job, emit: Emit) -> Finished:
    """Segment every slice of every image."""
    try:
        chain = Chain.model_validate(command.chain)
        recipe = ChainRecipe.model_validate({"chain": chain, "learned": command.learned})
    except ValidationError as error:
        raise UserError(describe_validation_error(error)) from error
    sources = [_source(item) for item in command.images]
    check = check_numbers if chain.method() is None else check_pixels
    for source in sources:
        check(source.stack, largest=LARGEST_GREY)
    prepared = recipe.prepared_for(sources)
    total = sum(source.stack.n_planes for source in sources)
    countdown = Countdown(emit, "Segmenting slice", total)
    n_empty = 0
    for item, source, shared in zip(command.images, sources, prepared, strict=True):
        shape = (source.stack.n_planes, *source.stack.plane_shape)
        output = create_labels(item.output, shape, _kind(chain, source))
        for _ in run_stack(chain, source, out=output, prepared=shared):
            countdown.advance()
            job.check()
        n_empty += sum(not plane.any() for plane in output)
        output.flush()
    if command.kept is not None:
        kept = recipe.keeping(sources, prepared)
        Path(command.kept).write_text(kept.model_dump_json(), encoding="utf-8")
    titles = [find_step(settings.step).title for settings in chain.steps]
    verb = "was" if len(titles) == 1 else "were"
    done = f"{', '.join(titles)} {verb} applied to {counted(total, 'slice')}."
    return Finished(FinishReason.COMPLETED, done + _said_of_empty(chain, n_empty))


def _said_of_empty(chain: Chain, n_planes: int) -> str:
    """Say why slices have no answer, where the method grows from strokes on each."""
    found = chain.method()
    if not n_planes or found is None or found[0].use_of_strokes(found[1]) != "needed":
        return ""
    stay = "stays" if n_planes == 1 else "stay"
    in_3d = "" if getattr(found[1], "in_3d", True) else "; in 3D it grows on from other slices"
    return f" {counted(n_planes, 'slice')} {stay} empty: nothing is painted there{in_3d}."


def _source(item: ImageToSegment) -> Source:
    stack = open_image(item.image)
    strokes = None if item.strokes is None else open_codes(item.strokes, stack)
    labels = None if item.labels is None else map_npy(item.labels, "r")
    told = None
    if item.probabilities is not None:
        told = Told(map_npy(item.probabilities, "r"), item.codes)
    return Source(stack, strokes=strokes, labels=labels, probabilities=told)


def _kind(chain: Chain, source: Source) -> str:
    begun = source.labels
    kept = "objects" if begun is not None and begun.dtype != np.uint8 else "classes"
    return answers(chain) or kept
