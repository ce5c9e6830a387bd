"""NumPy's own files, mapped into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .damage import READ_ERRORS, unreadable


def map_npy(path: str | Path, mode: Literal["r", "r+"] = "r") -> npt.NDArray[Any]:
    """Map an existing ``.npy``.

    Unlike `numpy.load`, it takes neither archives nor pickled objects for an array.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    try:
        mapped: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode)
    except READ_ERRORS as error:
        raise unreadable(Path(path), error) from error
    return mapped
