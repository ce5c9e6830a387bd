"""Segmenting files with a model; imports torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished, FinishReason
from napari_unetseg.images import (
    LazyPlanes,
    Stack,
    UnfinishedStack,
    atomic_file,
    check_output,
    check_pixels,
    codes_to_masks,
    find_inputs,
    fingerprint,
    labels_like,
    open_stack,
    stem_of,
    write_labels,
)
from napari_unetseg.jobs.commands import PredictFilesCommand
from napari_unetseg.learning import Model, Predictor
from napari_unetseg.learning.device import Device, choose_device
from napari_unetseg.wording import counted

from .job import Countdown, Emit, Job
from .prediction import Distances, RecentModels, check_image


def run_predict_files(
    command: PredictFilesCommand, job: Job, emit: Emit, models: RecentModels
) -> Finished:
    """Segment files into a folder: one OME-TIFF per input, of the same stem; ids beside it.

    Everything is checked before the first file is segmented. Beside the folder, a ``.json`` says
    how its files were made.
    """
    model = models.load(command.model)
    device = choose_device(command.device)
    folder = Path(command.out_dir)
    record = folder.with_name(f"{folder.name}.json")
    inputs = find_inputs(command.paths)
    outputs = _outputs(inputs, folder, command.overwrite)
    if command.objects:
        _outputs(inputs, of_objects(folder), command.overwrite)
    check_output(record, command.overwrite)
    stacks = [_open(path, model, command.resample, job, emit) for path in inputs]
    countdown = Countdown(emit, "Segmenting file", len(inputs))
    for stack, output in zip(stacks, outputs, strict=True):
        _segment(stack, output, model, device, command, job, emit)
        countdown.advance()
    facts = _facts(command, model, device, stacks, outputs)
    with atomic_file(record, overwrite=command.overwrite) as path:
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    n = len(inputs)
    beside = f"; objects in {of_objects(folder)}" if command.objects else ""
    sentence = f"Segmented {counted(n, 'file')} into {folder}{beside}."
    return Finished(FinishReason.COMPLETED, sentence, results={"files": [str(p) for p in outputs]})


def of_objects(folder: Path) -> Path:
    """Return the folder for ids of objects, beside that of the masks."""
    return folder.with_name(f"{folder.name}_objects")


def _outputs(inputs: Sequence[Path], folder: Path, overwrite: bool) -> list[Path]:
    """Return where each result goes."""
    sources = {path.resolve() for path in inputs}
    outputs: dict[str, Path] = {}
    for path in inputs:
        stem = stem_of(path)
        if stem in outputs:
            raise UserError(
                f"Two of the files are called {stem}, so their masks would be too; segment them "
                "into different folders."
            )
        outputs[stem] = folder / f"{stem}.tif"
        if outputs[stem].resolve() in sources:
            raise UserError(
                f"{path} would be replaced by its own result; choose another folder for these."
            )
        check_output(outputs[stem], overwrite)
    return list(outputs.values())


def _open(path: Path, model: Model, resample: bool, job: Job, emit: Emit) -> Stack:
    job.check()
    stack = open_stack(path)
    check_image(model, stack, resample, emit)
    check_pixels(stack)
    return stack


def _segment(
    stack: Stack,
    output: Path,
    model: Model,
    device: Device,
    command: PredictFilesCommand,
    job: Job,
    emit: Emit,
) -> None:
    """Write masks, slice by slice, and if they are asked for ids of objects."""
    predictor = Predictor(
        model,
        stack,
        device=device,
        resample=command.resample,
        tta=command.tta,
        on_event=emit,
    )
    classes, overwrite = model.info.classes, command.overwrite
    like = labels_like(stack, "masks", classes)
    distances = Distances(stack, asked=command.objects)
    with UnfinishedStack(output, like, overwrite=overwrite) as masks:
        for plane, answer in predictor.answers(range(stack.n_planes), distances=distances.asked):
            job.check()
            masks.put(plane, codes_to_masks(answer.codes))
            distances.put(plane, answer)
        if command.objects:
            codes = LazyPlanes.of(masks.stack())[:] + np.uint8(1)
            ids = distances.objects(model, codes, predictor.scale)
            path = of_objects(output.parent) / output.name
            write_labels(
                path, ids, like=stack, kind="objects", classes=classes, overwrite=overwrite
            )
        masks.finish()


def _facts(
    command: PredictFilesCommand,
    model: Model,
    device: Device,
    stacks: Sequence[Stack],
    outputs: Sequence[Path],
) -> dict[str, Any]:
    ids = command.objects
    return {
        "model": {
            "path": command.model,
            "name": model.info.name,
            "created": model.info.created,
        },
        "classes": [label_class.model_dump() for label_class in model.info.classes],
        "device": {"name": device.name, "precision": device.precision},
        "options": {
            "resample": command.resample,
            "tta": command.tta,
            "objects": command.objects,
        },
        "images": [
            {
                "image": str(stack.path),
                "axes": stack.axes,
                "shape": list(stack.shape),
                "pixel_size_um": stack.pixel_size_um,
                "fingerprint": fingerprint(stack),
                "output": str(output),
                **({"objects": str(of_objects(output.parent) / output.name)} if ids else {}),
            }
            for stack, output in zip(stacks, outputs, strict=True)
        ],
    }
