"""NIfTI-1 and NIfTI-2: mapped into memory; those that gzip packed are read whole.

https://nifti.nimh.nih.gov/nifti-1 and https://nifti.nimh.nih.gov/nifti-2
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError

from .assemble import assemble
from .calibration import length_um
from .damage import no_parts
from .lazy import chunk_to_read, lazy_array
from .mapped import inflate_pixels, map_pixels
from .stack import Stack

_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
_RGB, _RGBA = 128, 2304
_UNITS = {1: "m", 2: "mm", 3: "um"}

#: Of the dimensions, the first fastest. The fifth is what else there is at a voxel.
_AXES = "XYZTC"


@dataclass(frozen=True, slots=True)
class _Header:
    """What the header says.

    Attributes
    ----------
    order : {"<", ">"}
    sizes : tuple of int
        Of the dimensions, the first fastest.
    steps : tuple of float
        Distance between voxels along each.
    kind : int
        Code of the type.
    offset : int
        Bytes before the first voxel.
    slope, intercept : float
        By which stored values are multiplied, and what is added.
    unit : str or None
    """

    order: str
    sizes: tuple[int, ...]
    steps: tuple[float, ...]
    kind: int
    offset: int
    slope: float
    intercept: float
    unit: str | None


def read(path: Path, part: str, axes: str | None = None) -> Stack:
    """Open a volume, or several.

    Parameters
    ----------
    path : Path
        A ``.nii`` or ``.nii.gz``.
    part : str
        Must be empty: it is one image.
    axes : str, optional
        One letter per axis, the fastest last.

    Raises
    ------
    UserError
        If it is no NIfTI file, or truncated.
    """
    if part:
        raise no_parts(path, part)
    packed = path.suffix.lower() == ".gz"
    with gzip.open(path) if packed else path.open("rb") as file:
        header = _parse(path, file.read(540))
    n_samples = {_RGB: 3, _RGBA: 4}.get(header.kind, 1)
    if n_samples == 1 and header.kind not in _TYPES:
        raise UserError(
            f"{path} holds values of NIfTI's type {header.kind}; an image needs integers, floats "
            "or RGB."
        )
    dtype = header.order + _TYPES.get(header.kind, "u1")
    shape = header.sizes[::-1] + ((n_samples,) if n_samples > 1 else ())
    pixels = (
        inflate_pixels(path, dtype, 0, shape, skip=header.offset)
        if packed
        else map_pixels(path, dtype, header.offset, shape)
    )
    found = _AXES[: len(header.sizes)][::-1] + ("S" if n_samples > 1 else "")
    pixels, found = _without_single(pixels, found)
    sizes = {
        axis: length_um(step, header.unit) for axis, step in zip("XYZ", header.steps, strict=False)
    }
    return assemble(
        path,
        _scaled(path, pixels[..., :3] if n_samples == 4 else pixels, header),
        axes or found,
        {axis: size for axis, size in sizes.items() if size is not None},
        channels=("red", "green", "blue") if n_samples > 1 else (),
    )


def _parse(path: Path, header: bytes) -> _Header:
    for order in "<>":
        if len(header) < 352:
            break
        (size,) = struct.unpack_from(f"{order}i", header)
        if size == 348 and header[344:347] == b"n+1":
            sizes = struct.unpack_from(f"{order}8h", header, 40)
            steps = struct.unpack_from(f"{order}8f", header, 76)
            (kind,) = struct.unpack_from(f"{order}h", header, 70)
            offset, slope, intercept = struct.unpack_from(f"{order}3f", header, 108)
            return _header(path, order, sizes, steps, kind, offset, slope, intercept, header[123])
        if size == 540 and header[4:7] == b"n+2" and len(header) == 540:
            sizes = struct.unpack_from(f"{order}8q", header, 16)
            steps = struct.unpack_from(f"{order}8d", header, 104)
            (kind,) = struct.unpack_from(f"{order}h", header, 12)
            offset, slope, intercept = struct.unpack_from(f"{order}q2d", header, 168)
            (units,) = struct.unpack_from(f"{order}i", header, 500)
            return _header(path, order, sizes, steps, kind, offset, slope, intercept, units)
    raise UserError(
        f"{path} cannot be read as NIfTI (its header is not one of a single file); it may be "
        "damaged or incomplete, or another kind of file under that name."
    )


def _header(
    path: Path,
    order: str,
    sizes: tuple[int, ...],
    steps: tuple[float, ...],
    kind: int,
    offset: float,
    slope: float,
    intercept: float,
    units: int,
) -> _Header:
    ndim = sizes[0]
    if not 2 <= ndim <= 7 or any(n != 1 for n in sizes[6 : ndim + 1]) or not 0 <= offset < 1e9:
        raise UserError(
            f"{path} has {ndim} dimensions of {sizes[1:]}; a stack has X, Y, Z, time and channels "
            "at most, or the file is damaged."
        )
    last = min(ndim, len(_AXES)) + 1
    scaled = bool(np.isfinite([slope, intercept]).all()) and slope != 0
    return _Header(
        order,
        tuple(sizes[1:last]),
        tuple(steps[1:last]),
        kind,
        int(offset),
        slope if scaled else 1.0,
        intercept if scaled else 0.0,
        _UNITS.get(units & 7),
    )


def _without_single(pixels: npt.NDArray[Any], axes: str) -> tuple[npt.NDArray[Any], str]:
    """Leave out time and channels where there is one of them."""
    single = [i for i, axis in enumerate(axes) if axis in "TC" and pixels.shape[i] == 1]
    return pixels.squeeze(tuple(single)), "".join(
        axis for i, axis in enumerate(axes) if i not in single
    )


def _scaled(path: Path, pixels: npt.NDArray[Any], header: _Header) -> Any:
    """Return the values that are meant, computed when they are looked at."""
    if (header.slope, header.intercept) == (1, 0) or header.kind in (_RGB, _RGBA):
        return pixels
    dtype = np.float64 if pixels.dtype.itemsize > 4 else np.float32

    def block(where: tuple[slice, ...]) -> npt.NDArray[Any]:
        meant: npt.NDArray[Any] = pixels[where].astype(dtype)
        meant *= header.slope
        meant += header.intercept
        return meant

    chunk = chunk_to_read(pixels.shape, None, 4)
    return lazy_array(path, block, pixels.shape, chunk, dtype)
