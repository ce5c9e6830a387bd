"""Chunks of Zarr that are looked at before they are unpacked."""

from __future__ import annotations

import math
import struct
from typing import Any

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

_BLOSC_HEADER_BYTES = 16


class WholeBlosc(WrapperStore[Any]):
    """A store that tells where a chunk is shorter or longer than it says of itself.

    Blosc believes its header: of a chunk that was cut short it unpacks whatever follows in memory.

    Parameters
    ----------
    store : Store
        Of the array.
    most_bytes : int
        That a chunk unpacks to; more is not made room for.
    """

    def __init__(self, store: Any, most_bytes: int = 1 << 31) -> None:
        super().__init__(store)
        self.most_bytes = most_bytes

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return what is stored.

        Raises
        ------
        ValueError
            If it is no whole chunk.
        """
        found: Buffer | None = await super().get(key, prototype, byte_range)
        is_chunk = key.rpartition("/")[2] not in ("zarr.json", ".zarray", ".zattrs", ".zgroup")
        if found is not None and is_chunk and byte_range is None:
            self._check(key, found)
        return found

    def _check(self, key: str, chunk: Buffer) -> None:
        header = chunk[:_BLOSC_HEADER_BYTES].to_bytes()
        if len(header) < _BLOSC_HEADER_BYTES:
            raise ValueError(f"the chunk {key} ends in its header")
        unpacked, _, packed = struct.unpack_from("<3I", header, 4)
        if packed != len(chunk) or unpacked > self.most_bytes:
            raise ValueError(
                f"the chunk {key} has {len(chunk)} bytes and says that it has {packed}, of "
                f"{unpacked} unpacked"
            )


def checked(array: Any) -> Any:
    """Return an array whose chunks are looked at, where Blosc packed them; else the same."""
    import zarr

    packers = array.compressors if array.shards is None else ()
    last = packers[-1] if packers else None
    name = getattr(last, "codec_id", type(last).__name__).lower()
    if not name.startswith("blosc"):
        return array
    most = 2 * math.prod(array.chunks) * array.dtype.itemsize
    return zarr.open_array(WholeBlosc(array.store, most), path=array.path, mode="r")
