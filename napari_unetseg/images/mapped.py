"""Pixels that lie in a file as they are: mapped into memory, or read whole where compressed."""

from __future__ import annotations

import bz2
import gzip
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError
from napari_unetseg.hardware import free_memory_bytes

from .damage import check_size

_log = logging.getLogger(__name__)

_UNPACKERS: dict[str, Callable[[BinaryIO], Any]] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "bzip2": lambda file: bz2.BZ2File(file),
}

#: What takes more than this is announced.
_WORTH_A_WORD_BYTES = 1 << 30

_PIECE_BYTES = 1 << 24


def map_pixels(
    path: Path, dtype: npt.DTypeLike, offset: int, shape: Sequence[int]
) -> npt.NDArray[Any]:
    """Map pixels into memory, last axis fastest.

    Parameters
    ----------
    path : Path
    dtype : dtype
        With the byte order of the file.
    offset : int
        Bytes before the first pixel.
    shape : sequence of int

    Raises
    ------
    UserError
        If the file is too short for them.
    """
    n_bytes = _n_bytes(path, dtype, shape)
    if offset < 0 or offset + n_bytes > path.stat().st_size:
        raise _incomplete(path, shape)
    return np.memmap(path, dtype, "r", offset, tuple(shape))


def inflate_pixels(
    path: Path,
    dtype: npt.DTypeLike,
    offset: int,
    shape: Sequence[int],
    *,
    skip: int = 0,
    kind: str = "gzip",
) -> npt.NDArray[Any]:
    """Read compressed pixels whole, last axis fastest.

    Parameters
    ----------
    path : Path
    dtype : dtype
        With the byte order of the file.
    offset : int
        Bytes before what is compressed.
    shape : sequence of int
    skip : int
        Bytes before the first pixel, once unpacked.
    kind : {"gzip", "bzip2"}

    Raises
    ------
    UserError
        If there is not enough memory, or the file ends before the last pixel.
    """
    n_bytes = _n_bytes(path, dtype, shape)
    check_memory(path, n_bytes, "uncompressed, which need not be read at once")
    pixels = np.empty(n_bytes, np.uint8)
    with path.open("rb") as file:
        file.seek(offset)
        with _UNPACKERS[kind](file) as unpacked:
            for begin in range(0, skip, _PIECE_BYTES):
                unpacked.read(min(_PIECE_BYTES, skip - begin))
            at = 0
            while at < n_bytes:
                piece = unpacked.read(min(_PIECE_BYTES, n_bytes - at))
                if not piece:
                    raise _incomplete(path, shape)
                pixels[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
                at += len(piece)
            unpacked.read(1)  # at the end, the checksum is compared
    return pixels.view(dtype).reshape(shape)


def check_memory(path: Path, n_bytes: int, better: str) -> None:
    """Say how much memory a file takes that must be read whole, before it takes it.

    Parameters
    ----------
    path : Path
    n_bytes : int
        Of all its pixels.
    better : str
        How to save it so that it need not be.

    Raises
    ------
    UserError
        If there is not as much.
    """
    free = free_memory_bytes()
    if n_bytes > free:
        raise UserError(
            f"{path} must be read whole, which takes {_size(n_bytes)} of memory, and {_size(free)} "
            f"are free; save it {better}."
        )
    if n_bytes > _WORTH_A_WORD_BYTES:
        _log.warning("%s must be read whole, which takes %s of memory.", path, _size(n_bytes))


def _n_bytes(path: Path, dtype: npt.DTypeLike, shape: Sequence[int]) -> int:
    check_size(path, shape)
    return math.prod(shape) * np.dtype(dtype).itemsize


def _incomplete(path: Path, shape: Sequence[int]) -> UserError:
    return UserError(
        f"{path} is damaged or incomplete: part of its {_times(shape)} pixels is not in the file; "
        "copy or export it again."
    )


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _size(n_bytes: int) -> str:
    """Write a number of bytes.

    >>> _size(1_250_000_000)
    '1.2 GB'
    """
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
