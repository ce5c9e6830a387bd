"""MRC, the format of electron microscopy, mapped into memory.

A. Cheng et al., "MRC2014: Extensions to the MRC format header for electron cryo-microscopy and
tomography", J. Struct. Biol. 192, 2015; https://www.ccpem.ac.uk/mrc_format/mrc2014.php.
"""

from __future__ import annotations

import struct
from pathlib import Path

from napari_unetseg.errors import UserError

from .assemble import assemble
from .calibration import length_um
from .damage import no_parts
from .mapped import map_pixels
from .stack import Stack

_HEADER_BYTES = 1024
_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}

#: Mode 16, of IMOD, has three bytes per pixel.
_RGB = 16

#: Of IMOD, whose bytes are unsigned unless a flag says otherwise.
_IMOD_STAMP, _SIGNED = 1146047817, 1

_VOLUME_STACKS = range(401, 631)


def read(path: Path, part: str, axes: str | None = None) -> Stack:
    """Open a map, a volume, a stack of volumes, or a stack of single images, as T.

    Parameters
    ----------
    path : Path
    part : str
        Must be empty: it is one image.
    axes : str, optional
        One letter per axis, sections first.

    Raises
    ------
    UserError
        If it is no MRC file, is truncated, or holds transforms or half bytes.
    """
    if part:
        raise no_parts(path, part)
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    order = _byte_order(path, header)
    nx, ny, nz, mode = struct.unpack_from(f"{order}4i", header)
    grid = struct.unpack_from(f"{order}3i", header, 28)
    cell = struct.unpack_from(f"{order}3f", header, 40)
    along = struct.unpack_from(f"{order}3i", header, 64)
    (space_group,) = struct.unpack_from(f"{order}i", header, 88)
    (extended,) = struct.unpack_from(f"{order}i", header, 92)
    dtype = order + _pixel_type(header, order, mode)
    shape: tuple[int, ...] = (nz, ny, nx)
    letters = "".join("XYZ"[n - 1] for n in reversed(along)) if set(along) == {1, 2, 3} else "ZYX"
    if space_group in _VOLUME_STACKS and grid[2] > 0 and nz % grid[2] == 0:
        shape, letters = (nz // grid[2], grid[2], ny, nx), f"T{letters}"
    elif space_group == 0 and grid[2] == 1 < nz:
        letters = letters.replace("Z", "T")
    if mode == _RGB:
        shape, letters = (*shape, 3), f"{letters}S"
    # Axes of the cell are X, Y, Z, whichever way the map lies in the file.
    sizes = {
        axis: length_um(length / n, "angstrom")
        for axis, length, n in zip("XYZ", cell, grid, strict=True)
        if n > 0
    }
    return assemble(
        path,
        map_pixels(path, dtype, _HEADER_BYTES + max(0, extended), shape),
        axes or letters,
        {axis: size for axis, size in sizes.items() if size is not None},
        channels=("red", "green", "blue") if mode == _RGB else (),
    )


def _byte_order(path: Path, header: bytes) -> str:
    """Find the order in which the sizes and the mode make sense; the stamp may be missing."""
    if len(header) == _HEADER_BYTES:
        stamped = {b"\x11": ">", b"\x44": "<"}.get(header[212:213], "<")
        for order in (stamped, ">" if stamped == "<" else "<"):
            *size, mode = struct.unpack_from(f"{order}4i", header)
            if mode in (*_TYPES, 3, 4, _RGB, 101) and all(0 < n < 1 << 24 for n in size):
                return order
    raise UserError(
        f"{path} cannot be read as MRC (its header is not one); it may be damaged or incomplete, "
        "or another kind of file under that name."
    )


def _pixel_type(header: bytes, order: str, mode: int) -> str:
    if mode == _RGB:
        return "u1"
    if mode not in _TYPES:
        what = "half bytes" if mode == 101 else "a Fourier transform"
        raise UserError(
            f"This MRC file holds {what} (mode {mode}); save it as an image of mode 0, 1, 2 or 6, "
            "with IMOD's newstack -mode for instance."
        )
    stamp, flags = struct.unpack_from(f"{order}2i", header, 152)
    if mode == 0 and stamp == _IMOD_STAMP and not flags & _SIGNED:
        return "u1"
    return _TYPES[mode]
