"""A folder of pictures as one Z stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted

from .assemble import assemble
from .damage import no_parts
from .formats import PICTURE_SUFFIXES, SUFFIXES, TIFF_SUFFIXES
from .lazy import lazy_array
from .names import natural_key, suffix_of
from .stack import Stack

_FAMILIES = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES)

#: Slices up to this size in all are read at once; of more, each when it is looked at.
READ_AT_ONCE_BYTES = 1 << 26


def images_in(folder: Path) -> list[Path]:
    """List the image files of a folder in natural order, hidden ones left out."""
    found = [
        path
        for path in folder.iterdir()
        if suffix_of(path) in SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(found, key=natural_key)


def read(folder: Path, part: str = "", axes: str | None = None) -> Stack:
    """Open a folder's images as the slices of one stack, in natural order.

    Raises
    ------
    UserError
        If the folder holds no images, or they are not single planes of one shape and type; of
        many, when a slice that differs is looked at.
    """
    from .reading import open_stack

    if part:
        raise no_parts(folder, part)
    paths = [path for path in images_in(folder) if suffix_of(path) in _FAMILIES]
    if not paths and images_in(folder):
        raise UserError(
            f"The images in {folder} are no slices; TIFF, PNG and JPEG files are read as slices."
        )
    if not paths:
        raise UserError(f"{folder} holds no images; it reads TIFF, PNG and JPEG files as slices.")
    first = open_stack(paths[0], axes=axes)
    if first.n_planes != 1:
        raise UserError(
            f"{paths[0]} is a stack itself ({first.n_planes} slices); give the files of {folder} "
            "as separate images instead of one Z stack."
        )
    plane = first.plane(0)

    def slice_at(where: tuple[slice, ...]) -> npt.NDArray[Any]:
        path = paths[where[0].start]
        opened = open_stack(path, axes=axes)
        _check_like(opened, path, first, paths[0])
        return opened.plane(0)[np.newaxis]

    data: Any
    if len(paths) * plane.nbytes <= READ_AT_ONCE_BYTES:
        data = np.concatenate([slice_at((slice(i, i + 1),)) for i in range(len(paths))])
    else:
        shape = (len(paths), *plane.shape)
        data = lazy_array(folder, slice_at, shape, (1, *plane.shape), plane.dtype)
    if first.n_channels == 1:
        data, found = data[:, 0], "ZYX"
    else:
        found = "ZCYX"
    stack = assemble(
        folder,
        data,
        found,
        {axis: um for axis, um in first.pixel_size_um.items() if axis != "Z"},
        channels=first.channels,
        channel_colors=first.channel_colors,
        metadata=first.metadata,
    )
    return replace(stack, name=folder.name)


def _check_like(stack: Stack, path: Path, first: Stack, its_path: Path) -> None:
    """Raise UserError where a slice does not fit the first one."""
    same_size = (stack.n_channels, stack.plane_shape) == (first.n_channels, first.plane_shape)
    if stack.n_planes != 1 or not same_size:
        raise UserError(
            f"{path} is {_size(stack)} and {its_path.name} is {_size(first)}; the slices of "
            "a stack must agree in size and channels."
        )
    if stack.dtype != first.dtype:
        raise UserError(
            f"{path} holds {stack.dtype} and {its_path.name} {first.dtype}; the slices of a "
            "stack must agree in type."
        )


def _size(stack: Stack) -> str:
    height, width = stack.plane_shape
    return f"{height} × {width} px with {counted(stack.n_channels, 'channel')}"
