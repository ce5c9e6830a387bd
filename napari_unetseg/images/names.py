"""What files are called: stems, suffixes and the order in which people expect them."""

from __future__ import annotations

import re
from pathlib import Path

_DOUBLE_SUFFIXES = (".ome.tiff", ".ome.tif", ".ome.btf", ".ome.zarr")


def suffix_of(path: Path) -> str:
    """Return the suffix in lower case, ``.ome.tif`` and its like as one.

    >>> suffix_of(Path("cells.OME.TIF"))
    '.ome.tif'
    """
    name = path.name.lower()
    return next(
        (double for double in _DOUBLE_SUFFIXES if name.endswith(double)), path.suffix.lower()
    )


def stem_of(path: Path) -> str:
    """Return what a person calls a file: its name without the suffix.

    >>> stem_of(Path("data/cells.ome.tif"))
    'cells'
    """
    suffix = suffix_of(path)
    return path.name[: -len(suffix)] if suffix else path.name


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key that counts: ``z2`` comes before ``z10``.

    >>> sorted([Path("z10.tif"), Path("z2.tif")], key=natural_key)[0].name
    'z2.tif'
    """
    parts = re.split(r"(\d+)", path.name.lower())
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part)
