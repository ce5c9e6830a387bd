"""``napari-unetseg pretrain``: make the models that ship anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .printing import say

if TYPE_CHECKING:
    from napari_unetseg.events import TrainingStarted

#: Steps of the models that ship.
STEPS = 8_000


def pretrain(
    backbone: Annotated[
        Literal["electron", "light"], typer.Argument(help="What kind of microscope it is for.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the models.")],
    nuclei: Annotated[
        Path | None,
        typer.Option(help="Folder of BBBC038: images/ and masks/, PNG files of the same names."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = STEPS,
    seed: Annotated[int, typer.Option(min=0, help="The same seed learns the same.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw images.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what was stopped.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Train models for everybody's images, from synthetic ones."""
    from napari_unetseg.errors import UserError
    from napari_unetseg.learning import check_model_output, choose_device
    from napari_unetseg.learning.backbone import BackbonePretrainer
    from napari_unetseg.learning.backbones import backbone as named
    from napari_unetseg.learning.bundle import in_half_precision
    from napari_unetseg.learning.resume import StateFile
    from napari_unetseg.synthesis.nuclei_images import check_nuclei

    from .progress import show_training

    if nuclei is not None and backbone == "electron":
        raise UserError("Nuclei are learned by the backbone light; leave out --nuclei.")
    if nuclei is not None:
        check_nuclei(nuclei)
    chosen = choose_device(device)
    wanted = named(backbone, nuclei)
    targets = {head: output / f"{head.model}.unet" for head in wanted.heads}
    unfinished = output / f"{backbone}.pretraining"
    for target in (*targets.values(), unfinished):
        check_model_output(target, overwrite=overwrite or resume)
    state_file = StateFile(unfinished, resume=resume)
    trainer = BackbonePretrainer(wanted, steps, seed, device=chosen, state_file=state_file)
    try:
        show_training(trainer.run(workers), _said_of_start)
    except KeyboardInterrupt:
        if unfinished.exists():
            said = f"What was learned is in {unfinished}; the same command with --resume goes on."
            say(said, err=True)
        raise
    models = {head: in_half_precision(trainer.model(head)) for head in targets}
    for head, target in targets.items():
        models[head].save(target, overwrite=overwrite or resume)
        say(f"Model: {target}")
    state_file.remove()


def _said_of_start(event: TrainingStarted) -> str:
    return f"Training on {event.device} in {event.precision}."
