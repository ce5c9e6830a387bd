"""OME-Zarr 0.1 to 0.5: images, their levels and labels, plates and series; and bare arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError
from napari_unetseg.wording import listed

from .assemble import assemble
from .axes import guess_axes
from .calibration import length_um
from .channel_colors import color_of_hex
from .damage import check_size
from .lazy import chunk_to_read, lazy_array
from .names import is_of_system
from .stack import Stack
from .tiff_metadata import NAMESPACE
from .zarr_chunks import checked
from .zarr_groups import attributes_of, images_below

_METADATA_FILES = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")

#: More images than this in a group are not listed.
_LISTED_IMAGES = 5


@dataclass(frozen=True, slots=True)
class _Multiscale:
    """An image of several resolutions, as its group describes it.

    Attributes
    ----------
    attributes : mapping
        Of the group, those of OME-Zarr on top.
    about : mapping
        The first entry of ``"multiscales"``.
    """

    attributes: Mapping[str, Any]
    about: Mapping[str, Any]

    @property
    def paths(self) -> list[str]:
        """Levels, the finest first."""
        return [str(dataset["path"]) for dataset in self.about["datasets"]]

    def axes(self, ndim: int) -> str:
        """Return a letter per axis; versions before 0.4 have less to say."""
        named = self.about.get("axes") or list("tczyx")[-ndim:]
        names = [axis["name"] if isinstance(axis, dict) else axis for axis in named]
        return "".join(str(name).upper()[:1] for name in names)

    def sizes(self, level: str) -> dict[str, float]:
        """Multiply the scales of a level and of the whole image, in µm."""
        dataset = self.about["datasets"][self.paths.index(level)]
        sizes: dict[str, float] = {}
        for index, axis in enumerate(self.about.get("axes") or []):
            scale = 1.0
            for owner in (dataset, self.about):
                for transformation in owner.get("coordinateTransformations", []):
                    if transformation.get("type") == "scale":
                        scale *= float(transformation["scale"][index])
            size = length_um(scale, axis.get("unit")) if isinstance(axis, dict) else None
            if size is not None and axis.get("type") == "space":
                sizes[str(axis["name"]).upper()] = size
        return sizes


def read(path: Path, part: str = "", axes: str | None = None) -> Stack:
    """Open an image, the finest level there is of it, or a bare array, without reading pixels.

    Parameters
    ----------
    path : Path
        Of an image, one of its levels, an image in its ``labels``, a plate, a well, a series or
        a group that holds images; the first of several is opened.
    part : str
        Not used: what is inside has a path of its own.
    axes : str, optional
        One letter per axis.

    Raises
    ------
    UserError
        If it is a group without an image.
    """
    import zarr

    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return _level(path, node, axes)
    image = _multiscale(node)
    if image is None:
        return _first_below(path, node, axes)
    arrays = {level: node.get(level) for level in image.paths}
    present = [level for level, array in arrays.items() if isinstance(array, zarr.Array)]
    if not present:
        raise UserError(f"{path} names resolution levels but holds none of them; copy it again.")
    level = next((level for level in present if _has_pixels(path / level)), present[0])
    stack = _stack(path, arrays[level], axes, image, level)
    others = [other for other in present if other != level and _has_pixels(path / other)]
    parts = [*others, *(f"labels/{name}" for name in _labels(node))]
    return replace(stack, notes=tuple(_notes(image.paths, level)), parts=tuple(parts))


def _multiscale(node: Any) -> _Multiscale | None:
    attributes = attributes_of(node)
    found = attributes.get("multiscales")
    return _Multiscale(attributes, found[0]) if found else None


def _level(path: Path, array: Any, axes: str | None) -> Stack:
    """Open an array: as a level, if a group above it says so."""
    import zarr

    for above in list(path.parents)[:3]:
        if any((above / name).is_file() for name in _METADATA_FILES):
            group = zarr.open(above, mode="r")
            image = _multiscale(group) if isinstance(group, zarr.Group) else None
            level = path.relative_to(above).as_posix()
            if image is not None and level in image.paths:
                return _stack(path, array, axes, image, level)
    return assemble(path, _lazy(path, array), axes or _named_axes(array), {})


def _stack(path: Path, array: Any, axes: str | None, image: _Multiscale, level: str) -> Stack:
    channels = image.attributes.get("omero", {}).get("channels", [])
    return assemble(
        path,
        _lazy(path, array),
        axes or image.axes(array.ndim),
        image.sizes(level),
        channels=[str(channel.get("label", "")) for channel in channels],
        channel_colors=[color_of_hex(channel.get("color", "")) for channel in channels],
        metadata=image.attributes.get(NAMESPACE, {}),
    )


def _lazy(path: Path, array: Any) -> Any:
    if array.dtype.kind not in "iubf":
        raise UserError(f"{path} holds {array.dtype} values; an image needs integers or floats.")
    check_size(path, array.shape)
    whole = checked(array)

    def block(where: tuple[slice, ...]) -> npt.NDArray[Any]:
        return np.asarray(whole[where])

    chunk = chunk_to_read(array.shape, array.chunks, array.dtype.itemsize)
    return lazy_array(path, block, array.shape, chunk, array.dtype)


def _named_axes(array: Any) -> str:
    """Return the axes that a bare array names, as Zarr 3 or xarray do, or a guess."""
    named = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    letters = "".join(str(name or "Q").upper()[:1] for name in named or [])
    fits = len(letters) == len(set(letters)) == array.ndim and {"Y", "X"} <= set(letters)
    return letters if fits else guess_axes(tuple(array.shape))


def _first_below(path: Path, node: Any, axes: str | None) -> Stack:
    """Open the first image of a plate, a well, several series, or any other group."""
    found = images_below(path, node)
    if not found:
        raise UserError(
            f"{path} is a Zarr group without an image; give the path of an image in it."
        )
    stack = read(path / found[0], "", axes)
    if len(found) == 1:
        return stack
    others = ", ".join(found[1 : _LISTED_IMAGES + 1]) + (
        " …" if found[_LISTED_IMAGES + 1 :] else ""
    )
    note = f"{path.name} holds {len(found)} images; this is {found[0]}, others are {others}."
    return replace(stack, notes=(note, *stack.notes))


def _labels(node: Any) -> list[str]:
    import zarr

    group = node.get("labels")
    if not isinstance(group, zarr.Group):
        return []
    return [str(name) for name in attributes_of(group).get("labels", []) if str(name) in group]


def _has_pixels(folder: Path) -> bool:
    """Tell whether there is any chunk: levels that were not copied may still be described."""
    found = (name for name in _files(folder) if not is_of_system(Path(name)))
    return any(name not in _METADATA_FILES for name in found)


def _files(folder: Path) -> Iterator[str]:
    for _, _, names in os.walk(folder):
        yield from names


def _notes(levels: Sequence[str], level: str) -> list[str]:
    """Say so where finer levels than this are missing."""
    finer = list(levels[: levels.index(level)])
    if not finer and level.isdecimal():
        finer = [str(n) for n in range(int(level))]
    if not finer:
        return []
    are = "levels" if len(finer) > 1 else "level"
    return [
        f"Resolution {are} {listed(finer)} {'are' if len(finer) > 1 else 'is'} missing or empty: "
        f"this is level {level}, with the pixel size of that level. Copy the image again if it "
        "should be whole."
    ]
