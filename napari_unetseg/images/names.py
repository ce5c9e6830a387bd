"""What files are called: stems, suffixes and the order in which people expect them."""

from __future__ import annotations

import re
from pathlib import Path

from .formats import SUFFIXES
from .places import split_axes

#: What systems put into folders that somebody looked at, in lower case.
_OF_SYSTEMS = (".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", "@eadir")

_DOUBLE_SUFFIXES = (".ome.tiff", ".ome.tif", ".ome.btf", ".ome.zarr", ".nii.gz")


def suffix_of(path: Path) -> str:
    """Return the suffix in lower case, ``.ome.tif`` and its like as one.

    >>> suffix_of(Path("cells.OME.TIF"))
    '.ome.tif'
    """
    name = path.name.lower()
    return next(
        (double for double in _DOUBLE_SUFFIXES if name.endswith(double)), path.suffix.lower()
    )


def is_of_system(path: Path) -> bool:
    """Tell whether a file is none of a person's, but what a system keeps about a folder or a file.

    >>> is_of_system(Path("cells/.DS_Store")), is_of_system(Path("cells/._a.tif"))
    (True, True)
    """
    return path.name.lower() in _OF_SYSTEMS or path.name.startswith("._")


def stem_of(path: Path) -> str:
    """Return what a person calls a file: its name without the suffix; of a part, both names.

    >>> stem_of(Path("data/cells.ome.tif"))
    'cells'
    >>> stem_of(Path("data/plate.zarr/A/1"))
    'plate_A_1'
    """
    path, _ = split_axes(path)
    suffix = suffix_of(path)
    holders = () if suffix in SUFFIXES else path.parents
    for holder in holders:
        if suffix_of(holder) in SUFFIXES:
            return "_".join([stem_of(holder), *path.relative_to(holder).parts])
    return path.name[: -len(suffix)] if suffix else path.name


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key that counts: ``z2`` comes before ``z10``.

    >>> sorted([Path("z10.tif"), Path("z2.tif")], key=natural_key)[0].name
    'z2.tif'
    """
    parts = re.split(r"(\d+)", path.name.lower())
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part)
