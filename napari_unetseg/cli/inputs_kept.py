"""What a command reads is never replaced by what it writes, nor is one result by another."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from napari_unetseg.errors import UserError


def check_inputs_kept(read: Mapping[str, Iterable[str | Path]], written: Sequence[Path]) -> None:
    """Check the names of everything that a command reads and writes, before it begins.

    Parameters
    ----------
    read : mapping of str to iterable of paths
        By what they are, as in "image" or "labels file".
    written : sequence of Path
        Files, and folders that are replaced as a whole.

    Raises
    ------
    UserError
        If one of `written` is, lies within or holds one that is read or another that is written.
    """
    inputs = {_identity(Path(path)): what for what, paths in read.items() for path in paths}
    around = {folder: path for path in inputs for folder in path.parents}
    results: dict[Path, Path] = {}
    for path in written:
        found = _identity(path)
        if found in inputs:
            what = inputs[found]
            raise UserError(f"{path} is the {what} itself; choose another name for the result.")
        if inside := _first(found.parents, inputs):
            raise UserError(
                f"{path} lies within the {inputs[inside]} {inside}; choose another place for it."
            )
        if found in around:
            held = around[found]
            raise UserError(
                f"{path} holds the {inputs[held]} {held}; choose another name for the result."
            )
        if found in results or _first(found.parents, results):
            raise _written_twice(path)
        results[found] = path
    for found in results:
        if outer := _first(found.parents, results):
            raise _written_twice(results[outer])


def folders_of(models: Iterable[str | Path]) -> list[Path]:
    """Return where models lie; what is none of them is told by whoever reads it.

    Raises
    ------
    UserError
        If there is nothing of such a name.
    """
    from napari_unetseg.config import MODEL_JSON, find_model

    return [folder for folder in map(find_model, models) if (folder / MODEL_JSON).is_file()]


def _identity(path: Path) -> Path:
    """Return where a path leads, spelled as the system does where case does not matter."""
    return Path(os.path.normcase(path.resolve()))


def _first(folders: Iterable[Path], among: Container[Path]) -> Path | None:
    return next((folder for folder in folders if folder in among), None)


def _written_twice(path: Path) -> UserError:
    return UserError(f"Two results would be written to {path}; give one of them another name.")
