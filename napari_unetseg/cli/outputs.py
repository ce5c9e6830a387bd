"""Where results of a command go: a file, or a folder with one file per image."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_unetseg.errors import UserError

#: Endings of a single result; any other name is that of a folder.
FILE_SUFFIXES = (".tif", ".tiff", ".zarr")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files of one image.

    Attributes
    ----------
    labels : Path
    probabilities, uncertainty, quantised : Path or None
        Where these go, if they are wanted.
    """

    labels: Path
    probabilities: Path | None = None
    uncertainty: Path | None = None
    quantised: Path | None = None


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """Everything a command is going to write.

    Attributes
    ----------
    files : list of Outputs
        One per image.
    record : Path
        Beside the result: how it was made, as JSON.
    folders : tuple of Path
        What is made to hold `files`.
    aside : tuple of Path
        Files or folders of what was asked for beside the labels.
    """

    files: list[Outputs]
    record: Path
    folders: tuple[Path, ...] = ()
    aside: tuple[Path, ...] = ()


def plan_outputs(
    images: Sequence[Path],
    output: Path,
    *,
    probabilities: bool = False,
    uncertainty: bool = False,
    quantised: bool = False,
) -> OutputPlan:
    """Decide the name of every file.

    Raises
    ------
    UserError
        If several images are to go into one file, two would get the same name, or an image
        would be replaced by its own result.
    """
    if not output.name:
        raise UserError(f"{str(output)!r} is no name for a result; name a file or a new folder.")
    is_file = output.suffix.lower() in FILE_SUFFIXES
    base, ending = (output.stem, output.suffix) if is_file else (output.name, "")
    kinds = {"probabilities": probabilities, "uncertainty": uncertainty, "quantised": quantised}
    aside = [
        output.with_name(f"{base}_{kind}{ending}") if wanted else None
        for kind, wanted in kinds.items()
    ]
    beside = tuple(path for path in aside if path is not None)
    record = output.with_name(f"{output.name}.json")
    if is_file:
        _check_images_stay(images, [output, *beside])
        if len(images) > 1:
            raise UserError(
                f"{len(images)} images do not fit into the one file {output}; "
                "name a folder, without an ending, or use --stack for slices of one stack."
            )
        return OutputPlan([Outputs(output, *aside)], record, aside=beside)
    if output.suffix.lower() in (".png", ".jpg", ".jpeg", ".npy", ".h5"):
        raise UserError(f"{output} would be no stack; write a .tif, a .zarr or a folder.")
    names = [f"{_stem(image)}.tif" for image in images]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"Several images would be written as {twice[0]}; rename one of them.")
    files = [Outputs(output / n, *(None if a is None else a / n for a in aside)) for n in names]
    _check_images_stay(images, [folder / n for folder in (output, *beside) for n in names])
    return OutputPlan(files, record, (output, *beside), beside)


def _check_images_stay(images: Sequence[Path], written: Sequence[Path]) -> None:
    """Raise `UserError` where a result would replace an image, or a part of one."""
    kept = {image.resolve() for image in images}
    for path in written:
        if path.resolve() in kept:
            raise UserError(f"{path} is the image itself; choose another name for the result.")
        inside = next((folder for folder in path.resolve().parents if folder in kept), None)
        if inside is not None:
            raise UserError(f"{path} lies within the image {inside}; choose another place for it.")


def check_outputs(plan: OutputPlan, *, overwrite: bool) -> None:
    """Raise `UserError` before any work is done, if something may not be written.

    A folder that is there already must hold nothing but what is going to be replaced.
    """
    from napari_unetseg.images import check_output

    written = [
        path
        for file in plan.files
        for path in (file.labels, file.probabilities, file.uncertainty, file.quantised)
    ]
    for path in [*written, plan.record]:
        if path is not None:
            check_output(path, overwrite)
    for folder in plan.folders:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file, not a folder; choose another name.")
        others = [p for p in folder.glob("*") if p not in written] if folder.is_dir() else []
        if others:
            raise UserError(
                f"{folder} holds other files already, such as {others[0].name}; "
                "choose a new or empty folder."
            )


def write_record(path: Path, facts: dict[str, Any], *, overwrite: bool) -> None:
    """Write how a result was made."""
    from napari_unetseg.images import atomic_file

    with atomic_file(path, overwrite=overwrite) as partial:
        partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _stem(image: Path) -> str:
    from napari_unetseg.images import stem_of

    return stem_of(image)
