"""What is raised at files that are not what they should be, and the sentence about it."""

from __future__ import annotations

import logging
import lzma
import struct
import tokenize
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from napari_unetseg.errors import UserError

from .names import suffix_of

#: What tifffile, Pillow, zarr and the codecs raise at a file that is not what its name says.
READ_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    EOFError,  # of what gzip packed
    SyntaxError,  # Pillow's word for a broken PNG
    struct.error,
    tokenize.TokenError,  # in the header of an .npy
    zlib.error,
    lzma.LZMAError,
)


def no_parts(path: Path, part: str) -> UserError:
    """Return the sentence about `part` of a file that holds a single image."""
    return UserError(f"{path} is one image and has no part {part!r}; give its path alone.")


def check_size(path: str | Path, shape: Sequence[int]) -> None:
    """Raise `UserError` where an axis has no length, so that there is nothing in the file."""
    if any(length < 1 for length in shape):
        raise UserError(
            f"{path} holds no pixels: its size is {' × '.join(map(str, shape))}; export it again."
        )


class DamagedPartError(UserError):
    """A part of a file cannot be read; whoever asked for a slice says which that is.

    Parameters
    ----------
    path : Path
        The file.
    error : BaseException
        What it raised.
    """

    def __init__(self, path: Path, error: BaseException) -> None:
        super().__init__(str(unreadable(path, error)))
        self._path, self._reason = path, _reason(error)

    def in_slice(self, index: int) -> UserError:
        """Return the sentence about a slice, counted from 0."""
        return UserError(
            f"{self._path} cannot be read as {_kind(self._path)} in slice {index} "
            f"({self._reason}); it may be damaged or incomplete, so copy or export it again."
        )


def unreadable(path: Path, error: BaseException) -> UserError:
    """Return the sentence for a person about a file that raised `error`."""
    return UserError(
        f"{path} cannot be read as {_kind(path)} ({_reason(error)}); it may be damaged or "
        "incomplete, or another kind of file under that name."
    )


def _kind(path: Path) -> str:
    return suffix_of(path).lstrip(".").upper() or "folder"


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


@contextmanager
def complaints_of(package: str) -> Iterator[list[str]]:
    """Collect what a package logs instead of raising, and keep it off the screen."""
    collected: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: collected.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(package)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield collected
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
