"""TIFF, OME-TIFF and ImageJ TIFF."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_unetseg.errors import UserError

from .axes import arrange, resolve_axes
from .names import stem_of
from .stack import Stack
from .tiff_metadata import FileFacts, read_facts

#: Compressed pixels up to this size are read at once, larger ones slice by slice when needed.
READ_AT_ONCE_BYTES = 1 << 30

_RGB = ("red", "green", "blue")


def read_tiff(path: Path, axes: str | None = None) -> Stack:
    """Open the first series of a TIFF at full resolution.

    Pixels that lie uncompressed in one piece are mapped into memory, not read.

    Raises
    ------
    UserError
        If the file is truncated or its axes cannot be a stack's.
    """
    with _complaints() as complaints, tifffile.TiffFile(path) as tif:
        # Follows the chain of pages to its end, and logs where it breaks. Unless that is done
        # first, tifffile goes round for ever in a chain that leads back to an earlier page.
        len(tif.pages)
        if not tif.series:
            raise UserError(f"{path} is damaged or incomplete: no image can be found in it.")
        series = tif.series[0]
        facts = read_facts(tif)
        _check_complete(path, tif, series, complaints)
        data = _pixels(path, series)
        page = series.keyframe
        rgb = int(page.photometric) in (2, 6) and "S" in series.axes  # RGB, YCbCr
        has_alpha = any(int(sample) in (1, 2) for sample in page.extrasamples)
        found = _known_axes(series, facts)
    return _stack(path, data, axes or found, facts, rgb=rgb, has_alpha=has_alpha)


def _stack(
    path: Path, data: Any, axes: str, facts: FileFacts, *, rgb: bool, has_alpha: bool
) -> Stack:
    sampled = "S" in axes.upper()
    axes, kept = resolve_axes(axes, tuple(data.shape), str(path))
    if len(kept) < data.ndim:
        data = data.reshape([data.shape[i] for i in kept])
    data, axes = arrange(data, axes)
    if sampled and has_alpha and data.shape[axes.index("C")] in (2, 4):
        data = data[(slice(None),) * axes.index("C") + (slice(0, -1),)]
    n_channels = data.shape[axes.index("C")] if "C" in axes else 1
    if rgb and n_channels == len(_RGB):
        channels: tuple[str, ...] = _RGB
    elif len(facts.channels) == n_channels:
        channels = facts.channels
    else:
        channels = tuple(f"channel {i + 1}" for i in range(n_channels)) if n_channels > 1 else ("",)
    size = {axis: um for axis, um in facts.pixel_size_um.items() if axis in axes}
    return Stack(data, axes, size, stem_of(path), path, channels, facts.metadata)


def _known_axes(series: tifffile.TiffPageSeries, facts: FileFacts) -> str:
    axes: str = series.axes
    # ImageJ shows at most seven channels: more are slices that a program wrote without saying so,
    # as tifffile does for an array of three axes.
    many = series.kind == "imagej" and "C" in axes and series.shape[axes.index("C")] > 7
    return axes.replace("C", "Z") if many and "Z" not in axes and not facts.channels else axes


def _pixels(path: Path, series: tifffile.TiffPageSeries) -> Any:
    if series.dataoffset is not None:
        dtype = np.dtype(series.keyframe.parent.byteorder + series.dtype.char)
        return np.memmap(path, dtype, "r", series.dataoffset, series.shape)
    here = path.absolute()
    elsewhere = any(page and Path(page.parent.filehandle.path) != here for page in series.pages)
    if series.nbytes <= READ_AT_ONCE_BYTES or elsewhere:
        return series.asarray()
    from .lazy_pages import lazy_pages

    return lazy_pages(path, series)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what tifffile logs instead of raising, and keep it off the screen."""
    collected: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: collected.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield collected
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


#: In messages of tifffile about files that end too early or whose parts are elsewhere.
_SIGNS_OF_DAMAGE = (
    "invalid page offset",
    "invalid offset to page",
    "invalid value offset",
    "invalid next page",
    "corrupted",
    "missing",
    "index out of range",
    "failed to read",
    "incompletely written",
    "circular reference",
)


def _check_complete(
    path: Path,
    tif: tifffile.TiffFile,
    series: tifffile.TiffPageSeries,
    complaints: list[str],
) -> None:
    """Raise where tifffile would fill what is not there with zeros."""
    size = tif.filehandle.size
    if series.dataoffset is not None:
        complete = series.dataoffset + series.nbytes <= size
    else:
        complete = all(page is not None and _end(page) <= size for page in series.pages)
    if complete and not any(sign in line for line in complaints for sign in _SIGNS_OF_DAMAGE):
        return
    raise UserError(
        f"{path} is damaged or incomplete: part of its {'×'.join(map(str, series.shape))} pixels "
        "is not in the file; copy or export it again."
    )


def _end(page: tifffile.TiffPage | tifffile.TiffFrame) -> int:
    ends = zip(page.dataoffsets, page.databytecounts, strict=False)
    return max((int(offset) + int(count) for offset, count in ends), default=0)
