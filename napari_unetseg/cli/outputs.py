"""Where results of a command go: a file, or a folder with one file per image."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_unetseg.errors import UserError

from .inputs_kept import check_inputs_kept

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

    def paths(self) -> list[str]:
        """Return all that are wanted."""
        wanted = (self.labels, self.probabilities, self.uncertainty, self.quantised)
        return [str(path) for path in wanted if path is not None]


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
    table : Path or None
        Of points.
    """

    files: list[Outputs]
    record: Path
    folders: tuple[Path, ...] = ()
    aside: tuple[Path, ...] = ()
    table: Path | None = None

    def written(self) -> list[Path]:
        """Return every file, or Zarr, that is written."""
        of_images = [
            path
            for file in self.files
            for path in (file.labels, file.probabilities, file.uncertainty, file.quantised)
        ]
        return [path for path in [*of_images, self.record, self.table] if path is not None]


def plan_outputs(
    images: Sequence[Path],
    output: Path,
    *,
    probabilities: bool = False,
    uncertainty: bool = False,
    quantised: bool = False,
    table: Path | None = None,
    read: Mapping[str, Iterable[str | Path]] | None = None,
) -> OutputPlan:
    """Decide the name of every file.

    Parameters
    ----------
    images : sequence of Path
    output : Path
        A file, or a folder.
    probabilities, uncertainty, quantised : bool
        What is written beside the labels.
    table : Path, optional
        Where points are written.
    read : mapping of str to iterable of paths, optional
        What else the command reads, as of `check_inputs_kept`.

    Raises
    ------
    UserError
        If several images are to go into one file, two results would get the same name, or
        something that is read would be replaced.
    """
    if not output.name:
        raise UserError(f"{str(output)!r} is no name for a result; name a file or a new folder.")
    _check_not_inside(output)
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
        if len(images) > 1:
            raise UserError(
                f"{len(images)} images do not fit into the one file {output}; "
                "name a folder, without an ending, or use --stack for slices of one stack."
            )
        plan = OutputPlan([Outputs(output, *aside)], record, aside=beside, table=table)
        check_inputs_kept({"image": images, **(read or {})}, plan.written())
        return plan
    if output.suffix.lower() in (".png", ".jpg", ".jpeg", ".npy", ".h5"):
        raise UserError(f"{output} would be no stack; write a .tif, a .zarr or a folder.")
    names = [f"{_stem(image)}.tif" for image in images]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"Several images would be written as {twice[0]}; rename one of them.")
    files = [Outputs(output / n, *(None if a is None else a / n for a in aside)) for n in names]
    plan = OutputPlan(files, record, (output, *beside), beside, table)
    check_inputs_kept({"image": images, **(read or {})}, plan.written())
    return plan


def _check_not_inside(output: Path) -> None:
    """Raise `UserError` for labels inside an OME-Zarr, which `convert` alone writes."""
    from napari_unetseg.images import source_of

    source = source_of(output)
    if source is not None:
        raise UserError(
            f"{output} would be labels inside the image {source}; write {output.stem}.tif and put "
            f"it there with napari-unetseg convert {output.stem}.tif -o {output}."
        )
    for above in output.absolute().parents:
        if any((above / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray")):
            raise UserError(f"{output} would be inside the Zarr {above}; choose a place beside it.")


class FinishedImages:
    """Which images of several a command has written, for when it is interrupted and given again.

    Parameters
    ----------
    record : Path
        What the command writes last; a hidden file beside it lists the images until then.
    """

    def __init__(self, record: Path) -> None:
        self._file = record.with_name(f".{record.name}.unfinished")
        try:
            found = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            found = {}
        entries = found.items() if isinstance(found, dict) else ()
        self._images: dict[str, Any] = {key: e for key, e in entries if _is_finished(e)}

    def written(self) -> set[Path]:
        """Return the files that are there as they were written."""
        from napari_unetseg.images import has_its_name

        listed = (item for entry in self._images.values() for item in entry["files"].items())
        return {
            Path(path)
            for path, stamp in listed
            if (has_its_name(Path(path)) if stamp is None else _stamp(path) == stamp)
        }

    def scale(self, files: Outputs, facts: Mapping[str, Any]) -> float | None:
        """Return at which scale an image was segmented; None where it is not finished."""
        entry = self._entry(files, facts)
        stamps = {path: _stamp(path) for path in files.paths()}
        whole = entry.get("files") == stamps and None not in stamps.values()
        return entry["scale"] if whole else None

    def scale_in_naming(self, files: Outputs, facts: Mapping[str, Any]) -> float | None:
        """Return the scale of an image whose results have, or wait for, their names; else None."""
        from napari_unetseg.images import is_prepared

        entry = self._entry(files, facts)
        begun = entry.get("files") == dict.fromkeys(files.paths())
        there = all(is_prepared(Path(path)) or Path(path).exists() for path in files.paths())
        return entry["scale"] if begun and there else None

    def begin_naming(self, files: Outputs, facts: Mapping[str, Any], scale: float) -> None:
        """Remember that all that an image still lacks are the names of its files."""
        self._add(files, facts, scale, dict.fromkeys(files.paths()))

    def add(self, files: Outputs, facts: Mapping[str, Any], scale: float) -> None:
        """Remember that an image is finished."""
        self._add(files, facts, scale, {path: _stamp(path) for path in files.paths()})

    def _entry(self, files: Outputs, facts: Mapping[str, Any]) -> dict[str, Any]:
        entry = self._images.get(str(files.labels), {})
        return entry if entry.get("facts") == json.loads(json.dumps(facts)) else {}

    def _add(
        self,
        files: Outputs,
        facts: Mapping[str, Any],
        scale: float,
        stamps: Mapping[str, str | None],
    ) -> None:
        entry = {"files": dict(stamps), "facts": facts, "scale": scale}
        self._images[str(files.labels)] = entry
        write_record(self._file, self._images, overwrite=True)

    def forget(self) -> None:
        """Remove the list."""
        self._file.unlink(missing_ok=True)


def _is_finished(entry: Any) -> bool:
    """Tell whether this is what `FinishedImages.add` writes, not what somebody else did."""
    if not isinstance(entry, dict) or type(entry.get("scale")) not in (int, float):
        return False
    return isinstance(entry.get("files"), dict)


def check_outputs(
    plan: OutputPlan, *, overwrite: bool, finished: Container[Path] = frozenset()
) -> None:
    """Raise `UserError` before any work is done, if something may not be written.

    A folder that is there already must hold nothing but what is going to be replaced, or was begun.

    Parameters
    ----------
    finished : container of Path
        What was written by the same command before it was interrupted.
    """
    from napari_unetseg.images import check_output, is_of_system

    written = plan.written()
    for path in written:
        if path not in finished:
            check_output(path, overwrite)
    for folder in plan.folders:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file, not a folder; choose another name.")
        found = set(folder.glob("*")) if folder.is_dir() else set()
        begun = tuple(f".{path.stem}." for path in written)
        others = sorted(
            path
            for path in found - set(written)
            if not path.name.startswith(begun) and not is_of_system(path)
        )
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


def _stamp(path: str) -> str | None:
    """Return what tells whether a result was changed since; None where it is not there."""
    from napari_unetseg.images import stamp_of

    return stamp_of(Path(path)) if Path(path).exists() else None


def _stem(image: Path) -> str:
    from napari_unetseg.images import stem_of

    return stem_of(image)
