"""Contours in slices, surfaces of volumes that are seen slice by slice, and what lies nearest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .distance_totals import Distances

#: Slices whose surface is kept ready to be looked through.
_TREES_KEPT = 16


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


def tree_of(points: Distances) -> Any:
    """Return a tree to look for the nearest of some points in, None where there are none."""
    from scipy.spatial import cKDTree

    return cKDTree(points, balanced_tree=False, compact_nodes=False) if len(points) else None


def nearest(points: Distances, tree: Any, at_most: float = np.inf) -> Distances:
    """Return how far each point is from the nearest in a tree, infinity beyond `at_most`."""
    if tree is None or not len(points):
        return np.full(len(points), np.inf)
    found: Distances = tree.query(points, distance_upper_bound=at_most, workers=-1)[0]
    return found


class VolumeSurfaces:
    """The surfaces of a volume whose slices come one after the other.

    The pixels of surfaces wait in a temporary file, 8 bytes each; memory holds two slices, and
    while distances are measured the surfaces of a few.

    Parameters
    ----------
    spacing : sequence of float
        Size of a voxel along Z, Y and X.
    """

    def __init__(self, spacing: Sequence[float]) -> None:
        self.spacing = tuple(spacing)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        #: Offset and length in bytes, of each slice, of truth and prediction.
        self._places: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        self._n_px: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._width = 1
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
        self._width = codes[0].shape[1]
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
        @lru_cache(maxsize=_TREES_KEPT)
        def tree(z: int) -> Any:
            return tree_of(self._points(code, 1 - side, z)[0])

        for z in depths:
            points, counted = self._points(code, side, z)
            yield self._search(points[counted], z, tree, len(depths))

    def _search(self, points: Distances, z: int, tree: Any, depth: int) -> Distances:
        """Look through slices farther and farther away, until none can hold anything nearer."""
        squared = np.full(len(points), np.inf)
        for away in range(depth):
            gap = (away * self.spacing[0]) ** 2
            open_ = np.flatnonzero(squared > gap)
            if not open_.size:
                break
            for at in {z - away, z + away} & set(range(depth)):
                reach = float(np.sqrt(squared[open_].max() - gap))
                found = nearest(points[open_], tree(at), np.nextafter(reach, np.inf)) ** 2 + gap
                squared[open_] = np.minimum(squared[open_], found)
        return np.sqrt(squared)

    def _points(self, code: int, side: int, z: int) -> tuple[Distances, npt.NDArray[np.bool_]]:
        """Read where a slice of a surface lies along Y and X, and which of its pixels count."""
        offset, n_bytes = self._places[side][z]
        self._file.seek(offset)
        packed = np.frombuffer(self._file.read(n_bytes), np.uint64)
        packed = packed[(packed >> np.uint64(1)) & np.uint64(255) == code]
        where = np.divmod((packed >> np.uint64(9)).astype(np.int64), self._width)
        return np.stack(where, axis=1) * np.array(self.spacing[1:]), (packed & np.uint64(1)) > 0

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
