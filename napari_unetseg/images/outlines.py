"""Outlines of labels: traced along the borders of pixels, and filled to the same pixels again.

Coordinates are x, y in px; pixel (0, 0) covers [0, 1)², as it does for ImageJ and QuPath.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

#: Corners of a closed line, shape (N, 2); the first is not repeated.
Ring: TypeAlias = npt.NDArray[np.float64]

#: An outer ring and its holes: what an odd number of rings surrounds lies within.
Polygon: TypeAlias = tuple[Ring, ...]

#: Lines farther out than this are moved in: none of an image is there.
_FARTHEST_PX = 2.0**31

#: So many crossings of lines and rows are looked at together.
_CROSSINGS = 1 << 22


@dataclass(frozen=True, slots=True)
class Outline:
    """The outline of one thing.

    Attributes
    ----------
    polygons : tuple of Polygon
        Its parts.
    label : int or None
        The number it has in its file; outlines with the same one are one object.
    class_name : str
        Empty where it has none.
    color : str or None
        Of its class, ``"#e69f00"``.
    t, z : int or None
        The slice it lies on, counted from 0; None for all.
    """

    polygons: tuple[Polygon, ...]
    label: int | None = None
    class_name: str = ""
    color: str | None = None
    t: int | None = None
    z: int | None = None


def trace(labels: npt.NDArray[Any]) -> dict[int, list[Polygon]]:
    """Trace what is labelled on a slice.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        0 where there is nothing.

    Returns
    -------
    dict of int to list of Polygon
        By value, ascending; one polygon for each part whose pixels share sides. Rings go
        clockwise, holes the other way, only have corners where they turn, and do not cross.

    Examples
    --------
    >>> {value: [ring.astype(int).tolist() for ring in part] for value, (part,) in
    ...  trace(np.array([[0, 7, 7]])).items()}
    {7: [[[1, 0], [3, 0], [3, 1], [1, 1]]]}
    """
    from skimage.measure import label as connected

    parts = connected(labels, background=0, connectivity=1)  # type: ignore[no-untyped-call]
    parts = np.pad(parts, 1)
    sides, following = _sides(parts)
    polygons: dict[int, list[Ring]] = defaultdict(list)  # by part
    for ring, pixel in _rings(sides, following, parts.shape[1]):
        polygons[int(parts.flat[pixel])].append(ring)
    found: dict[int, list[Polygon]] = defaultdict(list)
    firsts = np.unique(parts, return_index=True)[1]
    width = parts.shape[1]
    for part, rings in polygons.items():
        y, x = divmod(int(firsts[part]), width)
        found[int(labels[y - 1, x - 1])].append(tuple(rings))
    return dict(sorted(found.items()))


def fill(polygon: Polygon, into: npt.NDArray[Any], value: int) -> None:
    """Write `value` where the middle of a pixel lies within a polygon.

    Parameters
    ----------
    polygon : Polygon
        Any; it may reach beyond the slice.
    into : ndarray, shape (Y, X)
        Is written to.
    """
    height, width = into.shape
    starts = np.concatenate([np.clip(r, -_FARTHEST_PX, _FARTHEST_PX) for r in polygon])
    ends = np.concatenate(
        [np.clip(np.roll(r, -1, axis=0), -_FARTHEST_PX, _FARTHEST_PX) for r in polygon]
    )
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64)
    crossing = first < last
    if not crossing.any():
        return
    top, bottom = int(first[crossing].min()), int(last[crossing].max())
    left = int(np.clip(np.floor(starts[:, 0].min()), 0, width))
    right = int(np.clip(np.ceil(starts[:, 0].max()) + 1, left, width))
    odd = np.zeros((bottom - top, right - left + 1), bool)
    lines = np.flatnonzero(crossing)
    for some in np.array_split(lines, 1 + len(lines) * (bottom - top) // _CROSSINGS):
        counts = last[some] - first[some]
        at = np.repeat(some, counts)
        rows = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts) + first[at]
        along = (rows + 0.5 - starts[at, 1]) / (ends[at, 1] - starts[at, 1])
        x = starts[at, 0] + along * (ends[at, 0] - starts[at, 0])
        columns = np.clip(np.ceil(x - 0.5), left, right).astype(np.int64)
        np.logical_xor.at(odd, (rows - top, columns - left), True)
    within = np.logical_xor.accumulate(odd, axis=1)[:, :-1]
    into[top:bottom, left:right][within] = value


def oval(left: float, top: float, width: float, height: float) -> Ring:
    """Return the outline of the pixels whose middle lies within an ellipse in a rectangle."""
    rows = np.arange(np.ceil(top - 0.5), np.ceil(top + height - 0.5))
    along = (rows + 0.5 - top - height / 2) / (height / 2)
    half = width / 2 * np.sqrt(np.maximum(0, 1 - along**2))
    middle = left + width / 2
    begin, end = np.ceil(middle - half - 0.5), np.floor(middle + half - 0.5) + 1
    downwards = np.stack([np.repeat(end, 2), np.stack([rows, rows + 1], 1).ravel()], 1)
    upwards = np.stack([np.repeat(begin, 2), np.stack([rows, rows + 1], 1).ravel()], 1)[::-1]
    return np.concatenate([downwards, upwards])


def _sides(parts: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find the sides of pixels that are borders, and which follows which.

    Sides of pixel i are 4 i + 0 (above), 1 (right), 2 (below), 3 (left), each followed clockwise
    around its part. Where a part meets itself at a corner alone, it is taken for connected there,
    so that no ring touches itself.

    Returns
    -------
    sides : ndarray
        Ascending.
    following : ndarray
        Index into `sides` of the next one.
    """
    stride, flat = parts.shape[1], parts.ravel()
    beyond = np.array([-stride, 1, stride, -1])
    ahead = np.array([1, stride, -1, -stride])
    inside = np.flatnonzero(flat)
    found = [
        inside[flat[inside] != flat[inside + step]] * 4 + side for side, step in enumerate(beyond)
    ]
    sides = np.sort(np.concatenate(found))
    pixel, side = np.divmod(sides, 4)
    straight = pixel + ahead[side]
    corner = straight + beyond[side]
    own = flat[pixel]
    following = np.where(
        flat[corner] == own,
        corner * 4 + (side - 1) % 4,
        np.where(flat[straight] == own, straight * 4 + side, pixel * 4 + (side + 1) % 4),
    )
    return sides, np.searchsorted(sides, following)


def _rings(
    sides: npt.NDArray[np.int64], following: npt.NDArray[np.int64], stride: int
) -> Sequence[tuple[Ring, int]]:
    """Walk along all borders, outer ones before their holes; with each goes a pixel inside."""
    pixel, side = np.divmod(sides, 4)
    y, x = np.divmod(pixel, stride)
    corners = np.stack(
        [x - 1 + ((side == 1) | (side == 2)), y - 1 + ((side == 2) | (side == 3))], axis=1
    ).astype(np.float64)
    turns = np.zeros(len(sides), bool)
    turns[following] = side[following] != side
    steps, turning = following.tolist(), turns.tolist()
    seen = bytearray(len(sides))
    rings = []
    for start in range(len(sides)):
        if seen[start]:
            continue
        at, passed = start, []
        while not seen[at]:
            seen[at] = True
            if turning[at]:
                passed.append(at)
            at = steps[at]
        rings.append((corners[passed], int(pixel[start])))
    return rings
