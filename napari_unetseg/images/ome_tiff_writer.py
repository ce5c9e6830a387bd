"""OME-TIFF slice by slice, with calibration, channels and what is known about labels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_unetseg.errors import UserError

from .channel_colors import rgba_of_color
from .stack import Stack
from .tiff_metadata import NAMESPACE

#: Larger files need 64-bit offsets. Left to itself, tifffile takes what is compressed for small.
_CLASSIC_BYTES = 2**32 - 2**25

#: OME-TIFF knows neither 64-bit integers nor half floats; bool would become 1-bit pages.
_STORED_AS = {"bool": "uint8", "float16": "float32"}


def write_ome_tiff(path: Path, stack: Stack, *, compress: bool) -> None:
    """Write a stack to `path`, which is created.

    Raises
    ------
    UserError
        If its values do not fit any type OME-TIFF has.
    """
    metadata: dict[str, Any] = {"axes": stack.axes, "Name": stack.name}
    for axis, size in stack.pixel_size_um.items():
        metadata[f"PhysicalSize{axis}"] = size
        metadata[f"PhysicalSize{axis}Unit"] = "µm"
    if any(stack.channels):
        metadata["Channel"] = {"Name": list(stack.channels)}
    if all(stack.channel_colors) and stack.channel_colors:
        colors = [rgba_of_color(color) for color in stack.channel_colors]
        metadata["Channel"] = metadata.get("Channel", {}) | {"Color": colors}
    if stack.metadata:
        about = json.dumps(stack.metadata, ensure_ascii=False)
        metadata["MapAnnotation"] = {"Namespace": NAMESPACE, "Value": {"labels": about}}
    dtype = _storable_type(stack)
    tifffile.imwrite(
        path,
        (np.ascontiguousarray(page, dtype) for page in _pages(stack)),
        shape=stack.shape,
        dtype=dtype,
        ome=True,
        bigtiff=dtype.itemsize * math.prod(stack.shape) > _CLASSIC_BYTES,
        photometric="minisblack",
        compression="zlib" if compress else None,
        metadata=metadata,
        **_resolution(stack),
    )


def _pages(stack: Stack) -> Iterator[npt.NDArray[Any]]:
    """Yield every slice of every channel, X fastest and the first axis slowest."""
    depth, channels = stack.size("Z"), range(stack.n_channels)
    for t in range(stack.size("T")):
        for c in channels:
            for z in range(depth):
                yield _page(stack, {"T": t, "C": c, "Z": z})


def _page(stack: Stack, where: dict[str, int]) -> npt.NDArray[Any]:
    return np.asarray(stack.data[tuple(where.get(axis, slice(None)) for axis in stack.axes)])


def _storable_type(stack: Stack) -> np.dtype[Any]:
    """Return the type of the pages; 64-bit integers are looked through for one that holds them."""
    wanted = np.dtype(_STORED_AS.get(stack.dtype.name, stack.dtype))
    if stack.dtype.itemsize < 8 or stack.dtype.kind not in "iu":
        return wanted
    low, high = 0, 0
    for page in _pages(stack):
        low, high = min(low, int(page.min())), max(high, int(page.max()))
    for fitting in (np.int32, np.uint32):
        if np.iinfo(fitting).min <= low <= high <= np.iinfo(fitting).max:
            return np.dtype(fitting)
    raise UserError(
        f"{stack.name} holds values from {low} to {high}; OME-TIFF has 32-bit integers at most, "
        "so scale them or write a .zarr."
    )


def _resolution(stack: Stack) -> dict[str, Any]:
    """Repeat the pixel size in the tags that programs without OME read, in pixels per cm."""
    sizes = [stack.pixel_size_um.get(axis) for axis in "XY"]
    if None in sizes:
        return {}
    return {
        "resolution": tuple(1e4 / size for size in sizes if size),
        "resolutionunit": "CENTIMETER",
    }
