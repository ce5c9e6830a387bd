"""A folder of pictures as one Z stack."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted

from .formats import PICTURE_SUFFIXES, SUFFIXES, TIFF_SUFFIXES
from .names import natural_key, suffix_of
from .stack import Stack

_FAMILIES = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES)


def images_in(folder: Path) -> list[Path]:
    """List the image files of a folder in natural order, hidden ones left out."""
    found = [
        path
        for path in folder.iterdir()
        if suffix_of(path) in SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(found, key=natural_key)


def read(folder: Path, part: str = "", axes: str | None = None) -> Stack:
    """Read a folder's images as the slices of one stack, in natural order.

    Raises
    ------
    UserError
        If the folder holds no images, or they are not single planes of one shape and type.
    """
    from .reading import open_stack

    paths = [path for path in images_in(folder) if suffix_of(path) in _FAMILIES]
    if not paths:
        raise UserError(f"{folder} holds no images; it reads TIFF, PNG and JPEG files as slices.")
    first = open_stack(paths[0], axes=axes)
    if first.n_planes != 1:
        raise UserError(
            f"{paths[0]} is a stack itself ({first.n_planes} slices); give the files of {folder} "
            "as separate images instead of one Z stack."
        )
    data = np.empty((len(paths), *first.plane(0).shape), first.dtype)
    for index, path in enumerate(paths):
        plane = first if index == 0 else open_stack(path, axes=axes)
        if (plane.n_planes, plane.plane(0).shape) != (1, data.shape[1:]):
            raise UserError(
                f"{path} is {_size(plane)} and {paths[0].name} is {_size(first)}; the slices of "
                "a stack must agree in size and channels."
            )
        if plane.dtype != first.dtype:
            raise UserError(
                f"{path} holds {plane.dtype} and {paths[0].name} {first.dtype}; the slices of a "
                "stack must agree in type."
            )
        data[index] = plane.plane(0)
    data = data.swapaxes(0, 1)
    size = {axis: um for axis, um in first.pixel_size_um.items() if axis != "Z"}
    if first.n_channels == 1:
        return Stack(data[0], "ZYX", size, folder.name, folder, first.channels, first.metadata)
    return Stack(data, "CZYX", size, folder.name, folder, first.channels, first.metadata)


def _size(stack: Stack) -> str:
    height, width = stack.plane_shape
    return f"{height} × {width} px with {counted(stack.n_channels, 'channel')}"
