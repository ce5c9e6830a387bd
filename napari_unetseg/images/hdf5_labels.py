"""Labels as HDF5, as ilastik, PlantSeg and Fiji read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .atomic import atomic_file
from .extras import needed
from .label_meaning import framed, with_frame
from .stack import Stack
from .tiff_metadata import NAMESPACE

#: What ilastik calls a result.
DATASET = "exported_data"

#: Kinds of axes as vigra, ilastik's library, numbers them.
_KINDS = {"T": 8, "Z": 2, "Y": 2, "X": 2}


def write_hdf5(path: Path, labels: Stack, *, overwrite: bool = False) -> None:
    """Write labels as one array, compressed slice by slice.

    Its axes are ilastik's ``axistags``, its pixel size the ``element_size_um`` of PlantSeg and
    Fiji; what neither has a place for is JSON beside it, under the name of this package.
    """
    h5py = needed("h5py", "hdf5", path, "written")
    sizes = labels.pixel_size_um
    with atomic_file(path, overwrite=overwrite) as partial, h5py.File(partial, "w") as file:
        leading = len(labels.shape) - 2
        array = file.create_dataset(
            DATASET,
            labels.shape,
            labels.dtype,
            chunks=(*(1,) * leading, *labels.plane_shape),
            compression="gzip",
        )
        for index in range(labels.n_planes):
            array[_place(labels, index)] = labels.plane(index)[0]
        for dimension, axis in zip(array.dims, labels.axes, strict=True):
            dimension.label = axis.lower()
        array.attrs["axistags"] = json.dumps({"axes": [_tag(axis, sizes) for axis in labels.axes]})
        if {"Y", "X"} <= set(sizes) and ("Z" in sizes or "Z" not in labels.axes):
            array.attrs["element_size_um"] = [sizes.get(axis, 1.0) for axis in "ZYX"]
        file[NAMESPACE] = json.dumps(with_frame(labels))


def with_what_is_beside(path: Path, labels: Stack) -> Stack:
    """Return labels with what this package wrote beside them, if it was this package."""
    h5py = needed("h5py", "hdf5", path)
    try:
        with h5py.File(path, "r") as file:
            about = json.loads(file[NAMESPACE].asstr()[()])
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return labels
    return framed(labels, about)


def _place(labels: Stack, index: int) -> tuple[Any, ...]:
    t, z = divmod(index, labels.size("Z"))
    where = {"T": t, "Z": z}
    return tuple(where.get(axis, slice(None)) for axis in labels.axes)


def _tag(axis: str, sizes: dict[str, float]) -> dict[str, Any]:
    # A resolution of 0 is one that is not known.
    resolution = sizes.get(axis, 0)
    return {
        "key": axis.lower(),
        "typeFlags": _KINDS[axis],
        "resolution": resolution,
        "description": "",
    }
