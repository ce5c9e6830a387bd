"""Chunks of HDF5 that are looked at before they are read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

#: What is compressed may be longer than before, by little.
_LONGEST, _LONGER_BYTES = 2, 4096


def check_chunks(path: Path, node: Any) -> None:
    """Raise where the file says of a chunk what cannot be: HDF5 believes it, and crashes.

    Parameters
    ----------
    path : Path
        The file.
    node : h5py.Dataset

    Raises
    ------
    ValueError
        If a chunk has no length, is longer than it can be, or lies beyond the end of the file.
    """
    if node.chunks is None or not node.id.get_create_plist().get_nfilters():
        return
    most = _LONGEST * math.prod(node.chunks) * node.dtype.itemsize + _LONGER_BYTES
    end = path.stat().st_size
    wrong: list[Any] = []

    def look(chunk: Any) -> bool | None:
        if 0 < chunk.size <= most and chunk.byte_offset + chunk.size <= end:
            return None
        wrong.append(chunk)
        return True  # stops

    node.id.chunk_iter(look)
    for chunk in wrong:
        place, size, begin = chunk.chunk_offset, chunk.size, chunk.byte_offset
        raise ValueError(f"the chunk at {place} has {size} bytes from {begin} on")
