"""Classical methods over whole stacks."""

from __future__ import annotations

from pydantic import ValidationError

from napari_unetseg.classical import Chain, find_method, run_stack
from napari_unetseg.config import describe_validation_error
from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished, FinishReason
from napari_unetseg.jobs.commands import BaselineCommand
from napari_unetseg.jobs.pixels import open_codes, open_image
from napari_unetseg.wording import counted

from .job import Countdown, Emit, Job


def run_baseline(command: BaselineCommand, job: Job, emit: Emit) -> Finished:
    """Segment every slice of every image."""
    method = find_method(command.method)
    try:
        params = method.params.model_validate(command.params)
    except ValidationError as error:
        raise UserError(f"{command.method}: {describe_validation_error(error)}") from error
    chain = Chain.of(command.method, params)
    stacks = [open_image(item.image) for item in command.images]
    outputs = [
        open_codes(item.output, stack, "r+")
        for item, stack in zip(command.images, stacks, strict=True)
    ]
    total = sum(stack.n_planes for stack in stacks)
    countdown = Countdown(emit, "Segmenting slice", total)
    for stack, output in zip(stacks, outputs, strict=True):
        for _ in run_stack(chain, stack, out=output):
            countdown.advance()
            job.check()
    done = f"{method.title} was applied to {counted(total, 'slice')}."
    return Finished(FinishReason.COMPLETED, done)
