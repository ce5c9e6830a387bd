"""Other files that the pixels of an HDF5 file are in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .damage import READ_ERRORS


def files_behind(path: Path, file: Any, names: Iterable[str]) -> list[Path]:
    """List the files beside `path` from which arrays are read.

    Parameters
    ----------
    path : Path
        The file that was opened.
    file : h5py.File
        The same, open.
    names : iterable of str
        Of arrays behind a link to another file, virtual ones, or those with their pixels in files
        of their own; others are in no other file, and what cannot be opened is left out.
    """
    found: set[str] = set()
    for name in names:
        try:
            array = file[name]
            found |= {array.file.filename, *(outside for outside, _, _ in array.external or ())}
            if array.is_virtual:
                found |= {source.file_name for source in array.virtual_sources()}
        except READ_ERRORS:
            continue
    places = {place for name in found for place in (Path(name), path.parent / name)}
    return sorted(place for place in places if place.is_file() and not place.samefile(path))
