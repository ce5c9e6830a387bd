"""One of several images in a file: ``cells.h5/volumes/raw``, ``cells.lif/Series 2``."""

from __future__ import annotations

from pathlib import Path


def split_place(place: str | Path) -> tuple[Path, str] | None:
    """Tell the file from the part of it that is meant.

    Parameters
    ----------
    place : str or Path
        A file or folder, or one with the name of a part behind it, as ``FILE/PART`` or
        ``FILE:PART``.

    Returns
    -------
    path : Path
        What is on disk.
    part : str
        Empty where all of it is meant. Folders, a Zarr's for instance, have no parts: what is in
        them has a path of its own.

    Or None, where nothing of that name is there.
    """
    path = Path(place)
    if path.exists():
        return path, ""
    for holder in (path, *path.parents):
        inside = path.relative_to(holder).parts
        if holder.is_file():
            return holder, "/".join(inside)
        name, colon, first = holder.name.partition(":")
        if colon and name and (found := holder.with_name(name)).is_file():
            return found, "/".join([first.strip("/"), *inside]).strip("/")
    return None
