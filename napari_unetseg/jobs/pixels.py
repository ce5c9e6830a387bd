"""Pixels that two processes share: ``.npy`` files, mapped into memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, map_npy, open_stack

from .commands import ImageRef

Codes = npt.NDArray[np.uint8]


def save_array(
    array: Any, path: str | Path, advance: Callable[[int, int], object] | None = None
) -> None:
    """Write an array as ``.npy``, plane by plane, so that memory does not grow with it.

    Parameters
    ----------
    array : array-like, shape (…, Y, X)
        Anything with ``shape``, ``dtype`` and indexing: a Zarr, a dask array, a memory map.
    path : str or Path
        An existing file is replaced; who has it mapped keeps what was there.
    advance : callable, optional
        Told before each plane how many are written and how many there are; what it raises ends it.
    """
    leading = tuple(array.shape[:-2])
    target = _create(Path(path), np.dtype(array.dtype), tuple(array.shape))
    n_planes = math.prod(leading)
    for index in range(n_planes):
        if advance is not None:
            advance(index, n_planes)
        where = np.unravel_index(index, leading) if leading else ()
        target[where] = np.asarray(array[tuple(int(i) for i in where)])
    target.flush()


def save_planes(
    stack: Stack, path: str | Path, advance: Callable[[int, int], object] | None = None
) -> None:
    """Write the pixels of a stack as ``.npy``, with the stack's axes; see `save_array`."""
    save_array(stack.data, path, advance)


def create_codes(path: str | Path, shape: tuple[int, ...]) -> Codes:
    """Make a file of unlabelled codes, or of other numbers up to 255, to be filled by a job.

    Where the system has sparse files, it takes no space until it is written to.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced.
    shape : tuple of int
        (planes, Y, X), or (classes, planes, Y, X).

    Returns
    -------
    ndarray of `shape`, uint8
        Mapped: what another process writes into the file appears here.
    """
    return _create(Path(path), np.dtype(np.uint8), shape)


def create_labels(path: str | Path, shape: tuple[int, ...], kind: str) -> np.memmap[Any, Any]:
    """Make a file of codes, uint8, or of ids where `kind` is ``"objects"``, uint32.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced.
    shape : tuple of int
        (planes, Y, X).
    """
    return _create(Path(path), np.dtype(np.uint32 if kind == "objects" else np.uint8), shape)


def open_codes(path: str | Path, stack: Stack, mode: Literal["r", "r+"] = "r") -> Codes:
    """Map an existing file of codes.

    Raises
    ------
    UserError
        If it cannot be read, or its shape is not that of the stack's slices.
    """
    codes = map_npy(path, mode)
    wanted = (stack.n_planes, *stack.plane_shape)
    if codes.dtype != np.uint8 or codes.shape != wanted:
        raise UserError(
            f"{path} holds {codes.dtype} of shape {codes.shape}; the slices of {stack.name} need "
            f"uint8 of shape {wanted}."
        )
    return codes


def open_image(ref: ImageRef) -> Stack:
    """Open the image that a command speaks of, without reading its pixels where that can be.

    Raises
    ------
    UserError
        If it cannot be read, or its axes are not those of the command.
    """
    path = Path(ref.path)
    # A file between two processes has no name that a person knows: messages take the image's.
    shared = path.suffix == ".npy"
    data = map_npy(path, "r") if shared else open_stack(path).data
    size, known = dict(ref.pixel_size_um), None if shared else path
    try:
        return Stack(data, ref.axes, size, ref.name, known, tuple(ref.channels))
    except ValueError as error:
        raise UserError(f"{path} is not the image that was meant: {error}.") from error


def _create(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    # Truncating a file that is mapped kills whoever touches the mapping: replace it instead.
    path.unlink(missing_ok=True)
    created: np.memmap[Any, Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
    return created
