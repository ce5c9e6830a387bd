"""What is annotated, in memory as long as it fits, else in a file that is mapped."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO, TypeAlias, overload

import torch
from torch import Tensor

from napari_unetseg.errors import UserError

from .data import LabelledRegion

#: Regions that take more than this are in a file.
MOST_IN_MEMORY_BYTES = 1 << 29

#: So much of the file may be looked at before its pages are given back.
_GIVE_BACK_BYTES = 1 << 26

#: Tensors begin at multiples of this.
_ALIGNED = 64

#: Where a tensor lies in the file, and what it is.
_Place: TypeAlias = tuple[int, torch.dtype, torch.Size]


def kept_regions(
    regions: Iterable[LabelledRegion], most_bytes: int | None = None
) -> Sequence[LabelledRegion]:
    """Read all regions, to be looked at again and again.

    Parameters
    ----------
    most_bytes : int, optional
        Those that take more are in a file that has no name and ends with what is returned;
        `MOST_IN_MEMORY_BYTES` by default.

    Raises
    ------
    UserError
        If there is no room for the file.
    """
    most = MOST_IN_MEMORY_BYTES if most_bytes is None else most_bytes
    coming = iter(regions)
    read: list[LabelledRegion] = []
    n_bytes = 0
    for region in coming:
        read.append(region)
        n_bytes += _n_bytes(region)
        if n_bytes > most:
            return _MappedRegions(chain(_taken(read), coming))
    return read


def _taken(read: list[LabelledRegion]) -> Iterable[LabelledRegion]:
    """Yield what has been read, and keep none of it."""
    read.reverse()
    while read:
        yield read.pop()


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where the tensors of a region are."""

    pixels: _Place
    targets: _Place
    held_out: _Place
    maps: dict[str, _Place]
    corner: tuple[int, int]
    n_bytes: int


class _MappedRegions(Sequence[LabelledRegion]):
    """Regions in a temporary file; what was looked at does not stay in memory."""

    def __init__(self, regions: Iterable[LabelledRegion]) -> None:
        self._stored: list[_Stored] = []
        # Without a buffer, as what did not fit would be written again when it is closed.
        with tempfile.TemporaryFile(buffering=0) as file:
            for region in regions:
                try:
                    self._stored.append(_store(region, file))
                except OSError as error:
                    raise self._no_room(error) from error
            # Shared, as room for private copies of all of it would have to be set aside; for
            # writing, as tensors have no other kind of memory. Nobody does.
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE)
        self._looked_at = 0

    def _no_room(self, error: OSError) -> UserError:
        written = sum(stored.n_bytes for stored in self._stored) / 1e9
        return UserError(
            f"What is annotated needs more than {written:.1f} GB of temporary files, and "
            f"{tempfile.gettempdir()} has no room for it ({error.strerror}); set TMPDIR to a "
            "folder on a larger disk, or give some slices with --slices."
        )

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self._stored)

    @overload
    def __getitem__(self, where: int) -> LabelledRegion: ...
    @overload
    def __getitem__(self, where: slice) -> list[LabelledRegion]: ...
    def __getitem__(self, where: int | slice) -> LabelledRegion | list[LabelledRegion]:
        """Return a region, whose tensors are read from the file when they are looked at."""
        if isinstance(where, slice):
            return [self[index] for index in range(len(self))[where]]
        stored = self._stored[where]
        self._give_back(stored.n_bytes)
        return LabelledRegion(
            self._tensor(stored.pixels),
            self._tensor(stored.targets),
            self._tensor(stored.held_out),
            {name: self._tensor(place) for name, place in stored.maps.items()},
            stored.corner,
        )

    def _tensor(self, place: _Place) -> Tensor:
        offset, dtype, shape = place
        flat = torch.frombuffer(self._mapped, dtype=dtype, count=math.prod(shape), offset=offset)
        return flat.reshape(shape)

    def _give_back(self, n_bytes: int) -> None:
        """Let go of what was looked at so far; the system reads again what is needed again."""
        self._looked_at += n_bytes
        if self._looked_at > _GIVE_BACK_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)
            self._looked_at = n_bytes


def _store(region: LabelledRegion, file: IO[bytes]) -> _Stored:
    begin = file.tell()
    return _Stored(
        _place(region.pixels, file),
        _place(region.targets, file),
        _place(region.held_out, file),
        {name: _place(tensor, file) for name, tensor in region.maps.items()},
        region.corner,
        file.tell() - begin,
    )


def _place(tensor: Tensor, file: IO[bytes]) -> _Place:
    """Write a tensor, and what is missing to where the next may begin."""
    offset = file.tell()
    left = tensor.contiguous().numpy().data.cast("B")
    while left:
        left = left[file.write(left) :]
    file.seek(-file.tell() % _ALIGNED, os.SEEK_CUR)
    return offset, tensor.dtype, tensor.shape


def _n_bytes(region: LabelledRegion) -> int:
    tensors = (region.pixels, region.targets, region.held_out, *region.maps.values())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
