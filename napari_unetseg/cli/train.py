"""``napari-unetseg train``: a network from annotated images."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_unetseg.wording import counted

from .printing import say

if TYPE_CHECKING:
    from napari_unetseg.config import Recipe
    from napari_unetseg.events import TrainingStarted
    from napari_unetseg.learning import Model, TrainingSet

Kind = Literal["annotations", "masks", "objects"]
Transfer = Literal["all", "expanding", "head"]


def train(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE…", help="Files, folders or quoted globs.")
    ],
    labels: Annotated[
        list[str],
        typer.Option("--labels", "-l", help="Labels of the images; may be given several times."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The model, a folder: by custom NAME.unet.")
    ],
    labels_kind: Annotated[
        Kind | None,
        typer.Option(
            show_default="annotations",
            help="annotations: 0 unlabelled, 1 background, 2… classes; masks: 0 background, "
            "1… classes; objects: 0 background, ids.",
        ),
    ] = None,
    slices: Annotated[
        str | None, typer.Option(help="Slices whose labels count: 0,7,14 or 0-4.")
    ] = None,
    stack: Annotated[bool, typer.Option("--stack", help="Read a folder as one Z stack.")] = False,
    config: Annotated[
        str | None, typer.Option(help="A recipe as a JSON file, or the name of a preset.")
    ] = None,
    dims: Annotated[
        Literal["2", "2.5", "3"] | None,
        typer.Option(
            help="2: single slices; 2.5: slices with their neighbours; 3: volumes. As the config "
            "has it where left out, which is 2 by default.",
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            help="A model to start from, or the name of one that ships; to use it as it is, there "
            "is nothing to train: predict with it."
        ),
    ] = None,
    transfer: Annotated[
        Transfer | None,
        typer.Option(
            help="What of the base learns on: all; expanding: all but the contracting path, "
            "faster; head: the last layer alone, fastest."
        ),
    ] = None,
    new_head: Annotated[
        bool,
        typer.Option("--new-head", help="Forget what the base knows of classes of the same name."),
    ] = False,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Images the base learned from, to score it before and after."),
    ] = None,
    source_labels: Annotated[
        list[str] | None, typer.Option(help="Their labels, of the kind of --labels.")
    ] = None,
    pretrain: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|TIME",
            help="Look at all slices, unlabelled ones too, for 0.2 of the budget or 20s of it.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps.")] = None,
    max_time: Annotated[
        str | None,
        typer.Option(
            help="Wall clock from the start of the program to the model on disk: 60s, 2m or 1h."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Of everything random.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with this training, which was stopped."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model.")] = False,
) -> None:
    """Train a U-Net on annotated images."""
    from .threads import wait_briefly

    recipe = _recipe(config, steps, max_time, seed, dims, transfer, new_head, pretrain)
    if recipe.training.max_time_s is None:
        wait_briefly()
    from napari_unetseg.learning import (
        StateFile,
        Trainer,
        check_model_output,
        load_model,
        open_inputs,
        read_source_set,
        read_training_set,
    )

    from .inputs_kept import check_inputs_kept, folders_of
    from .progress import process_started_at, show_training

    check_inputs_kept(
        {
            "image": open_inputs([*images, *(source or [])], as_stack=stack),
            "labels file": open_inputs([*labels, *(source_labels or [])], as_stack=stack),
            "config": [config] if config and Path(config).is_file() else [],
            "base model": folders_of([] if base is None else [base]),
        },
        [output],
    )
    check_model_output(output, overwrite=overwrite or resume)
    state_file = StateFile(output, resume=resume)
    base_model = None if base is None else load_model(base)
    data = read_training_set(images, labels, labels_kind, slices=slices, as_stack=stack)
    sources = read_source_set(source or [], source_labels or [], labels_kind, base_model)
    trainer = Trainer(
        data.images,
        recipe,
        data.classes,
        name=output.name.removesuffix(".unet"),
        base=base_model,
        device=device,
        started_at=process_started_at(),
        label_values=data.label_values,
        source=sources,
        state_file=state_file,
    )
    try:
        show_training(trainer.run(), partial(_said_of_start, data, recipe))
    except KeyboardInterrupt:
        say(_said_of_stop(output), err=True)
        raise
    except Exception:  # goes on to whoever called; a mistake in the command leaves nothing behind
        if not resume:  # but what was learned before it
            state_file.remove()
        raise
    model = trainer.current_model()
    # A state in the folder of a model is of a training that was to replace it.
    model.save(output, overwrite=overwrite or resume)
    _report(model, output)


def _said_of_stop(output: Path) -> str:
    from napari_unetseg.config import is_unfinished

    if is_unfinished(output):
        return f"What was learned is in {output}; the same command with --resume goes on."
    return "Nothing was saved yet: a training can be resumed from half a minute on."


def _recipe(
    config: str | None,
    steps: int | None,
    max_time: str | None,
    seed: int | None,
    dims: str | None,
    transfer: Transfer | None,
    new_head: bool,
    pretrain: str | None,
) -> Recipe:
    """Apply the command line to a config; a budget given here replaces that of the config."""
    from napari_unetseg.config import Recipe, load_recipe
    from napari_unetseg.errors import UserError

    recipe = Recipe() if config is None else load_recipe(config)
    if dims not in (None, "2") and recipe.network.kind != "unet":
        raise UserError(
            f"The network {recipe.network.kind} sees single slices; leave out --dims {dims}."
        )
    if dims is not None and recipe.network.kind == "unet":
        recipe = recipe.replace(network=recipe.network.replace(dims=dims).model_dump())
    changes: dict[str, Any] = {}
    if steps is not None or max_time is not None:
        seconds = None if max_time is None else parse_duration(max_time)
        changes.update(steps=steps, max_time_s=seconds)
    if seed is not None:
        changes["seed"] = seed
    if transfer is not None:
        changes["transfer"] = transfer
    if new_head:
        changes["new_head"] = True
    training = recipe.training.replace(**changes)
    if pretrain is not None:
        training = training.replace(pretrain=parse_share(pretrain, training.max_time_s))
    return recipe.replace(training=training.model_dump())


def parse_share(text: str, max_time_s: float | None) -> float:
    """Read ``0.2`` and ``20%`` as a share, and ``20s`` as one of `max_time_s`."""
    from napari_unetseg.errors import UserError

    number = text.strip().removesuffix("%")
    try:
        share = float(number) / (1 if number == text.strip() else 100)
    except ValueError:
        if max_time_s is None:
            raise UserError(
                f"--pretrain {text} needs --max-time, of which it is a part; with --steps alone, "
                "give a share such as 0.2."
            ) from None
        share = parse_duration(text) / max_time_s
    if not 0 <= share <= 0.9:
        raise UserError(
            f"--pretrain {text} is not between none and 0.9 of the training; choose less."
        )
    return share


def parse_duration(text: str) -> float:
    """Read ``60``, ``60s``, ``2m``, ``1.5h`` as seconds."""
    from napari_unetseg.errors import UserError

    number, unit = text.strip().lower(), 1.0
    for suffix, seconds in (("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if number.endswith(suffix):
            number, unit = number.removesuffix(suffix), seconds
            break
    try:
        value = float(number) * unit
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"{text!r} is no length of time; write it as 60s, 2m or 1h.")
    return value


def _said_of_start(data: TrainingSet, recipe: Recipe, event: TrainingStarted) -> str:
    for note in data.notes:  # not before: what is wrong is one sentence alone
        say(note, err=True)
    held_out = "nothing is held out, because too little is labelled"
    if event.n_held_out_px:
        held_out = f"{event.n_held_out_px:,} more are held out to score with"
    return (
        f"Training on {event.device} in {event.precision}: {counted(len(data.images), 'image')}, "
        f"{event.n_labelled_px:,} labelled px; {held_out}.{_said_of_reading(recipe)}"
    )


def _said_of_reading(recipe: Recipe) -> str:
    """Say that half of the time or more was gone before the first step."""
    from .progress import process_started_at

    given, gone = recipe.training.max_time_s, time.time() - process_started_at()
    if given is None or gone < given / 2:
        return ""
    return (
        f" Reading took {gone:.0f} s of the {given:.0f} s there are: with a longer --max-time it "
        "learns more."
    )


def _before(model: Model) -> str:
    """Say what the base model had, if there was one."""
    started = (row.get("held_out_mean_iou") for row in model.history if row["step"] == 0)
    iou = next((value for value in started if value is not None), None)
    return "" if iou is None else f" ({iou:.3f} before)"


def _report(model: Model, output: Path) -> None:
    history, scores = model.info.history, model.info.scores
    say(f"Trained for {counted(history['steps'], 'step')}, {history['seconds']:.0f} s.")
    if scores:
        classes = ", ".join(f"{name} {iou:.3f}" for name, iou in scores["iou"].items())
        iou = f"{scores['mean_iou']:.3f}{_before(model)}"
        say(f"Held-out mean IoU {iou} over {scores['n_px']:,} px ({classes}).")
    say(f"Model: {output}")
