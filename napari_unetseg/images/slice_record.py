"""Which slices of an unfinished result are on disk, in a file that one program holds."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError


class SliceRecord:
    """Slices and their checksums, a line each, written once the pixels are.

    Parameters
    ----------
    path : Path
        It is made if it is missing. No other program can have it meanwhile; the system forgets
        that with the program.
    result : Path
        What is being written, for the sentence.

    Raises
    ------
    UserError
        If another program has it.
    """

    def __init__(self, path: Path, result: Path) -> None:
        self._path = path
        self._file = _locked(path, result)

    @property
    def closed(self) -> bool:
        """Whether it was given up."""
        return self._file.closed

    def read(self) -> dict[int, int]:
        """Return the checksums of slices; go on behind them."""
        self._file.seek(0)
        text = self._file.read()
        self._file.truncate(text.rfind(b"\n") + 1)
        return slices_in(text)

    def add(self, slices: Mapping[int, npt.NDArray[Any]]) -> None:
        """Write down slices that are on disk."""
        lines = (f"{plane} {checksum_of(values)}\n" for plane, values in slices.items())
        self._file.write("".join(lines).encode())
        self._file.flush()

    def is_there(self) -> bool:
        """Tell whether this file still has its name, in a folder that was left where it was."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def empty(self) -> None:
        """Forget all slices."""
        self._file.truncate(0)

    def close(self) -> None:
        """Let others have it."""
        self._file.close()


def slices_in(text: bytes) -> dict[int, int]:
    """Return slices and checksums of a record; lines that are damaged or not whole are left out."""
    found = re.findall(rb"^(\d{1,9}) (\d{1,10})\n", text, re.MULTILINE)
    return {int(plane): int(checksum) for plane, checksum in found}


def checksum_of(values: npt.NDArray[Any]) -> int:
    """Return the CRC of the bytes of a slice."""
    return zlib.crc32(np.ascontiguousarray(values).tobytes())


def _locked(path: Path, result: Path) -> BinaryIO:
    file = path.open("a+b")
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            file.seek(1 << 30)  # beyond what is read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        file.close()
        raise UserError(
            f"{result} is being written by another program; wait for it, or choose another name."
        ) from error
    return file
