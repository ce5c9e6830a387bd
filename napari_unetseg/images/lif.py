"""Leica LIF, mapped into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .assemble import assemble
from .calibration import length_um
from .channel_colors import color_of_name
from .extras import needed
from .mapped import check_memory
from .scenes import chosen_scene, scene_note
from .stack import Stack


def read(path: Path, part: str, axes: str | None = None) -> Stack:
    """Open an image of the file.

    Parameters
    ----------
    path : Path
    part : str
        Name of the image, or its number; the first where it is empty.
    axes : str, optional
        One letter per axis as the file has them.

    Raises
    ------
    UserError
        If there is no such image, or liffile is not installed.
    """
    library = needed("liffile", "lif", path)
    with library.LifFile(path) as file:
        images = list(file.images)
        if not images:
            raise ValueError("it holds no image")
        names = _names([image.path for image in images])
        index = chosen_scene(path, part, names)
        image = images[index]
        found = "".join(image.dims)
        sizes = _sizes(image)
        notes = scene_note(path, part, names, index)
        if "S" in found:
            check_memory(path, image.nbytes, "as OME-TIFF")
            data = image.asarray()
        else:
            data = image.asarray(out="memmap")
        channels = _channel_names(image)
    if "M" in found and data.shape[found.index("M")] > 1:
        notes.append("It is a mosaic that is not put together: its tiles follow each other as T.")
        found = found.replace("T", "Q").replace("M", "T")
    if "Y" not in found and (across := next((axis for axis in "ZTQ" if axis in found), None)):
        notes.append(f"Its slices are X{across} sections: Y is what the file calls {across}.")
        found = found.replace(across, "Y")
        sizes = {"X": sizes.get("X"), "Y": sizes.get(across)}
    return assemble(
        path,
        data,
        axes or found,
        {axis: size for axis, size in sizes.items() if size is not None},
        channels=("red", "green", "blue") if "S" in found else channels,
        channel_colors=[color_of_name(name) for name in channels],
        notes=notes,
        parts=[name for name in names if name != names[index]],
    )


def _names(paths: list[str]) -> list[str]:
    """Name images without the project that all of them are in."""
    roots = {path.partition("/")[0] for path in paths}
    inside = [path.partition("/")[2] for path in paths]
    names = inside if len(roots) == 1 and all(inside) else paths
    return names if len(set(names)) == len(names) else [str(i) for i in range(len(names))]


def _sizes(image: Any) -> dict[str, float | None]:
    """Return the distance between pixels; coordinates are in metres."""
    steps = {
        axis: abs(float(places[-1] - places[0])) / (len(places) - 1)
        for axis, places in image.coords.items()
        if axis in "XYZ" and len(places) > 1
    }
    return {axis: length_um(step, "m") for axis, step in steps.items()}


def _channel_names(image: Any) -> list[str]:
    """Return the colours in which channels are shown, the only names there are of them."""
    described = image.xml_element.findall("./Data/Image/ImageDescription/Channels/*")
    names = [channel.get("LUTName", "") for channel in described]
    return names if len(set(names)) == len(names) else []
