"""Writing what was painted and segmented, with calibration, class names and colours."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_unetseg.classical import ChainRecipe, image_facts, record_of
from napari_unetseg.config import MODEL_JSON, LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    WRITTEN_SUFFIXES,
    Reached,
    atomic_file,
    atomic_folder,
    write_labels,
)
from napari_unetseg.measure import Row, measure_objects, measure_pieces, write_table
from napari_unetseg.wording import counted

from .image_entry import ImageEntry
from .objects import ObjectSet
from .results import Result
from .slots import Codes
from .workspace import Workspace

#: What is written: every pixel labelled (background where nothing was decided), codes, or ids.
ExportKind: TypeAlias = Literal["masks", "annotations", "objects"]

SUFFIX = ".ome.tif"

_WRITABLE = (".ome.tif", ".ome.tiff", ".tif", ".tiff", ".zarr", ".ome.zarr", *WRITTEN_SUFFIXES)

#: A step of the history takes about as long; so often it is waited for.
_A_STEP_S, _TRIES = 0.01, 500


def _ignore(_: float) -> None:
    """Tell nobody how far it is."""


@dataclass(frozen=True, slots=True)
class Export:
    """One file to write.

    Attributes
    ----------
    entry : ImageEntry
    labels : Result, ObjectSet or None
        What to write; the segmentation or the annotations of the image where there is none. The
        steps that made a result are written beside the file, where they are known.
    """

    entry: ImageEntry
    kind: ExportKind
    path: Path
    labels: Result | ObjectSet | None = None
    overwrite: bool = False

    @property
    def recipe(self) -> ChainRecipe | None:
        """The steps that made the labels; None where something else did."""
        return self.labels.recipe if isinstance(self.labels, Result) else None


def is_segmented(entry: ImageEntry) -> bool:
    """Tell whether there is anything to write as a segmentation."""
    return bool(entry.predicted or entry.annotated_planes())


def with_suffix(path: Path, endings: Sequence[str] = _WRITABLE) -> tuple[Path, bool]:
    """Complete the name of a file that a person typed.

    Parameters
    ----------
    endings : sequence of str
        That it may have; the first is added where it has none of them.

    Returns
    -------
    path : Path
        Ending in a suffix that can be written.
    completed : bool
        Whether a suffix was added, so that nobody was asked about a file of that name.

    Examples
    --------
    >>> with_suffix(Path("cells"))[0].name, with_suffix(Path("cells.TIF"))[0].name
    ('cells.ome.tif', 'cells.TIF')
    >>> with_suffix(Path("cells.v2"), (".csv",))[0].name
    'cells.v2.csv'
    """
    if path.name.lower().endswith(tuple(endings)):
        return path, False
    return path.with_name(path.name + endings[0]), True


def place_of_slices(path: Path, n_planes: int) -> Path:
    """Return where the slices of a stack go that somebody names ``.png``: a folder for them.

    >>> place_of_slices(Path("cells.png"), 20).name, place_of_slices(Path("cells.png"), 1).name
    ('cells', 'cells.png')
    """
    return path.with_suffix("") if path.suffix.lower() == ".png" and n_planes > 1 else path


def names_in_folder(folder: Path, entries: Sequence[ImageEntry], ending: str) -> dict[str, Path]:
    """Name a file in a folder for each of several images.

    Returns
    -------
    dict of str to Path
        By image id. Images of the same name are told apart by a number.
    """
    paths: dict[str, Path] = {}
    for entry in entries:
        stem = "".join(c if c not in '/\\:*?"<>|' else "_" for c in entry.stack.name)
        wanted = [stem, *(f"{stem}-{i}" for i in range(2, len(entries) + 2))]
        taken = set(paths.values())
        candidates = (folder / f"{name}_{ending}{SUFFIX}" for name in wanted)
        paths[entry.id] = next(path for path in candidates if path not in taken)
    return paths


def write_exports(
    exports: Sequence[Export], workspace: Workspace, reached: Reached = _ignore
) -> str:
    """Write files, each complete or not at all; nothing is written where one of them exists.

    A thread may call it while a person goes on.

    Parameters
    ----------
    reached : callable
        Told time and again which part is done, from 0 to 1. What it raises ends the writing.

    Returns
    -------
    str
        The sentence that says what was written.

    Raises
    ------
    UserError
        If a file exists that nobody agreed to replace, or a place cannot be written.
    """
    for export in exports:
        check_free(export.path, overwrite=export.overwrite)
        if export.recipe is not None:
            check_free(_record_path(export), overwrite=export.overwrite)
    for i, export in enumerate(exports):
        taking, writing = (
            _part(reached, (i + half) / len(exports), 0.5 / len(exports)) for half in (0, 0.5)
        )
        codes, classes = _taken(export.entry, export.kind, export.labels, workspace, taking)
        slices = [i for i, plane in enumerate(codes) if export.kind != "masks" or plane.any()]
        write_labels(
            export.path,
            codes,
            like=export.entry.stack,
            kind=export.kind,
            classes=classes,
            slices=slices,
            overwrite=export.overwrite,
            reached=writing,
        )
        if isinstance(export.labels, Result) and (recipe := export.recipe) is not None:
            corrected = export.labels.is_corrected
            _write_record(export, recipe, classes, slices, corrected=corrected)
    what = "segmentation" if exports[0].kind == "masks" else exports[0].kind
    if len(exports) > 1:
        return f"Saved the {what} of {len(exports)} images in {exports[0].path.parent}."
    return f"Saved the {what} of {exports[0].entry.stack.name} as {exports[0].path}."


def _part(reached: Reached, start: float, length: float) -> Reached:
    """Return who is told how far a part of the work is."""
    return lambda done: reached(start + done * length)


def _taken(
    entry: ImageEntry,
    kind: ExportKind,
    labels: Result | ObjectSet | None,
    workspace: Workspace,
    reached: Reached,
) -> tuple[npt.NDArray[np.unsignedinteger[Any]], tuple[LabelClass, ...]]:
    """Return labels, and the classes that their codes are of: both of one moment."""
    if isinstance(labels, ObjectSet):
        return labels.ids, workspace.classes
    for _ in range(_TRIES):
        revision, classes = workspace.revision, workspace.classes
        codes = np.empty(entry.shape, np.uint8)
        for plane in range(len(codes)):
            reached(plane / len(codes))
            codes[plane] = _codes_of(entry, kind, labels, plane)
        if classes is workspace.classes and revision % 2 == 0:
            return codes, classes
        time.sleep(_A_STEP_S)
    raise UserError("Classes were being changed all the time; save again when that is done.")


def _codes_of(entry: ImageEntry, kind: ExportKind, labels: Result | None, plane: int) -> Codes:
    """Return what is to be written of a slice; annotations lie over what a network answered."""
    if labels is not None:
        return labels.codes(plane)
    return entry.segmentation(plane) if kind == "masks" else entry.codes[plane]


def write_object_table(
    path: Path,
    entries: Sequence[ImageEntry],
    labels: Result | ObjectSet | None,
    workspace: Workspace,
    *,
    overwrite: bool,
    reached: Reached = _ignore,
) -> str:
    """Measure objects, or the connected pieces of classes, and write a row for each.

    Parameters
    ----------
    path : Path
        Ending in ``.csv`` or ``.parquet``.
    labels : Result, ObjectSet or None
        Of the only image. What is shown as the segmentation of every image where there is none.
    reached : callable
        As for `write_exports`.

    Returns
    -------
    str
        The sentence that says what was written.

    Raises
    ------
    UserError
        If the file exists and nobody agreed to replace it, or cannot be written.
    """
    check_free(path, overwrite=overwrite)
    rows: list[Row] = []
    for i, entry in enumerate(entries):
        taking = _part(reached, i / len(entries), 1 / len(entries))
        image = entry.stack
        like = replace(
            image, data=entry.codes.reshape(image.labels_shape), channels=("",), channel_colors=()
        )
        like = replace(like, axes=image.axes.replace("C", ""))
        codes, classes = _taken(entry, "masks", labels, workspace, taking)
        if isinstance(labels, ObjectSet):
            ids = replace(like, data=codes.reshape(image.labels_shape))
            measured = measure_objects(ids, image)
        else:
            measured = measure_pieces(codes.__getitem__, classes, like, image)
        rows += [{"image": image.name, **row} for row in measured]
    reached(1.0)
    write_table(path, rows, overwrite=overwrite)
    return f"Saved the sizes of {counted(len(rows), 'object')} as {path}."


def _record_path(export: Export) -> Path:
    """Return where `run` looks for how a result was made: beside it."""
    return export.path.with_name(f"{export.path.name}.json")


def _write_record(
    export: Export,
    recipe: ChainRecipe,
    classes: Sequence[LabelClass],
    slices: Sequence[int],
    *,
    corrected: bool,
) -> None:
    facts = image_facts(export.entry.stack, export.path, slices)
    record = record_of(recipe.model_copy(update={"classes": tuple(classes)}), [facts])
    if corrected:
        record["by hand"] = "what was painted on the result afterwards is no part of the recipe"
    with atomic_file(_record_path(export), overwrite=export.overwrite) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def check_free(path: Path, *, overwrite: bool) -> None:
    """Raise UserError where something exists that nobody agreed to replace."""
    if not overwrite and path.exists():
        raise UserError(f"{path} exists already; choose another name or another folder.")


def copy_model(source: Path, target: Path) -> None:
    """Copy a model folder to a place where nothing is yet: complete or not at all.

    Raises
    ------
    UserError
        If something is there already, or the place cannot be written.
    """
    check_free(target, overwrite=False)
    with atomic_folder(target, marker=MODEL_JSON) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)


def count_pixels(entries: Mapping[str, ImageEntry]) -> list[int]:
    """Count annotated pixels by code over several images; 256 numbers, the first of them 0."""
    counts = np.zeros(256, np.int64)
    for entry in entries.values():
        for plane in entry.annotated_planes():
            counts += np.bincount(entry.codes[plane].ravel(), minlength=256)
    counts[0] = 0
    return [int(n) for n in counts]
