"""``napari-unetseg predict``: images segmented by a model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import typer

if TYPE_CHECKING:
    from napari_unetseg.images import Stack
    from napari_unetseg.learning import Model

    from .outputs import Outputs

#: Codes of shape (planes, Y, X), and probabilities (planes, K, Y, X) where they are wanted.
Answer: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32] | None]


def predict(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE…", help="Files, folders or quoted globs.")
    ],
    model: Annotated[Path, typer.Option("--model", "-m", help="A model folder.")],
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
    objects: Annotated[
        bool,
        typer.Option("--objects", help="Write ids of connected objects instead of classes."),
    ] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write OUT_probabilities too.")
    ] = False,
    resample: Annotated[
        bool, typer.Option("--resample", help="Scale images to the model's pixel size.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Segment images with a model."""
    from .threads import wait_briefly

    wait_briefly()
    from napari_unetseg.learning import choose_device, iter_predict, load_model, open_inputs

    from .outputs import check_outputs, plan_outputs, write_record
    from .progress import bar

    paths = open_inputs(images, as_stack=stack)
    plan = plan_outputs(paths, output, probabilities=probabilities)
    check_outputs(plan, overwrite=overwrite)
    loaded = load_model(model)
    chosen = choose_device(device)
    opened = _open(paths, loaded, slices, resample=resample)
    answers = []
    with bar() as progress:
        task = progress.add_task("Segmenting", total=sum(len(planes) for _, planes in opened))
        for (image, planes), files in zip(opened, plan.files, strict=True):
            progress.update(task, description=f"Segmenting {image.name}")
            answer = _segment(
                iter_predict(loaded, image, planes, device=chosen, resample=resample),
                image,
                keep_probabilities=files.probabilities,
                n_classes=len(loaded.class_names),
                advance=lambda: progress.advance(task),
            )
            _write(answer, files, (image, planes), loaded, objects=objects, overwrite=overwrite)
            answers.append({**_facts(image), "output": str(files.labels), "slices": planes})
    record = {
        "command": sys.argv[1:],
        "model": {"path": str(model), "name": loaded.info.name, "created": loaded.info.created},
        "classes": [c.model_dump() for c in loaded.info.classes],
        "device": {"name": chosen.name, "precision": chosen.precision},
        "options": {"objects": objects, "resample": resample},
        "images": answers,
    }
    write_record(plan.record, record, overwrite=overwrite)
    print(f"Segmentation: {output}, and how it was made: {plan.record}")


def _open(
    paths: list[Path], model: Model, slices: str | None, *, resample: bool
) -> list[tuple[Stack, list[int]]]:
    """Open every image and check it before the first is segmented."""
    from napari_unetseg.images import (
        check_channels,
        check_pixels,
        open_stack,
        parse_slices,
        pixel_size_note,
    )

    opened = []
    for path in paths:
        stack = open_stack(path)
        check_channels(model.info, stack)
        planes = parse_slices(slices, stack.n_planes)
        check_pixels(stack, planes)
        note = pixel_size_note(model.info, stack, resample=resample)
        if note:
            typer.echo(note if resample else f"{note} (--resample)", err=True)
        opened.append((stack, planes))
    return opened


def _segment(
    answers: Iterator[tuple[int, npt.NDArray[np.float32]]],
    image: Stack,
    *,
    keep_probabilities: Path | None,
    n_classes: int,
    advance: Callable[[], None],
) -> Answer:
    """Collect slices; those that are not asked for stay unlabelled, with probability 0."""
    from napari_unetseg.learning import codes_from_probabilities

    shape = image.plane_shape
    codes = np.zeros((image.n_planes, *shape), np.uint8)
    kept = None
    if keep_probabilities is not None:
        kept = np.zeros((image.n_planes, n_classes, *shape), np.float32)
    for plane, probabilities in answers:
        codes[plane] = codes_from_probabilities(probabilities)
        if kept is not None:
            kept[plane] = probabilities
        advance()
    return codes, kept


def _write(
    answer: Answer,
    files: Outputs,
    segmented: tuple[Stack, list[int]],
    model: Model,
    *,
    objects: bool,
    overwrite: bool,
) -> None:
    from napari_unetseg.images import write_labels, write_probabilities
    from napari_unetseg.learning import connected_objects

    (codes, probabilities), (image, planes) = answer, segmented
    classes = model.info.classes
    values: npt.NDArray[Any] = connected_objects(codes, image.size("T")) if objects else codes
    write_labels(
        files.labels,
        values,
        like=image,
        kind="objects" if objects else "masks",
        classes=classes,
        slices=planes,
        overwrite=overwrite,
    )
    if files.probabilities is not None and probabilities is not None:
        write_probabilities(
            files.probabilities, probabilities, like=image, classes=classes, overwrite=overwrite
        )


def _facts(image: Stack) -> dict[str, Any]:
    from napari_unetseg.images import fingerprint

    return {
        "image": str(image.path),
        "axes": image.axes,
        "shape": list(image.shape),
        "pixel_size_um": image.pixel_size_um,
        "fingerprint": fingerprint(image),
    }
