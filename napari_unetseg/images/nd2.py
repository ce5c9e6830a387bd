"""Nikon ND2, read slice by slice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .assemble import assemble
from .calibration import length_um
from .extras import needed
from .lazy import lazy_array
from .scenes import chosen_scene, scene_note
from .stack import Stack


def read(path: Path, part: str, axes: str | None = None) -> Stack:
    """Open a position of the stage.

    Parameters
    ----------
    path : Path
    part : str
        Number of the position; the first where it is empty.
    axes : str, optional
        One letter per axis as the file has them, without the positions.

    Raises
    ------
    UserError
        If there is no such position, or nd2 is not installed.
    """
    library = needed("nd2", "nd2", path)
    with library.ND2File(path) as file:
        found = "".join(file.sizes)
        names = [str(n) for n in range(file.sizes.get("P", 1))]
        index = chosen_scene(path, part, names)
        sizes, channels = _sizes(file), [c.channel.name or "" for c in file.metadata.channels or []]
        data = _opened(path, file.to_dask(wrapper=False))
    if "P" in found:
        data = data[(slice(None),) * found.index("P") + (index,)]
        found = found.replace("P", "")
    return assemble(
        path,
        data,
        axes or found,
        sizes,
        channels=("red", "green", "blue") if "S" in found else channels,
        notes=scene_note(path, part, names, index),
        parts=[name for name in names if name != names[index]],
    )


def _opened(path: Path, frames: Any) -> Any:
    """Tell in a sentence where a frame cannot be read."""

    def block(where: tuple[slice, ...]) -> Any:
        return frames[where].compute(scheduler="synchronous")

    return lazy_array(path, block, frames.shape, frames.chunksize, frames.dtype)


def _sizes(file: Any) -> dict[str, float]:
    """Return the voxel size in µm along the axes that were calibrated."""
    channels = file.metadata.channels or []
    calibrated = channels[0].volume.axesCalibrated if channels else (False,) * 3
    voxel = file.voxel_size()
    lengths = zip("XYZ", (voxel.x, voxel.y, voxel.z), calibrated, strict=True)
    found = {axis: length_um(length, "um") for axis, length, is_known in lengths if is_known}
    return {axis: size for axis, size in found.items() if size is not None}
