"""The compressed pages of a large TIFF, each decoded when it is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from .damage import READ_ERRORS, unreadable


def lazy_pages(path: Path, series: tifffile.TiffPageSeries) -> Any:
    """Return a dask array of a series, one chunk per page; the file is open only while it reads.

    Parameters
    ----------
    path : Path
        The file that holds all pages of the series.
    series : tifffile.TiffPageSeries
        Of an open file, which may be closed afterwards.
    """
    import dask.array

    page_shape = series.keyframe.shape
    n_leading = len(series.shape) - len(page_shape)
    leading = series.shape[:n_leading]
    indices = [page.index for page in series.pages if page is not None]

    def read(block_id: tuple[int, ...] = ()) -> npt.NDArray[Any]:
        place = int(np.ravel_multi_index(block_id[:n_leading], leading)) if leading else 0
        try:
            with tifffile.TiffFile(path) as tif:
                page: npt.NDArray[Any] = tif.pages[indices[place]].asarray()
        except READ_ERRORS as error:
            raise unreadable(path, error) from error
        return page.reshape((1,) * n_leading + page_shape)

    chunks = (*((1,) * length for length in leading), *((length,) for length in page_shape))
    meta = np.empty((0,) * len(series.shape), series.dtype)
    return dask.array.map_blocks(  # type: ignore[no-untyped-call]
        read, chunks=chunks, dtype=series.dtype, meta=meta
    )
