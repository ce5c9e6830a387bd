"""Outlines of labels: traced along the borders of pixels, and filled to the same pixels again.

Coordinates are x, y in px; pixel (0, 0) covers [0, 1)², as it does for ImageJ and QuPath.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
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
    if not parts.any():
        return {}
    rings, pixels = _rings(*_sides(parts), parts.shape[1])
    part = parts.ravel()[pixels]
    order = np.argsort(part, kind="stable")
    rings = [rings[i] for i in order.tolist()]
    begins = np.flatnonzero(np.diff(part[order], prepend=0))
    values = np.pad(labels, 1).ravel()[pixels[order[begins]]].tolist()
    found: dict[int, list[Polygon]] = defaultdict(list)
    for value, (begin, end) in zip(values, pairwise([*begins.tolist(), len(rings)]), strict=True):
        found[value].append(tuple(rings[begin:end]))
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
    # Nothing is at the edges of `parts`, so that pixels rolled over them are beside none.
    borders = np.stack([flat != np.roll(flat, -step) for step in beyond], axis=1)
    borders[flat == 0] = False
    sides = np.flatnonzero(borders)
    pixel, side = np.divmod(sides, 4)
    straight = pixel + ahead[side]
    corner = straight + beyond[side]
    own = flat[pixel]
    following = np.where(
        flat[corner] == own,
        corner * 4 + (side - 1) % 4,
        np.where(flat[straight] == own, straight * 4 + side, pixel * 4 + (side + 1) % 4),
    )
    number = np.empty(borders.size, np.int64)
    number[sides] = np.arange(len(sides))
    return sides, number[following]


def _rings(
    sides: npt.NDArray[np.int64], following: npt.NDArray[np.int64], stride: int
) -> tuple[list[Ring], npt.NDArray[np.int64]]:
    """Walk along all borders, outer ones before their holes; return a pixel inside of each, too."""
    walked, begins = _walked(following)
    pixel, side = np.divmod(sides[walked], 4)
    y, x = np.divmod(pixel, stride)
    corners = np.stack(
        [x - 1 + ((side == 1) | (side == 2)), y - 1 + ((side == 2) | (side == 3))], axis=1
    ).astype(np.float64)
    before = np.roll(side, 1)
    before[begins] = side[np.append(begins[1:], len(side)) - 1]
    turning = before != side
    bounds = np.append(0, np.cumsum(turning))[np.append(begins, len(side))].tolist()
    corners = corners[turning]
    return [corners[a:b] for a, b in pairwise(bounds)], pixel[begins]


def _walked(following: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Order sides along one ring after the other, as the first side of each comes.

    Returns
    -------
    walked : ndarray
    begins : ndarray
        Where in it a ring begins.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    n = len(following)

    def graph(to: npt.NDArray[np.int64]) -> Any:
        return csr_array((np.ones(n), to, np.arange(n + 1)), shape=(n, n))

    n_rings, ring = connected_components(graph(following), directed=False)
    first = np.zeros(n_rings, np.int64)
    first[ring[::-1]] = np.arange(n)[::-1]
    order = np.argsort(first)
    # The last side of each ring leads on to the first of the next: a single path.
    last = np.argsort(following)[first]
    path = following.copy()
    path[last[order[:-1]]] = first[order[1:]]
    walked = breadth_first_order(graph(path), 0, return_predecessors=False)
    lengths = np.bincount(ring)[order]
    return walked, np.cumsum(lengths) - lengths
