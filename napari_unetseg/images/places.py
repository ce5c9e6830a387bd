"""One of several images in a file: ``cells.h5/volumes/raw``, ``cells.lif/Series 2``.

Where a file does not say what its axes are, or is wrong, they stand last: ``cells.tif/@ZCYX``.
"""

from __future__ import annotations

import re
from pathlib import Path

_AXES = re.compile(r"@([A-Za-z]{2,7})")


def split_axes(place: Path) -> tuple[Path, str | None]:
    """Tell a place from the axes that a person gives it.

    >>> split_axes(Path("cells.tif/@zcyx"))[1]
    'ZCYX'
    """
    found = _AXES.fullmatch(place.name)
    return (place.parent, found[1].upper()) if found else (place, None)


def split_place(place: str | Path) -> tuple[Path, str] | None:
    """Tell the file from the part of it that is meant.

    Parameters
    ----------
    place : str or Path
        A file or folder, or one with the name of a part behind it, as ``FILE/PART`` or
        ``FILE:PART``; axes may follow, as in ``FILE/@ZCYX``.

    Returns
    -------
    path : Path
        What is on disk.
    part : str
        Empty where all of it is meant. Folders, a Zarr's for instance, have no parts but axes: what
        is in them has a path of its own.

    Or None, where nothing of that name is there.
    """
    path = Path(place)
    if path.exists():
        return path, ""
    bare, axes = split_axes(path)
    if axes is not None:
        within = split_place(bare)
        return within and (within[0], "/".join(filter(None, [within[1], path.name])))
    for holder in (path, *path.parents):
        inside = path.relative_to(holder).parts
        if holder.is_file():
            return holder, "/".join(inside)
        name, colon, first = holder.name.partition(":")
        if colon and name and (found := holder.with_name(name)).is_file():
            return found, "/".join([first.strip("/"), *inside]).strip("/")
    return None
