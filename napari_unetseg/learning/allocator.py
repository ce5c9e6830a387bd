"""Memory that maps were in is kept for the next maps, instead of going back to the system.

The C library of Linux gives large blocks back as soon as they are free, and the system fills the
next ones with zeros, page by page: of a tile of 1056 × 1056 px (16 filters, float32, one core) a
third of the time. Kept, a pixel took 1.30 µs instead of 1.97, and a training step 0.38 to 0.43 s
instead of 0.42 to 0.49.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

_LARGEST = 2**31 - 1


@cache
def _c_library() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    # musl, the other C library of Linux, has neither.
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def keep_freed_memory() -> None:
    """Let this process keep memory that becomes free; without effect but on Linux."""
    library = _c_library()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, 2**30)
        library.mallopt(_TRIM_THRESHOLD, _LARGEST)


def give_back_memory() -> None:
    """Return to the system what is free now."""
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)
