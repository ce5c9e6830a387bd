"""Which images a Zarr group holds: a plate's fields, a file's series, or any arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .names import natural_key

#: So many folders are looked into below a group that says nothing of what it holds.
_MOST_FOLDERS = 1000


def attributes_of(node: Any) -> dict[str, Any]:
    """Return the attributes of a group, those of OME-Zarr 0.5 where older ones have them."""
    attributes: dict[str, Any] = dict(node.attrs)
    attributes |= attributes.get("ome", {})
    return attributes


def images_below(path: Path, node: Any) -> list[str]:
    """List the images in a group, as paths from it, in the order in which people expect them.

    Parameters
    ----------
    path : Path
        Of the group.
    node : zarr.Group
        Without ``"multiscales"`` of its own.
    """
    attributes = attributes_of(node)
    if "plate" in attributes:
        wells = [str(well["path"]) for well in attributes["plate"].get("wells", [])]
        found = [f"{well}/{field}" for well in wells for field in _fields(node.get(well))]
    elif "well" in attributes:
        found = _fields(node)
    elif "labels" in attributes:
        found = [str(name) for name in attributes["labels"]]
    else:
        found = _anywhere(path)
    return [name for name in found if (path / name).is_dir()]


def _fields(well: Any) -> list[str]:
    if well is None:
        return []
    found = attributes_of(well)
    return [str(image["path"]) for image in found.get("well", {}).get("images", [])]


def _anywhere(path: Path) -> list[str]:
    """Look for images, and for arrays that are no levels of one, from the top down."""
    import zarr

    found: list[str] = []
    waiting, looked = [path], 0
    while waiting and looked < _MOST_FOLDERS:
        folder = waiting.pop(0)
        for inside in sorted((p for p in folder.iterdir() if p.is_dir()), key=natural_key):
            if not any((inside / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray")):
                continue
            looked += 1
            node = zarr.open(inside, mode="r")
            if isinstance(node, zarr.Array):
                is_image = node.ndim > 1 and node.dtype.kind in "iubf"
            else:
                is_image = "multiscales" in attributes_of(node)
                if not is_image:
                    waiting.append(inside)
            if is_image:
                found.append(inside.relative_to(path).as_posix())
    return found
