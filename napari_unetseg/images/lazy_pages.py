"""The compressed pages of a large TIFF, each decoded when it is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from .lazy import lazy_array


def lazy_pages(path: Path, series: tifffile.TiffPageSeries) -> Any:
    """Return a dask array of a series, one chunk per page; the file is open only while it reads.

    Parameters
    ----------
    path : Path
        The file that holds all pages of the series.
    series : tifffile.TiffPageSeries
        Of an open file, which may be closed afterwards.
    """
    page_shape = series.keyframe.shape
    n_leading = len(series.shape) - len(page_shape)
    leading = series.shape[:n_leading]
    indices = [page.index for page in series.pages if page is not None]

    def read(where: tuple[slice, ...]) -> npt.NDArray[Any]:
        at = [span.start for span in where[:n_leading]]
        place = int(np.ravel_multi_index(at, leading)) if leading else 0
        with tifffile.TiffFile(path) as tif:
            page: npt.NDArray[Any] = tif.pages[indices[place]].asarray()
        return page.reshape((1,) * n_leading + page_shape)

    chunk = (*(1 for _ in leading), *page_shape)
    return lazy_array(path, read, series.shape, chunk, series.dtype)
