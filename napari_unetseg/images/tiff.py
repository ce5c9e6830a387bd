"""TIFF, OME-TIFF and ImageJ TIFF."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted

from .assemble import assemble
from .damage import READ_ERRORS, check_size, complaints_of
from .stack import Stack
from .tiff_metadata import FileFacts, read_facts

#: Compressed pixels up to this size are read at once, larger ones slice by slice when needed. One
#: pass over all slices takes as long either way; a second one decodes them again.
READ_AT_ONCE_BYTES = 1 << 26

_RGB = ("red", "green", "blue")


def read(path: Path, part: str = "", axes: str | None = None) -> Stack:
    """Open a series of a TIFF at full resolution.

    Pixels that lie uncompressed in one piece are mapped into memory, not read.

    Parameters
    ----------
    path : Path
    part : str
        Number of the series, from 0, or its name; the first where it is empty.
    axes : str, optional
        One letter per axis of the series.

    Raises
    ------
    UserError
        If the file is truncated, its axes cannot be a stack's, or there is no such series.
    """
    with complaints_of("tifffile") as complaints, tifffile.TiffFile(path) as tif:
        # Follows the chain of pages to its end, and logs where it breaks. Unless that is done
        # first, tifffile goes round for ever in a chain that leads back to an earlier page.
        len(tif.pages)
        if not tif.series:
            raise UserError(f"{path} is damaged or incomplete: no image can be found in it.")
        index = _chosen(path, part, [str(series.name) for series in tif.series])
        series = tif.series[index]
        facts = read_facts(tif, index)
        check_size(path, series.shape)
        _check_complete(path, tif, series, complaints)
        data = _without_alpha(_pixels(path, series, index), series)
        rgb = int(series.keyframe.photometric) in (2, 6) and "S" in series.axes  # RGB, YCbCr
        found = axes or _known_axes(series, facts)
        many = rgb and data.shape[series.axes.index("S")] == len(_RGB)
        stack = assemble(
            path,
            data,
            found,
            facts.pixel_size_um,
            channels=_RGB if many else facts.channels,
            channel_colors=facts.channel_colors,
            metadata=facts.metadata,
            notes=_notes(path, tif, part),
            parts=[str(n) for n in range(len(tif.series)) if n != index],
            files=_other_files(tif, series),
        )
        if series.nbytes <= READ_AT_ONCE_BYTES and not isinstance(data, np.ndarray):
            for _ in stack.planes():  # one of them raises, and says which
                pass
        return stack


def _chosen(path: Path, part: str, names: list[str]) -> int:
    if part in names:
        return names.index(part)
    if not part or (part.isdecimal() and int(part) < len(names)):
        return int(part or 0)
    raise UserError(
        f"{path} holds no image {part!r}; it holds {counted(len(names), 'image')}, counted from 0: "
        f"give {path}/0."
    )


def _notes(path: Path, tif: tifffile.TiffFile, part: str) -> list[str]:
    n_images = len(tif.series) if tif.is_ome else 1
    return [f"{path.name} holds {n_images} images; this is 0."] if n_images > 1 and not part else []


def _other_files(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> list[Path]:
    """List the files in which an OME-TIFF has pages of a series, beside itself."""
    if not tif.is_ome or series.dataoffset is not None:
        return []
    holders = {page.parent.filehandle for page in series.pages if page is not None}
    return sorted(Path(holder.path) for holder in holders - {tif.filehandle})


def _without_alpha(data: Any, series: tifffile.TiffPageSeries) -> Any:
    at = series.axes.find("S")
    has_alpha = any(int(sample) in (1, 2) for sample in series.keyframe.extrasamples)
    if at < 0 or not has_alpha or data.shape[at] not in (2, 4):
        return data
    return data[(slice(None),) * at + (slice(0, -1),)]


def _known_axes(series: tifffile.TiffPageSeries, facts: FileFacts) -> str:
    axes: str = series.axes
    # ImageJ shows at most seven channels: more are slices that a program wrote without saying so,
    # as tifffile does for an array of three axes.
    many = series.kind == "imagej" and "C" in axes and series.shape[axes.index("C")] > 7
    return axes.replace("C", "Z") if many and "Z" not in axes and not facts.channels else axes


def _pixels(path: Path, series: tifffile.TiffPageSeries, index: int) -> Any:
    if series.dataoffset is not None:
        dtype = np.dtype(series.keyframe.parent.byteorder + series.dtype.char)
        return np.memmap(path, dtype, "r", series.dataoffset, series.shape)
    if series.nbytes <= READ_AT_ONCE_BYTES:
        with suppress(*READ_ERRORS):
            return series.asarray()
    from .lazy_pages import lazy_pages

    return lazy_pages(path, index)


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
    if series.dataoffset is not None:
        complete = series.dataoffset + series.nbytes <= tif.filehandle.size
    else:  # pages may be in other files
        complete = all(p is not None and _end(p) <= p.parent.filehandle.size for p in series.pages)
    if complete and not any(sign in line for line in complaints for sign in _SIGNS_OF_DAMAGE):
        return
    raise UserError(
        f"{path} is damaged or incomplete: part of its {'×'.join(map(str, series.shape))} pixels "
        "is not in the file; copy or export it again."
    )


def _end(page: tifffile.TiffPage | tifffile.TiffFrame) -> int:
    ends = zip(page.dataoffsets, page.databytecounts, strict=False)
    return max((int(offset) + int(count) for offset, count in ends), default=0)
