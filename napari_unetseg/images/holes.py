"""Mapped files that are larger than the memory: what was ever written, and what need not stay."""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def written_planes(array: npt.NDArray[Any]) -> list[int]:
    """Return the slices of a mapped array that may hold something, without reading any.

    Where nothing was written, a file has a hole, and the system knows where its holes are.

    Parameters
    ----------
    array : ndarray, shape (planes, Y, X)
        As it is mapped, and not a part of it.

    Returns
    -------
    list of int
        Ascending. All slices where that cannot be told: of what is not mapped, and of systems and
        disks that have no holes.
    """
    everywhere = list(range(len(array)))
    if not (isinstance(array, np.memmap) and array.size > 0 and hasattr(os, "SEEK_DATA")):
        return everywhere
    if not isinstance(array.base, mmap.mmap):  # a part of a mapped array
        return everywhere
    first, n_bytes = array.offset, array[0].nbytes
    planes: set[int] = set()
    try:
        with Path(str(array.filename)).open("rb") as file:
            at, end = first, first + array.nbytes
            while at < end:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
                at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                begin, after = max(start, first) - first, min(at, end) - first
                planes.update(range(begin // n_bytes, -(-after // n_bytes)))
    except OSError as error:
        if error.errno != errno.ENXIO:  # that is the end: no more was written
            return everywhere
    return sorted(planes)


def let_go(array: npt.NDArray[Any]) -> None:
    """Let the system have the memory that holds what was read of a mapped file, or written to it.

    Nothing is lost: it stays in the file, and comes back from there when it is looked at.
    """
    is_shared = isinstance(array, np.memmap) and array.mode != "c"
    if is_shared and isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.base.madvise(mmap.MADV_DONTNEED)
