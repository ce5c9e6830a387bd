"""Contours in slices, and surfaces of volumes that are seen slice by slice."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .distance_totals import Distances
from .nearest import Outline, Places

#: Slices whose surface is kept ready to be looked through.
_OUTLINES_KEPT = 16


def contour_codes(
    codes: Sequence[npt.NDArray[np.uint8]], labels: Sequence[npt.NDArray[Any]]
) -> list[npt.NDArray[np.uint8]]:
    """Keep the codes of truth and prediction where their contours are, and 0 elsewhere.

    Parameters
    ----------
    codes : sequence of two ndarrays, shape (Y, X), uint8
        Of the truth, which is 0 where it says nothing, and of the prediction.
    labels : sequence of two ndarrays, shape (Y, X)
        Where neighbours differ in these, there is a contour.
    """
    known = codes[0] > 0
    return [
        np.where(_differs_beside(label, known), code, 0).astype(np.uint8)
        for code, label in zip(codes, labels, strict=True)
    ]


def codes_in(*planes: npt.NDArray[np.uint8]) -> list[int]:
    """List the codes other than 0 of some planes, in ascending order."""
    counts = sum(np.bincount(plane.ravel(), minlength=256) for plane in planes)
    return [int(code) for code in np.flatnonzero(counts) if code]


def _differs_beside(
    labels: npt.NDArray[Any], known: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Mark pixels that have one of 4 neighbours of another label, both of them known."""
    found = np.zeros(labels.shape, bool)
    for before, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differs = (labels[before] != labels[after]) & known[before] & known[after]
        found[before] |= differs
        found[after] |= differs
    return found


class VolumeSurfaces:
    """The surfaces of a volume whose slices come one after the other.

    The pixels of surfaces wait in a temporary file, 8 bytes each; memory holds two slices, and
    while distances are measured the surfaces of a few.

    Parameters
    ----------
    spacing : tuple of float
        Size of a voxel along Z, Y and X.
    """

    def __init__(self, spacing: tuple[float, float, float]) -> None:
        self.spacing = spacing
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        #: Offset and length in bytes, of each slice, of truth and prediction.
        self._places: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        self._n_px: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._shape = (0, 0)
        self._last: _Slice | None = None

    def __enter__(self) -> Self:
        """Use the surfaces until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the file back."""
        self._file.close()

    def add(
        self,
        codes: Sequence[npt.NDArray[np.uint8]],
        labels: Sequence[npt.NDArray[Any]],
        where: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Take the next slice; its surface is known when the one after it is."""
        self._shape = codes[0].shape
        new = _Slice(codes, labels, where)
        if self._last is not None:
            self._last.touch(new)
            self._write(self._last)
        self._last = new

    def complete(self) -> None:
        """Take the last slice that was added for the last there is."""
        if self._last is not None:
            self._write(self._last)
            self._last = None

    def codes(self) -> list[int]:
        """List the codes that have a surface that counts."""
        return sorted({code for counts in self._n_px for code, n in counts.items() if n})

    def is_one_sided(self, code: int) -> bool:
        """Say whether only truth or only the prediction has a surface of this class."""
        return (code in self._n_px[0]) != (code in self._n_px[1])

    def distances(self, code: int) -> Iterator[tuple[Distances, Distances]]:
        """Yield, slice by slice, distances from the true and from the predicted surface."""
        depths = range(len(self._places[0]))
        both = zip(self._of(code, 0, depths), self._of(code, 1, depths), strict=True)
        yield from both

    def _of(self, code: int, side: int, depths: range) -> Iterator[Distances]:
        @lru_cache(maxsize=_OUTLINES_KEPT)
        def outline(z: int) -> Outline:
            return Outline(self._pixels(code, 1 - side, z)[0], self._shape, self.spacing[1:])

        for z in depths:
            places, counted = self._pixels(code, side, z)
            yield self._search(places[counted], z, outline, len(depths))

    def _search(
        self, places: Places, z: int, outline: Callable[[int], Outline], depth: int
    ) -> Distances:
        """Look through slices farther and farther away, until none can hold anything nearer."""
        found = np.full(len(places), np.inf)
        for away in range(depth):
            gap = away * self.spacing[0]
            left = np.flatnonzero(found > gap)
            if not left.size:
                break
            for at in {z - away, z + away} & set(range(depth)):
                reach = float(np.sqrt(found[left].max() ** 2 - gap**2))
                there = np.hypot(outline(at).distances(places[left], reach), gap)
                found[left] = np.minimum(found[left], there)
        return found

    def _pixels(self, code: int, side: int, z: int) -> tuple[Places, npt.NDArray[np.bool_]]:
        """Read the rows and columns of a surface in a slice, and which of its pixels count."""
        offset, n_bytes = self._places[side][z]
        self._file.seek(offset)
        packed = np.frombuffer(self._file.read(n_bytes), np.uint64)
        packed = packed[(packed >> np.uint64(1)) & np.uint64(255) == code]
        places = np.divmod((packed >> np.uint64(9)).astype(np.intp), self._shape[1])
        return np.stack(places, axis=1), (packed & np.uint64(1)) > 0

    def _write(self, slice_: _Slice) -> None:
        for side, (pixels, counted) in enumerate(slice_.surfaces()):
            at = np.flatnonzero(pixels)
            codes = pixels.ravel()[at]
            kept = (at.astype(np.uint64) << np.uint64(9)) | (
                codes.astype(np.uint64) << np.uint64(1)
            )
            kept |= counted.ravel()[at].astype(np.uint64)
            self._places[side].append((self._file.seek(0, 2), kept.nbytes))
            self._file.write(kept.tobytes())
            inside = pixels[counted]
            for code in codes_in(pixels):
                n = self._n_px[side].get(code, 0)
                self._n_px[side][code] = n + int(np.count_nonzero(inside == code))


class _Slice:
    """A slice and what of its surfaces is known so far."""

    def __init__(
        self,
        codes: Sequence[npt.NDArray[np.uint8]],
        labels: Sequence[npt.NDArray[Any]],
        where: npt.NDArray[np.bool_] | None,
    ) -> None:
        self.codes = [plane.copy() for plane in codes]
        self.labels = [plane.copy() for plane in labels]
        self.known = codes[0] > 0
        self.where = np.ones(self.known.shape, bool) if where is None else where.copy()
        self.edges = [_differs_beside(label, self.known) for label in labels]

    def touch(self, following: _Slice) -> None:
        """Mark where this slice and the one that follows it differ, in both."""
        known = self.known & following.known
        for side in (0, 1):
            differs = (self.labels[side] != following.labels[side]) & known
            self.edges[side] |= differs
            following.edges[side] |= differs

    def surfaces(self) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]]:
        """Yield, of truth and prediction, codes where the surface is, and where it counts."""
        for edge, code in zip(self.edges, self.codes, strict=True):
            yield np.where(edge, code, 0).astype(np.uint8), self.where
