"""What lies in the place of a result as long as it is unfinished, and what is left of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_unetseg.errors import AlreadyThereError, UserError
from napari_unetseg.wording import counted

from .atomic import move_into_place
from .formats import ZARR_SUFFIXES
from .names import suffix_of
from .slice_record import SliceRecord, slices_in

#: Beside the arrays: what they are made of, and which slices are done.
FACTS, DONE = ".unfinished.json", ".unfinished.slices"

#: The TIFF that a result becomes.
COPY = ".whole.tif"

#: Among the facts: the file that a person asked for, if it is made of this.
OF_RESULT = "name of the result"


def unfinished_at(path: Path) -> Path:
    """Return where a result lies as long as it is unfinished."""
    return path.with_name(f".{path.name}.unfinished")


def slices_done(folder: Path) -> list[int] | None:
    """Return the slices of an unfinished result that were written, as its record says.

    Parameters
    ----------
    folder : Path
        Any; None is returned where it is no unfinished result.
    """
    try:
        return sorted(slices_in((folder / DONE).read_bytes()))
    except OSError:
        return None


def can_go_on(folder: Path) -> bool:
    """Tell whether an unfinished result says what it is made of, so that it can be gone on with."""
    return (folder / FACTS).is_file()


def facts_of(path: Path) -> dict[str, Any]:
    """Return what an unfinished result is made of; empty where that is not known."""
    try:
        found = json.loads((unfinished_at(path) / FACTS).read_text("utf-8"))["facts"][0]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def check_same(path: Path, facts: Mapping[str, Any] | None) -> None:
    """Raise `AlreadyThereError` where slices of a result are done that was made of something else.

    Parameters
    ----------
    path : Path
        Of the result.
    facts : mapping or None
        As of `UnfinishedStack`.
    """
    now = {} if facts is None else json.loads(json.dumps(facts))
    then, n = facts_of(path), len(slices_done(unfinished_at(path)) or ())
    differ = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    if then and n and (differ or facts is None):
        result = path.with_name(str(then.get(OF_RESULT) or path.name))
        are = "is" if n == 1 else "are"
        raise AlreadyThereError(
            f"{counted(n, 'slice')} of {result} {are} done that an interrupted command wrote; what "
            f"differs from then: {', '.join(differ)}. Give that command again to go on from there; "
            "choose another name."
        )


def remove_unfinished(path: Path, facts: Mapping[str, Any]) -> None:
    """Remove what is left of a result that has these of its facts, if no program writes it."""
    known = facts_of(path)
    if not known or any(known.get(key) != value for key, value in facts.items()):
        return
    try:
        SliceRecord(unfinished_at(path) / DONE, path).close()
    except (OSError, UserError):
        return
    shutil.rmtree(unfinished_at(path), ignore_errors=True)


def has_its_name(path: Path) -> bool:
    """Tell whether a result that had been prepared was given its name before a program ended."""
    return path.exists() and not is_prepared(path)


def is_prepared(path: Path) -> bool:
    """Tell whether a result that was prepared waits for its name."""
    marker = "zarr.json" if suffix_of(path) in ZARR_SUFFIXES else COPY
    return (unfinished_at(path) / marker).exists()


def give_name(path: Path) -> None:
    """Give a result that is prepared its name; where it has it, remove what else is left."""
    left = unfinished_at(path)
    if suffix_of(path) in ZARR_SUFFIXES:
        if left.is_dir():
            move_into_place(left, path)
        for name in (FACTS, DONE):
            (path / name).unlink(missing_ok=True)
        return
    if (left / COPY).exists():
        (left / COPY).replace(path)
    shutil.rmtree(left, ignore_errors=True)
