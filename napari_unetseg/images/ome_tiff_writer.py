"""OME-TIFF with calibration, channel names and what this package knows about labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_unetseg.errors import UserError

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
    if stack.metadata:
        about = json.dumps(stack.metadata, ensure_ascii=False)
        metadata["MapAnnotation"] = {"Namespace": NAMESPACE, "Value": {"labels": about}}
    data = _storable(np.asarray(stack.data), stack.name)
    tifffile.imwrite(
        path,
        data,
        ome=True,
        bigtiff=data.nbytes > _CLASSIC_BYTES,
        photometric="minisblack",
        compression="zlib" if compress else None,
        metadata=metadata,
        **_resolution(stack),
    )


def _storable(data: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    wanted = _STORED_AS.get(data.dtype.name, data.dtype.name)
    if data.dtype.itemsize == 8 and data.dtype.kind in "iu":
        low, high = int(data.min()), int(data.max())
        fitting = [
            t for t in (np.int32, np.uint32) if np.iinfo(t).min <= low <= high <= np.iinfo(t).max
        ]
        if not fitting:
            raise UserError(
                f"{name} holds values from {low} to {high}; OME-TIFF has 32-bit integers at most, "
                "so scale them or write a .zarr."
            )
        wanted = np.dtype(fitting[0]).name
    return np.ascontiguousarray(data, wanted)


def _resolution(stack: Stack) -> dict[str, Any]:
    """Repeat the pixel size in the tags that programs without OME read, in pixels per cm."""
    sizes = [stack.pixel_size_um.get(axis) for axis in "XY"]
    if None in sizes:
        return {}
    return {
        "resolution": tuple(1e4 / size for size in sizes if size),
        "resolutionunit": "CENTIMETER",
    }
