"""``napari-unetseg predict``: images segmented by a model."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .printing import say

if TYPE_CHECKING:
    from napari_unetseg.images import Stack
    from napari_unetseg.learning import Model


def predict(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE…", help="Files, folders or quoted globs.")
    ],
    model: Annotated[
        Path,
        typer.Option("--model", "-m", help="A model folder, or the name of one that ships."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="A .tif or .zarr, or a folder with one .tif per image."
        ),
    ],
    slices: Annotated[
        str | None,
        typer.Option(help="Segment only these: 0,7,14 or 0-4; the others stay empty."),
    ] = None,
    stack: Annotated[bool, typer.Option("--stack", help="Read a folder as one Z stack.")] = False,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER|NAME",
            help="Of images with more channels than the model looks at, the one that it does, from "
            "1; may be given several times.",
        ),
    ] = None,
    objects: Annotated[
        bool,
        typer.Option("--objects", help="Write ids of objects instead of classes."),
    ] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write OUT_probabilities too.")
    ] = False,
    uncertainty: Annotated[
        bool,
        typer.Option("--uncertainty", help="Write OUT_uncertainty too: 0 certain, 1 a guess."),
    ] = False,
    tta: Annotated[
        bool,
        typer.Option("--tta", help="Average over eight flips and turns: slower, better."),
    ] = False,
    resample: Annotated[
        bool | None,
        typer.Option(
            "--resample/--no-resample",
            help="Scale images to the model's pixel size; models that ship do, and look for the "
            "scale themselves where no pixel size is known; others do not.",
        ),
    ] = None,
    then: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP",
            help="A refinement of what is written, such as fill_holes, "
            "remove_small:min_area_px=50 or crf; may be given several times. baseline --list "
            "shows them.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Segment images with a model."""
    from napari_unetseg.learning import choose_device, load_model, open_inputs

    from .inputs_kept import folders_of
    from .outputs import FinishedImages, check_outputs, plan_outputs, write_record
    from .predicted_files import Asked, go_on_naming, segment
    from .progress import bar
    from .refining import refinements
    from .steps import note_on_numbers, option_for_3d

    chain = refinements(then or [], of_objects=objects)
    paths = open_inputs(images, as_stack=stack)
    plan = plan_outputs(
        paths,
        output,
        probabilities=probabilities,
        uncertainty=uncertainty,
        read={"model": folders_of([model])},
    )
    finished = FinishedImages(plan.record)
    check_outputs(plan, overwrite=overwrite, finished=finished.written())
    loaded = load_model(model)
    if resample is None:
        resample = loaded.info.card is not None
    asked = Asked(loaded, choose_device(device), chain, objects, resample, tta, overwrite)
    opened = _open(paths, loaded, slices, channel or [], objects=objects, resample=resample)
    option = "" if chain is None else option_for_3d(chain, None, then or [])
    if numbered := note_on_numbers(option, opened):
        say(numbered, err=True)
    answers = []
    with bar() as progress:
        task = progress.add_task("Segmenting", total=sum(len(planes) for _, planes in opened))
        for (image, planes), files in zip(opened, plan.files, strict=True):
            progress.update(task, description=f"Segmenting {image.name}")
            facts = asked.facts(image, planes, files) | {"--channel": channel or []}
            scale = finished.scale(files, facts)
            if scale is None:
                scale = finished.scale_in_naming(files, facts)
                if scale is not None:
                    go_on_naming(files)
            if scale is None:
                show = partial(progress.update, task)
                begin_naming = partial(finished.begin_naming, files, facts)
                scale = segment(image, planes, files, asked, facts, begin_naming, show)
            else:
                say(f"{files.labels} is finished already.", err=True)
                progress.advance(task, len(planes))
            finished.add(files, facts, scale)
            answers.append(
                {
                    **_facts(image),
                    "scale": round(scale, 4),
                    "output": str(files.labels),
                    "slices": planes,
                }
            )
    record = {
        "command": sys.argv[1:],
        "model": {"path": str(model), "name": loaded.info.name, "created": loaded.info.created},
        "classes": [c.model_dump() for c in loaded.info.classes],
        "device": {"name": asked.device.name, "precision": asked.device.precision},
        "options": {"objects": objects, "resample": resample, "tta": tta}
        | ({"channels": channel} if channel else {}),
        "then": [] if chain is None else chain.model_dump(mode="json")["steps"],
        "images": answers,
    }
    write_record(plan.record, record, overwrite=overwrite)
    finished.forget()
    say(f"Segmentation: {output}, and how it was made: {plan.record}")
    if plan.aside:
        say(f"Beside it: {', '.join(map(str, plan.aside))}")


def _open(
    paths: list[Path],
    model: Model,
    slices: str | None,
    channels: list[str],
    *,
    objects: bool,
    resample: bool,
) -> list[tuple[Stack, list[int]]]:
    """Open every image and check it before the first is segmented."""
    from napari_unetseg.images import (
        check_channels,
        check_pixels,
        check_resampling,
        open_stack,
        parse_slices,
        pixel_size_note,
        with_channels,
    )
    from napari_unetseg.learning import check_memory_for_objects

    opened = []
    for path in paths:
        stack = with_channels(open_stack(path), channels)
        for sentence in stack.notes:
            say(f"{stack.name}: {sentence}", err=True)
        check_channels(model.info, stack)
        planes = parse_slices(slices, stack.n_planes)
        check_pixels(stack, planes)
        if resample:
            check_resampling(model.info, stack)
        if objects:
            check_memory_for_objects(model.info, stack)
        note = pixel_size_note(model.info, stack, resample=resample)
        if note:
            say(note if resample else f"{note} (--resample)", err=True)
        opened.append((stack, planes))
    return opened


def _facts(image: Stack) -> dict[str, Any]:
    from napari_unetseg.images import fingerprint

    return {
        "image": str(image.path),
        "axes": image.axes,
        "shape": list(image.shape),
        "pixel_size_um": image.pixel_size_um,
        "fingerprint": fingerprint(image),
    }
