"""Zeiss CZI, read tile by tile with Zeiss's own library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from .assemble import assemble
from .calibration import length_um
from .channel_colors import color_of_hex
from .extras import needed
from .lazy import lazy_array
from .scenes import chosen_scene, scene_note
from .stack import Stack

_TYPES = {"Gray8": "u1", "Gray16": "u2", "Gray32Float": "f4", "Bgr24": "u1", "Bgr48": "u2"}
_COLOURS = ("Bgr24", "Bgr48")

#: Larger slices are read in pieces: slides of a whole brain are 100,000 px wide.
_TILE_PX = 2048

#: More than this is what a damaged header says.
_MOST_CHANNELS = 1000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the pixels of a scene are: the scene, its rectangle, and the first of T, C and Z."""

    scene: int | None
    x: int
    y: int
    width: int
    height: int
    first: tuple[int, ...]


def read(path: Path, part: str, axes: str | None = None) -> Stack:
    """Open a scene; tiles of a mosaic are put together.

    Parameters
    ----------
    path : Path
    part : str
        Name or number of the scene; the first where it is empty.
    axes : str, optional
        In place of ``"TCZYX"``.

    Raises
    ------
    UserError
        If there is no such scene, or pylibCZIrw is not installed.
    """
    library = needed("pylibCZIrw.czi", "czi", path)
    with library.open_czi(str(path)) as file:
        about = _metadata(file.raw_metadata)
        rectangles = file.scenes_bounding_rectangle_no_pyramid
        names = _scene_names(about, sorted(rectangles))
        index = chosen_scene(path, part, names)
        scene = sorted(rectangles)[index] if rectangles else None
        box = file.total_bounding_rectangle_no_pyramid if scene is None else rectangles[scene]
        spans = [file.total_bounding_box.get(axis, (0, 1)) for axis in "TCZ"]
        if spans[1][1] - spans[1][0] > _MOST_CHANNELS:
            raise ValueError(f"it says that there are {spans[1][1]} channels")
        kinds = [file.get_channel_pixel_type(n) for n in range(*spans[1])]
    place = _Place(scene, box.x, box.y, box.w, box.h, tuple(int(a) for a, _ in spans))
    unknown = [kind for kind in kinds if kind not in _TYPES]
    if unknown:
        raise ValueError(f"pixels of type {unknown[0]}")
    is_colour = kinds[0] in _COLOURS
    dtype = np.result_type(*(_TYPES[kind] for kind in kinds))
    shape = (*(int(b - a) for a, b in spans), box.h, box.w)
    data = _lazy(path, place, shape, dtype, 3 if is_colour else 1)
    colours = is_colour and len(kinds) == 1
    found = "TCZYXS" if is_colour else "TCZYX"
    if colours:  # the colours are the channels
        data, found = data[:, 0], "TZYXS"
    single = tuple(i for i, axis in enumerate(found) if axis in "TZ" and data.shape[i] == 1)
    return assemble(
        path,
        data.squeeze(single),
        axes or "".join(axis for i, axis in enumerate(found) if i not in single),
        _sizes(about),
        channels=("red", "green", "blue") if colours else _channel_names(about),
        channel_colors=() if colours else _channel_colors(about),
        notes=scene_note(path, part, names, index),
        parts=[name for name in names if name != names[index]],
    )


def _lazy(
    path: Path, place: _Place, shape: tuple[int, ...], dtype: npt.DTypeLike, n_samples: int
) -> Any:
    def block(where: tuple[slice, ...]) -> npt.NDArray[Any]:
        from pylibCZIrw import czi

        t, c, z = (span.start + first for span, first in zip(where, place.first, strict=False))
        y, x = where[3], where[4]
        roi = (place.x + x.start, place.y + y.start, x.stop - x.start, y.stop - y.start)
        with czi.open_czi(str(path)) as file:
            pixels = file.read(plane={"T": t, "C": c, "Z": z}, roi=roi, scene=place.scene)
        pixels = pixels[..., ::-1] if n_samples > 1 else pixels[..., 0]  # blue comes first
        return np.asarray(pixels, dtype)[np.newaxis, np.newaxis, np.newaxis]

    chunk: tuple[int, ...] = (1, 1, 1, min(shape[3], _TILE_PX), min(shape[4], _TILE_PX))
    if n_samples > 1:
        shape, chunk = (*shape, n_samples), (*chunk, n_samples)
    return lazy_array(path, block, shape, chunk, dtype)


def _metadata(xml: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return ElementTree.Element("ImageDocument")


def _sizes(about: ElementTree.Element) -> Mapping[str, float]:
    found = {
        str(item.get("Id")): length_um(item.findtext("Value"), "m")
        for item in about.iterfind("./Metadata/Scaling/Items/Distance")
    }
    return {axis: size for axis, size in found.items() if size is not None}


def _channel_names(about: ElementTree.Element) -> list[str]:
    for where in ("Information/Image/Dimensions", "DisplaySetting"):
        channels = about.findall(f"./Metadata/{where}/Channels/Channel")
        names = [channel.get("Name") or "" for channel in channels]
        if names and all(names):
            return names
    return []


def _channel_colors(about: ElementTree.Element) -> list[str]:
    channels = about.findall("./Metadata/DisplaySetting/Channels/Channel")
    return [color_of_hex(channel.findtext("Color", "")) for channel in channels]


def _scene_names(about: ElementTree.Element, scenes: list[int]) -> list[str]:
    """Return a name per scene; its number where it has none of its own."""
    found = about.findall("./Metadata/Information/Image/Dimensions/S/Scenes/Scene")
    names = {scene.get("Index", ""): scene.get("Name", "") for scene in found}
    named = [names.get(str(scene)) or str(scene) for scene in scenes] or ["0"]
    return named if len(set(named)) == len(named) else [str(scene) for scene in scenes]
