"""Arrays whose pixels are read when they are looked at."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError

from .damage import READ_ERRORS, DamagedPartError, unreadable
from .recent import RECENT

#: Tells arrays apart whose chunks are kept.
_TOKENS = itertools.count()

#: Chunks smaller than this are read together: each costs a millisecond whatever its size.
_CHUNK_BYTES = 1 << 22

#: More along an axis is what a damaged header says; dask would list them all.
_MOST_CHUNKS = 1 << 20


def lazy_array(
    path: Path,
    read: Callable[[tuple[slice, ...]], npt.NDArray[Any]],
    shape: Sequence[int],
    chunk: Sequence[int],
    dtype: npt.DTypeLike,
) -> Any:
    """Return a dask array that reads from a file, and keeps what it read last.

    Parameters
    ----------
    path : Path
        The file, for messages.
    read : callable
        Returns what is at a slice per axis. It opens the file and closes it, as it may be called
        from several threads.
    shape, chunk : sequence of int
        Of the whole, and of what is read at a time.
    dtype : dtype
        What `read` returns.
    """
    import dask.array

    if any(-(-n // step) > _MOST_CHUNKS for n, step in zip(shape, chunk, strict=True)):
        raise unreadable(path, ValueError(f"it says that its shape is {tuple(shape)}"))
    chunks = dask.array.core.normalize_chunks(  # type: ignore[no-untyped-call]
        tuple(chunk), tuple(shape)
    )

    token = next(_TOKENS)

    def block(block_id: tuple[int, ...] = ()) -> npt.NDArray[Any]:
        kept = RECENT.get((token, block_id))
        if kept is not None:
            return kept
        starts = [index * step for index, step in zip(block_id, chunk, strict=True)]
        spans = zip(starts, chunk, shape, strict=True)
        where = tuple(slice(a, min(a + step, n)) for a, step, n in spans)
        try:
            pixels = read(where)
        except UserError:
            raise
        except READ_ERRORS as error:
            raise DamagedPartError(path, error) from error
        RECENT.put((token, block_id), pixels)
        return pixels

    weakref.finalize(block, RECENT.forget, token)
    meta = np.empty((0,) * len(chunks), dtype)
    return dask.array.map_blocks(  # type: ignore[no-untyped-call]
        block, chunks=chunks, dtype=np.dtype(dtype), meta=meta
    )


def chunk_to_read(
    shape: Sequence[int], stored: Sequence[int] | None, itemsize: int
) -> tuple[int, ...]:
    """Choose what to read at a time: whole chunks of the file, about 4 MB, wide rather than deep.

    Parameters
    ----------
    shape : sequence of int
        Of the array, the axes of slices last.
    stored : sequence of int or None
        Its chunks in the file; None where it lies in one piece.
    itemsize : int
        Bytes per pixel.

    Examples
    --------
    >>> chunk_to_read((400, 1000, 1000), (25, 25, 25), 1)
    (25, 150, 1000)
    >>> chunk_to_read((400, 1000, 1000), None, 2)
    (1, 1000, 1000)
    """
    if stored is None:
        leading = len(shape) - 2
        return (*(1 for _ in range(leading)), *shape[leading:])
    chunk = [min(step, n) for step, n in zip(stored, shape, strict=True)]
    for axis in reversed(range(max(0, len(shape) - 2), len(shape))):
        times = max(1, _CHUNK_BYTES // max(1, int(np.prod(chunk)) * itemsize))
        chunk[axis] = min(chunk[axis] * times, shape[axis])
    return tuple(chunk)
