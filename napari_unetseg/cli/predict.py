"""``napari-unetseg predict``: images segmented by a model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unetseg.events import Event, Warned

if TYPE_CHECKING:
    from napari_unetseg.classical import Chain
    from napari_unetseg.images import Stack, UnfinishedStack
    from napari_unetseg.learning import Answer, Device, Model

    from .outputs import Outputs


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
    from napari_unetseg.learning import choose_device, load_model, open_inputs

    from .inputs_kept import folders_of
    from .outputs import check_outputs, plan_outputs, write_record
    from .progress import bar
    from .refining import refinements

    chain = refinements(then or [], of_objects=objects)
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
    asked = _Asked(
        loaded, choose_device(device), chain, objects, uncertainty, resample, tta, overwrite
    )
    opened = _open(paths, loaded, slices, resample=resample)
    answers = []
    with bar() as progress:
        task = progress.add_task("Segmenting", total=sum(len(planes) for _, planes in opened))
        for (image, planes), files in zip(opened, plan.files, strict=True):
            progress.update(task, description=f"Segmenting {image.name}")
            scale = _segment(image, planes, files, asked, partial(progress.update, task))
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a person asked for, of every image."""

    model: Model
    device: Device
    then: Chain | None
    objects: bool
    uncertainty: bool
    resample: bool
    tta: bool
    overwrite: bool

    def facts(self, image: Stack, planes: list[int]) -> dict[str, Any]:
        """Return what decides the answers for an image."""
        from napari_unetseg import __version__
        from napari_unetseg.images import fingerprint

        return {
            "software": __version__,
            "model": self.model.fingerprint(),
            "image": fingerprint(image),
            "slices": planes,
            "device": [self.device.kind, self.device.precision],
            "resample": self.resample,
            "tta": self.tta,
        }


def _segment(
    image: Stack,
    planes: list[int],
    files: Outputs,
    asked: _Asked,
    show: Callable[..., None],
) -> float:
    """Segment an image into its files, or go on with what is left of an earlier time.

    Parameters
    ----------
    show : callable
        Takes ``advance`` and ``description``, as a bar of progress does.

    Returns
    -------
    float
        At which scale the model saw it.
    """
    from napari_unetseg.learning import Predictor

    with ExitStack() as until_written:
        results = {
            name: until_written.enter_context(result)
            for name, result in _results(image, planes, files, asked)
        }
        begun = next(iter(results.values()))
        predictor = Predictor(
            asked.model,
            image,
            device=asked.device,
            resample=asked.resample,
            tta=asked.tta,
            tile_px=begun.known.get("tile_px"),
            on_event=_say,
        )
        begun.remember(tile_px=predictor.tile_px)
        done = set.intersection(*(result.done for result in results.values()))
        if done:
            typer.echo(
                f"{len(done)} of {len(planes)} slices of {image.name} were segmented before this "
                "was interrupted; the others follow.",
                err=True,
            )
        show(advance=len(done))
        answers = predictor.answers(
            [plane for plane in planes if plane not in done],
            probabilities="probabilities" in results,
            uncertainty="uncertainty" in results,
            distances="distances" in results,
        )
        for plane, answer in answers:
            for name, result in results.items():
                result.put(plane, _values(name, answer))
            show(advance=1)
        if "labels" not in results:
            show(description=f"Refining {image.name}")
            _write_refined(results, image, planes, files, asked, predictor.scale)
        for name, result in results.items():
            if getattr(files, name, None) is None:
                result.discard()
            else:
                result.finish()
        return predictor.scale


def _results(
    image: Stack, planes: list[int], files: Outputs, asked: _Asked
) -> Iterator[tuple[str, UnfinishedStack]]:
    """Yield what is written slice by slice: results, and what these are made of afterwards."""
    from napari_unetseg.images import UnfinishedStack, labels_like, maps_like

    from .refining import wants_probabilities

    facts = asked.facts(image, planes)
    classes = asked.model.info.classes
    scratch = files.labels.with_name(f"{files.labels.stem}.part.zarr")

    def result(name: str, path: Path | None, like: Stack) -> tuple[str, UnfinishedStack]:
        path = path or scratch.with_stem(f"{scratch.stem}.{name}")
        return name, UnfinishedStack(path, like, facts=facts, overwrite=asked.overwrite)

    if asked.then is None and not asked.objects:
        yield result("labels", files.labels, labels_like(image, "masks", classes, planes))
    else:
        yield result("codes", None, labels_like(image, "annotations", classes))
    if asked.objects and asked.model.info.object_diameter_px is not None:
        yield result("distances", None, maps_like(image))
    if files.probabilities is not None or wants_probabilities(asked.then):
        like = maps_like(image, asked.model.class_names)
        yield result("probabilities", files.probabilities, like)
    if files.uncertainty is not None:
        yield result("uncertainty", files.uncertainty, maps_like(image))


def _values(name: str, answer: Answer) -> Any:
    """Return what of an answer is written."""
    from napari_unetseg.images import codes_to_masks

    return codes_to_masks(answer.codes) if name == "labels" else getattr(answer, name)


def _write_refined(
    results: Mapping[str, UnfinishedStack],
    image: Stack,
    planes: list[int],
    files: Outputs,
    asked: _Asked,
    scale: float,
) -> None:
    """Tell objects apart and take the steps that were asked for, and write what comes out."""
    from napari_unetseg.classical import Source, answers, run_stack
    from napari_unetseg.images import Planes, UnfinishedStack, codes_to_masks, labels_like
    from napari_unetseg.learning import objects_found

    from .segmenting import Into

    read = {name: Planes(result.stack()) for name, result in results.items()}
    info = asked.model.info
    begun: Any = read["codes"]
    if asked.objects:
        distances = read["distances"][:] if "distances" in read else None
        begun = objects_found(info, read["codes"][:], distances, image.size("T"), scale)
    are_objects = asked.objects or (asked.then and answers(asked.then) == "objects")
    like = labels_like(image, "objects" if are_objects else "masks", info.classes, planes)
    with UnfinishedStack(files.labels, like, overwrite=asked.overwrite) as result:

        def put(plane: int, labels: Any) -> None:
            result.put(plane, labels if are_objects else codes_to_masks(labels))

        if asked.then is None:
            for plane in planes:
                put(plane, begun[plane])
        else:
            source = Source(image, planes, labels=begun, probabilities=read.get("probabilities"))
            for _ in run_stack(asked.then, source, out=Into(put, planes)):
                pass
        result.finish()


def _say(event: Event) -> None:
    if isinstance(event, Warned):
        typer.echo(event.sentence, err=True)


def _facts(image: Stack) -> dict[str, Any]:
    from napari_unetseg.images import fingerprint

    return {
        "image": str(image.path),
        "axes": image.axes,
        "shape": list(image.shape),
        "pixel_size_um": image.pixel_size_um,
        "fingerprint": fingerprint(image),
    }
