"""N5, read block by block: zarr no longer does.

https://github.com/saalfeldlab/n5#file-system-specification
"""

from __future__ import annotations

import bz2
import json
import lzma
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError

from .assemble import assemble
from .axes import guess_axes
from .calibration import length_um
from .damage import check_size
from .lazy import lazy_array
from .names import natural_key
from .scenes import scene_note
from .stack import Stack

_ATTRIBUTES = "attributes.json"
_TYPES = re.compile(r"(u?int(8|16|32|64)|float(32|64))")

#: By name: bytes and the most that they may unpack to.
_UNPACKERS: dict[str, Callable[[bytes, int], bytes]] = {
    "raw": lambda packed, _: packed,
    "gzip": lambda packed, most: zlib.decompressobj(47).decompress(packed, most),
    "bzip2": lambda packed, most: bz2.BZ2Decompressor().decompress(packed, most),
    "xz": lambda packed, most: lzma.LZMADecompressor().decompress(packed, most),
    "zstd": lambda packed, most: bytes(imagecodecs.zstd_decode(packed, out=most)),
    "blosc": lambda packed, most: _from_blosc(packed, most),
}

#: So many folders are looked into for arrays.
_MOST_FOLDERS = 1000


def read(path: Path, part: str = "", axes: str | None = None) -> Stack:
    """Open an array, or the first in a container.

    Parameters
    ----------
    path : Path
        Of an array in the container, ``cells.n5/setup0/timepoint0/s1``, or of the container.
    part : str
        Not used: what is inside has a path of its own.
    axes : str, optional
        One letter per axis, the fastest last.

    Raises
    ------
    UserError
        If it holds no array of numbers, or one that is packed in a way that is not read.
    """
    names = [name for name, _ in zip(_arrays(path), range(_MOST_FOLDERS), strict=False)]
    if not names:
        raise UserError(f"{path} holds no N5 array; give the path of one, or copy it again.")
    folder = path / names[0]
    about = _attributes(folder)
    shape = tuple(int(n) for n in about["dimensions"])[::-1]
    chunk = tuple(int(n) for n in about["blockSize"])[::-1]
    kind, packing = str(about["dataType"]), _packing(about)
    if not _TYPES.fullmatch(kind) or packing not in _UNPACKERS:
        raise UserError(
            f"{folder} holds {kind[:20]} values packed as {packing[:20]}, which are not read; "
            f"save it as N5 of numbers packed as {', '.join(_UNPACKERS)}, or as OME-Zarr."
        )
    check_size(folder, shape)
    if len(chunk) != len(shape) or len(shape) < 2 or min(*shape, *chunk) < 1:
        raise ValueError(f"it says that its size is {shape} in blocks of {chunk}")
    found = _named_axes(about) or guess_axes(shape)
    return assemble(
        folder,
        _lazy(folder, shape, chunk, np.dtype(kind), _UNPACKERS[packing]),
        axes or found,
        _sizes(folder, about, found),
        notes=scene_note(path, "", names, 0),
    )


def _lazy(
    folder: Path,
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    dtype: np.dtype[Any],
    unpack: Callable[[bytes, int], bytes],
) -> Any:
    stored = dtype.newbyteorder(">")

    def block(where: tuple[slice, ...]) -> npt.NDArray[Any]:
        wanted = [span.stop - span.start for span in where]
        index = [span.start // step for span, step in zip(where, chunk, strict=True)]
        file = folder.joinpath(*(str(i) for i in reversed(index)))
        pixels = np.zeros(wanted, dtype)
        if not file.is_file():
            return pixels  # blocks of nothing are not written
        content = file.read_bytes()
        mode, ndim = struct.unpack_from(">2H", content)
        size = struct.unpack_from(f">{len(shape)}I", content, 4)[::-1]
        if mode != 0 or ndim != len(shape) or any(n > m for n, m in zip(size, chunk, strict=True)):
            raise ValueError(f"block {file.relative_to(folder)} is not one of this array")
        unpacked = unpack(content[4 + 4 * ndim :], math.prod(size) * dtype.itemsize)
        found = np.frombuffer(unpacked, stored, math.prod(size)).reshape(size)
        there = tuple(slice(0, min(n, m)) for n, m in zip(size, wanted, strict=True))
        pixels[there] = found[there]
        return pixels

    return lazy_array(folder, block, shape, chunk, dtype)


def _arrays(path: Path) -> Iterator[str]:
    """List arrays from the top down, as paths from a folder."""
    waiting = [path]
    for _ in range(_MOST_FOLDERS):
        if not waiting:
            return
        folder = waiting.pop(0)
        if "dimensions" in _attributes(folder):
            yield folder.relative_to(path).as_posix()
        else:
            waiting += sorted((p for p in folder.iterdir() if p.is_dir()), key=natural_key)


def _from_blosc(packed: bytes, most: int) -> bytes:
    # Blosc believes what it says of its own length.
    if len(packed) < 16 or struct.unpack_from("<I", packed, 12)[0] != len(packed):
        raise ValueError("the block is shorter than it says")
    return bytes(imagecodecs.blosc_decode(packed, out=most))


def _attributes(folder: Path) -> dict[str, Any]:
    file = folder / _ATTRIBUTES
    found = json.loads(file.read_bytes()) if file.is_file() else {}
    return found if isinstance(found, dict) else {}


def _packing(about: Mapping[str, Any]) -> str:
    described = about.get("compression", about.get("compressionType", "raw"))
    return str(described.get("type") if isinstance(described, dict) else described)


def _named_axes(about: Mapping[str, Any]) -> str:
    """Return the axes, the fastest last, where they are named."""
    letters = "".join(str(axis)[:1].upper() for axis in about.get("axes") or ())[::-1]
    n_axes = len(about["dimensions"])
    fits = len(letters) == len(set(letters)) == n_axes and {"X", "Y"} <= set(letters)
    return letters if fits else ""


def _sizes(folder: Path, about: Mapping[str, Any], axes: str) -> dict[str, float]:
    """Return the voxel size in µm, of the array itself or of the levels that it is one of."""
    resolution = about.get("pixelResolution")
    factors = [1.0] * 3
    if resolution is None:
        above = _attributes(folder.parent) or {}
        setup = _attributes(folder.parent.parent) if not above.get("pixelResolution") else {}
        resolution = above.get("pixelResolution") or setup.get("pixelResolution") or {}
        factors = [float(n) for n in about.get("downsamplingFactors") or factors]
    if isinstance(resolution, dict):
        lengths, units = resolution.get("dimensions") or (), [resolution.get("unit")] * 3
    else:
        lengths, units = resolution, ["um"] * 3
    if not lengths and about.get("units"):
        lengths, units = about.get("resolution") or (), about["units"]
    named = axes.replace("Q", "Z")[::-1]
    # Where there are as many as axes, some are of time and channels.
    letters = [axis for axis in named if axis in "XYZ" or len(lengths) == len(named)]
    factors += [1.0] * (len(letters) - len(factors))
    found = {
        axis: length_um(float(length) * factor, unit)
        for axis, length, unit, factor in zip(letters, lengths, units, factors, strict=False)
        if axis in "XYZ"
    }
    return {axis: size for axis, size in found.items() if size is not None}
