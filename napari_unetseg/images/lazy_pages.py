"""The compressed pages of a TIFF, each decoded when it is looked at."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from .lazy import chunk_to_read, lazy_array

#: Larger pages are read in their tiles or strips, others at once: tiles cost time, each.
_LARGEST_PAGE_BYTES = 1 << 26


def lazy_pages(path: Path, index: int) -> Any:
    """Return a dask array of a series, wherever its pages are.

    The file stays open for as long as the array is in use, as that of a memory map does: to find
    a page, tifffile follows the chain of those before it.

    Parameters
    ----------
    path : Path
        The file, or the one that names the others.
    index : int
        Of the series.
    """
    import zarr

    tif = tifffile.TiffFile(path)
    len(tif.pages)  # see `tiff.read`
    series = tif.series[index]
    page = series.keyframe
    tiled = page.nbytes > _LARGEST_PAGE_BYTES
    array: Any = zarr.open(series.aszarr(level=0, chunkmode=None if tiled else "page"), mode="r")

    def read(where: tuple[slice, ...]) -> npt.NDArray[Any]:
        return np.asarray(array[where])

    weakref.finalize(read, tif.close)
    chunk = chunk_to_read(array.shape, array.chunks, array.dtype.itemsize)
    return lazy_array(path, read, array.shape, chunk, array.dtype)
