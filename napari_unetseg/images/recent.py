"""What was read last of files that are read in chunks, kept for the slice beside it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy.typing as npt

_Key = tuple[object, tuple[int, ...]]


class RecentChunks:
    """Chunks of all open files, up to a number of bytes; what was not asked for longest goes.

    A slice needs a part of each chunk that it cuts, and so does the next: without this, every
    chunk would be unpacked once for each slice in it.

    Parameters
    ----------
    most_bytes : int
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[_Key, npt.NDArray[Any]] = OrderedDict()
        self._n_bytes = 0
        self._lock = threading.Lock()

    def get(self, key: _Key) -> npt.NDArray[Any] | None:
        """Return a chunk of an array, if it is kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: _Key, chunk: npt.NDArray[Any]) -> None:
        """Keep a chunk; nobody may change it from now on."""
        chunk.setflags(write=False)
        if chunk.nbytes > self.most_bytes:
            return
        with self._lock:
            if key not in self._kept:
                self._kept[key] = chunk
                self._n_bytes += chunk.nbytes
            while self._n_bytes > self.most_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._n_bytes -= oldest.nbytes

    def forget(self, token: object) -> None:
        """Drop all chunks of an array."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == token]:
                self._n_bytes -= self._kept.pop(key).nbytes


#: Of this process.
RECENT = RecentChunks(1 << 28)
