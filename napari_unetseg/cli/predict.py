"""``napari-unetseg predict``: images segmented by a model."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import typer

from napari_unetseg.events import Event, Warned

if TYPE_CHECKING:
    from napari_unetseg.classical import Chain
    from napari_unetseg.images import Stack
    from napari_unetseg.learning import Model

    from .outputs import Outputs

#: Arrays of all slices by name: codes (planes, Y, X), and where they are wanted probabilities
#: (planes, K, Y, X), uncertainty, distances and ids of objects (planes, Y, X).
Segmented: TypeAlias = dict[str, npt.NDArray[Any]]


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
    from napari_unetseg.learning import (
        Predictor,
        choose_device,
        load_model,
        objects_found,
        open_inputs,
    )

    from .inputs_kept import folders_of
    from .outputs import check_outputs, plan_outputs, write_record
    from .progress import bar
    from .refining import refinements, wants_probabilities

    chain = refinements(then or [], of_objects=objects)
    weighed = probabilities or wants_probabilities(chain)
    paths = open_inputs(images, as_stack=stack)
    plan = plan_outputs(
        paths,
        output,
        probabilities=probabilities,
        uncertainty=uncertainty,
        read={"model": folders_of([model])},
    )
    check_outputs(plan, overwrite=overwrite)
    loaded = load_model(model)
    if resample is None:
        resample = loaded.info.card is not None
    chosen = choose_device(device)
    opened = _open(paths, loaded, slices, resample=resample)
    answers = []
    with bar() as progress:
        task = progress.add_task("Segmenting", total=sum(len(planes) for _, planes in opened))
        for (image, planes), files in zip(opened, plan.files, strict=True):
            progress.update(task, description=f"Segmenting {image.name}")
            predictor = Predictor(
                loaded, image, device=chosen, resample=resample, tta=tta, on_event=_say
            )
            found = predictor.answers(
                planes, probabilities=weighed, uncertainty=uncertainty, distances=objects
            )
            arrays = _arrays(image, files, loaded, objects=objects, probabilities=weighed)
            for plane, answer in found:
                for name, values in arrays.items():
                    values[plane] = getattr(answer, name)
                progress.advance(task)
            if objects:
                arrays["objects"] = objects_found(
                    loaded.info,
                    arrays["codes"],
                    arrays.get("distances"),
                    image.size("T"),
                    predictor.scale,
                )
            if chain is not None:
                progress.update(task, description=f"Refining {image.name}")
                _refine(arrays, chain, (image, planes))
            _write(arrays, files, (image, planes), loaded, overwrite=overwrite)
            answers.append(
                {
                    **_facts(image),
                    "scale": round(predictor.scale, 4),
                    "output": str(files.labels),
                    "slices": planes,
                }
            )
    record = {
        "command": sys.argv[1:],
        "model": {"path": str(model), "name": loaded.info.name, "created": loaded.info.created},
        "classes": [c.model_dump() for c in loaded.info.classes],
        "device": {"name": chosen.name, "precision": chosen.precision},
        "options": {"objects": objects, "resample": resample, "tta": tta},
        "then": [] if chain is None else chain.model_dump(mode="json")["steps"],
        "images": answers,
    }
    write_record(plan.record, record, overwrite=overwrite)
    print(f"Segmentation: {output}, and how it was made: {plan.record}")
    if plan.aside:
        print(f"Beside it: {', '.join(map(str, plan.aside))}")


def _open(
    paths: list[Path], model: Model, slices: str | None, *, resample: bool
) -> list[tuple[Stack, list[int]]]:
    """Open every image and check it before the first is segmented."""
    from napari_unetseg.images import (
        check_channels,
        check_pixels,
        check_resampling,
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
        if resample:
            check_resampling(model.info, stack)
        note = pixel_size_note(model.info, stack, resample=resample)
        if note:
            typer.echo(note if resample else f"{note} (--resample)", err=True)
        opened.append((stack, planes))
    return opened


def _arrays(
    image: Stack, files: Outputs, model: Model, *, objects: bool, probabilities: bool
) -> Segmented:
    """Make room for what is asked for; slices that are not stay unlabelled, with probability 0.

    In files without a name beside the results, so that memory does not grow with the stack.
    """
    folder = next(parent for parent in files.labels.absolute().parents if parent.is_dir())

    def room(shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        with tempfile.TemporaryFile(dir=folder) as file:
            return np.memmap(file, dtype, "w+", shape=(image.n_planes, *shape))

    arrays = {"codes": room(image.plane_shape, np.uint8)}
    if probabilities:
        arrays["probabilities"] = room((len(model.class_names), *image.plane_shape), np.float32)
    if files.uncertainty is not None:
        arrays["uncertainty"] = room(image.plane_shape, np.float32)
    if objects and model.info.object_diameter_px is not None:
        arrays["distances"] = room(image.plane_shape, np.float32)
    return arrays


def _refine(arrays: Segmented, chain: Chain, segmented: tuple[Stack, list[int]]) -> None:
    """Take the steps of a chain on what is going to be written."""
    from napari_unetseg.classical import Source

    from .refining import refined

    image, planes = segmented
    begun = arrays.get("objects", arrays["codes"])
    source = Source(image, planes, labels=begun, probabilities=arrays.get("probabilities"))
    found = refined(chain, source)
    arrays["codes" if found.dtype == np.uint8 else "objects"] = found


def _say(event: Event) -> None:
    if isinstance(event, Warned):
        typer.echo(event.sentence, err=True)


def _write(
    arrays: Segmented,
    files: Outputs,
    segmented: tuple[Stack, list[int]],
    model: Model,
    *,
    overwrite: bool,
) -> None:
    from napari_unetseg.images import Stack, write_image, write_labels, write_probabilities

    image, planes = segmented
    classes = model.info.classes
    write_labels(
        files.labels,
        arrays.get("objects", arrays["codes"]),
        like=image,
        kind="objects" if "objects" in arrays else "masks",
        classes=classes,
        slices=planes,
        overwrite=overwrite,
    )
    if files.probabilities is not None:
        write_probabilities(
            files.probabilities,
            arrays["probabilities"],
            like=image,
            classes=classes,
            overwrite=overwrite,
        )
    if files.uncertainty is not None:
        values = arrays["uncertainty"].reshape(image.labels_shape)
        axes = image.axes.replace("C", "")
        map_ = Stack(values, axes, image.pixel_size_um, image.name)
        write_image(files.uncertainty, map_, compress=True, overwrite=overwrite)


def _facts(image: Stack) -> dict[str, Any]:
    from napari_unetseg.images import fingerprint

    return {
        "image": str(image.path),
        "axes": image.axes,
        "shape": list(image.shape),
        "pixel_size_um": image.pixel_size_um,
        "fingerprint": fingerprint(image),
    }
