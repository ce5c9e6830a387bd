"""Where another process can read the pixels of an image, so that large ones need not be copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, fingerprint, map_npy, open_stack

#: Smaller images are copied: a mapped copy is read faster than most files.
LARGE_BYTES = 1 << 30


def place_of_pixels(stack: Stack) -> Path | None:
    """Return a file from which these pixels can be read slice by slice; None where none is known.

    What a person has opened may not be what is in the file it came from, so it is compared.
    """
    n_bytes = stack.dtype.itemsize * int(np.prod(stack.shape, dtype=np.int64))
    if n_bytes < LARGE_BYTES:
        return None
    return next((path for path in _candidates(stack) if _holds(path, stack)), None)


def _candidates(stack: Stack) -> Iterator[Path]:
    if stack.path is not None:
        yield stack.path
    found = {path for array in _sources(stack.data) for path in _path_of(array)}
    if len(found) == 1:  # what was put together from several is in none of them
        yield found.pop()


def _sources(data: Any) -> Iterator[Any]:
    """Yield what an array reads from: itself, or what stands in the graph of a dask array."""
    graph = getattr(data, "dask", None)
    if graph is None:
        yield data
        return
    yield from graph.values()


def _path_of(array: Any) -> Iterator[Path]:
    """Yield the file of a memory map, or the folder of a Zarr array; nothing for all else."""
    if isinstance(array, np.memmap) and array.filename is not None:
        yield Path(array.filename)
    elif type(array).__module__.split(".")[0] == "zarr":
        root = getattr(getattr(array, "store", None), "root", None)
        if root is not None:
            yield Path(root) / str(getattr(array, "path", ""))


def _holds(path: Path, stack: Stack) -> bool:
    """Tell whether the same pixels are in a file, and need not be read whole."""
    try:
        data = map_npy(path) if path.suffix == ".npy" else open_stack(path).data
    except (UserError, OSError):
        return False
    is_lazy = isinstance(data, np.memmap) or not isinstance(data, np.ndarray)
    alike = tuple(data.shape) == stack.shape and np.dtype(data.dtype) == np.dtype(stack.data.dtype)
    if not (is_lazy and alike):
        return False
    there = Stack(data, stack.axes, channels=stack.channels)
    return fingerprint(there) == fingerprint(stack)
