"""How large, how long, how bright and how far apart objects are, in physical units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

from .pieces import Pieces

#: A row of the table: by name of the column.
Row: TypeAlias = dict[str, Any]
Codes: TypeAlias = npt.NDArray[np.uint8]

_AXES = "ZYX"
#: Pairs of axes of which second moments are summed.
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True, slots=True)
class _Found:
    """Sums over the pixels of objects: of those on a slice, or of whole ones.

    Attributes
    ----------
    keys : ndarray of int64, shape (n, 2)
        Time point and id.
    sums : ndarray of float64, shape (n, 10 + 2 C)
        Of 1; of Z, Y and X in pixels; of their products, as `_PAIRS`; and of the value and its
        square in every channel.
    lowest, highest : ndarray of float64, shape (n, 3 + C)
        Of Z, Y and X, and of the value in every channel.
    """

    keys: npt.NDArray[np.int64]
    sums: npt.NDArray[np.float64]
    lowest: npt.NDArray[np.float64]
    highest: npt.NDArray[np.float64]


class ObjectTable:
    """Measures objects slice by slice, so that a stack may be larger than memory.

    Parameters
    ----------
    like : Stack
        Of the ids, or the image they are of: axes and pixel size.
    channels : sequence of str
        Names of the channels of the image that values are measured in; none by default.

    Notes
    -----
    Lengths of axes are those of the ellipse, or ellipsoid, with the same second moments, where a
    pixel is a square and not a point (as `skimage.measure.regionprops`).

    Examples
    --------
    >>> like = Stack(np.zeros((4, 6)), "YX", {"Y": 0.5, "X": 0.5})
    >>> table = ObjectTable(like)
    >>> ids = np.zeros((4, 6), np.uint32)
    >>> ids[1:3, 1:5] = 7
    >>> table.add(0, ids)
    >>> row = next(table.rows())
    >>> row["object"], row["n_px"], row["area_um2"], row["x_um"]
    (7, 8, 2.0, 1.25)
    """

    def __init__(self, like: Stack, channels: Sequence[str] = ()) -> None:
        self._like = like
        self._channels = _column_names(channels)
        self._depth = like.size("Z")
        self._axes = _AXES if self._depth > 1 else "YX"
        self._is_known = all(axis in like.pixel_size_um for axis in self._axes)
        self._found: list[_Found] = []

    def add(
        self, plane: int, ids: npt.NDArray[Any], pixels: npt.NDArray[Any] | None = None
    ) -> None:
        """Take in a slice.

        Parameters
        ----------
        plane : int
            Along the flattened T · Z axis.
        ids : ndarray, shape (Y, X)
            0 where there is no object.
        pixels : ndarray, shape (C, Y, X), optional
            Of the image.
        """
        where = np.flatnonzero(ids)
        if not len(where):
            return
        numbers, at = np.unique(ids.reshape(-1)[where], return_inverse=True)
        t, z = divmod(plane, self._depth)
        y, x = np.divmod(where, ids.shape[1])
        values = np.zeros((0, len(where))) if pixels is None else _values_at(pixels, where)
        if len(values) != len(self._channels):
            raise ValueError(f"{len(values)} channels, where {len(self._channels)} were named")
        places = (np.full(len(where), float(z)), y.astype(float), x.astype(float))
        products = [places[a] * places[b] for a, b in _PAIRS]
        weights = [*places, *products, *(v for value in values for v in (value, value * value))]
        n = np.bincount(at)
        sums = [n, *(np.bincount(at, weight) for weight in weights)]
        order = np.argsort(at, kind="stable")
        begins = np.concatenate([[0], np.cumsum(n)[:-1]])
        ranged = np.stack([*places, *values])[:, order]
        self._found.append(
            _Found(
                np.column_stack([np.full(len(numbers), t), numbers.astype(np.int64)]),
                np.column_stack(sums),
                np.minimum.reduceat(ranged, begins, axis=1).T,
                np.maximum.reduceat(ranged, begins, axis=1).T,
            )
        )

    def rows(self) -> Iterator[Row]:
        """Yield a row for each object, by time point and id."""
        found = _whole(self._found)
        nearest = self._nearest(found)
        for i, (t, number) in enumerate(found.keys.tolist()):
            row: Row = {"t": t} if "T" in self._like.axes else {}
            row["object"] = number
            row |= self._measured(found, i)
            row["nearest" + self._unit] = nearest[i]
            row["touches_border"] = self._touches_border(found, i)
            yield row | self._brightness(found, i)

    @property
    def _unit(self) -> str:
        return "_um" if self._is_known else "_px"

    @property
    def _spacing(self) -> npt.NDArray[np.float64]:
        """Size of a voxel along Z, Y and X; 1 where lengths are in pixels."""
        known = self._like.pixel_size_um if self._is_known else {}
        return np.array([known.get(axis, 1.0) for axis in _AXES])

    def _measured(self, found: _Found, i: int) -> Row:
        n, *rest = found.sums[i]
        centre = np.array(rest[:3]) / n
        second = np.array(rest[3:9]) / n
        covariance = np.zeros((3, 3))
        for (a, b), value in zip(_PAIRS, second, strict=True):
            covariance[a, b] = covariance[b, a] = value - centre[a] * centre[b]
        covariance += np.eye(3) / 12  # a pixel is a square
        axes = [_AXES.index(axis) for axis in self._axes]
        spacing = self._spacing
        scaled = (covariance * np.outer(spacing, spacing))[np.ix_(axes, axes)]
        variances = np.maximum(np.linalg.eigvalsh(scaled), 0)
        lengths = 2 * np.sqrt((len(axes) + 2) * variances)  # of a filled ellipsoid
        size = float(n * np.prod(spacing[axes]))
        row: Row = {f"{_AXES[a].lower()}_px": float(centre[a]) for a in axes}
        if self._is_known:
            row |= {f"{_AXES[a].lower()}_um": float(centre[a] * spacing[a]) for a in axes}
        row["n_px"] = int(n)
        in_3d = len(axes) == 3
        if self._is_known:
            row["volume_um3" if in_3d else "area_um2"] = size
        ball = (6 * size / np.pi) ** (1 / 3) if in_3d else np.sqrt(4 * size / np.pi)
        row["equivalent_diameter" + self._unit] = float(ball)
        row["major_axis" + self._unit] = float(lengths[-1])
        row["minor_axis" + self._unit] = float(lengths[0])
        return row

    def _nearest(self, found: _Found) -> list[float | None]:
        """Return how far the centre of the nearest other object of the time point is."""
        from scipy.spatial import KDTree

        centres = found.sums[:, 1:4] / found.sums[:, :1] * self._spacing
        distances: list[float | None] = [None] * len(centres)
        for t in np.unique(found.keys[:, 0]):
            of_time = np.flatnonzero(found.keys[:, 0] == t)
            if len(of_time) > 1:
                beside, _ = KDTree(centres[of_time]).query(centres[of_time], k=2)
                for i, distance in zip(of_time, beside[:, 1], strict=True):
                    distances[i] = float(distance)
        return distances

    def _touches_border(self, found: _Found, i: int) -> bool:
        """Tell whether an object may go on outside the image."""
        ends = (self._depth, *self._like.plane_shape)
        return any(
            found.lowest[i, a] == 0 or found.highest[i, a] == ends[a] - 1
            for a in (_AXES.index(axis) for axis in self._axes)
        )

    def _brightness(self, found: _Found, i: int) -> Row:
        row: Row = {}
        n = found.sums[i, 0]
        for c, name in enumerate(self._channels):
            total, squares = found.sums[i, 10 + 2 * c : 12 + 2 * c]
            mean = total / n
            row[f"mean{name}"] = float(mean)
            row[f"std{name}"] = float(np.sqrt(max(squares / n - mean * mean, 0.0)))
            row[f"min{name}"] = float(found.lowest[i, 3 + c])
            row[f"max{name}"] = float(found.highest[i, 3 + c])
        return row


def measure_objects(
    ids: Stack, image: Stack | None = None, *, advance: Callable[[], object] = lambda: None
) -> Iterator[Row]:
    """Measure all objects of a stack.

    Parameters
    ----------
    ids : Stack
        Whole numbers without channels, 0 where there is no object.
    image : Stack, optional
        With the same slices: brightness is measured in it, and its pixel size counts.
    advance : callable
        Called when a slice has been read.

    Yields
    ------
    dict
        See `ObjectTable.rows`.

    Raises
    ------
    UserError
        If the image has other slices.
    """

    def read(plane: int) -> npt.NDArray[Any]:
        advance()
        found: npt.NDArray[Any] = ids.plane(plane)[0]
        return found

    yield from _measured(read, ids, image)


def measure_pieces(
    codes_of: Callable[[int], Codes],
    classes: Sequence[LabelClass],
    like: Stack,
    image: Stack | None = None,
) -> Iterator[Row]:
    """Measure every connected piece of every class.

    Parameters
    ----------
    codes_of : callable
        Returns the codes of a slice, shape (Y, X): k + 1 for class k. Asked several times.
    classes : sequence of LabelClass
        Classes 1, 2, …
    like : Stack
        Axes and pixel size.
    image : Stack, optional
        As for `measure_objects`.

    Yields
    ------
    dict
        See `ObjectTable.rows`; the first column is the class.
    """
    for k, label_class in enumerate(classes, 1):

        def mask(plane: int, code: int = k + 1) -> npt.NDArray[np.bool_]:
            return np.equal(codes_of(plane), code)

        pieces = Pieces(mask, like.n_planes, like.size("Z"))
        for row in _measured(pieces.ids, like, image):
            yield {"class": label_class.name, **row}


def _measured(
    ids_of: Callable[[int], npt.NDArray[Any]], like: Stack, image: Stack | None
) -> Iterator[Row]:
    if image is not None and image.labels_shape != like.labels_shape:
        raise UserError(
            f"{image.name} has the shape {image.labels_shape} and the objects {like.labels_shape}; "
            "give the image that they were found in."
        )
    calibrated = like if image is None or not image.pixel_size_um else image
    table = ObjectTable(calibrated, () if image is None else image.channels)
    for plane in range(like.n_planes):
        table.add(plane, ids_of(plane), None if image is None else image.plane(plane))
    yield from table.rows()


def _column_names(channels: Sequence[str]) -> list[str]:
    """Return what follows the name of a column, once for each channel."""
    if len(channels) == 1:
        return [""]
    return [f"_{name.strip() or i}".replace(" ", "_") for i, name in enumerate(channels, 1)]


def _values_at(pixels: npt.NDArray[Any], where: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    return np.asarray(pixels.reshape(len(pixels), -1)[:, where], np.float64)


def _whole(found: Sequence[_Found]) -> _Found:
    """Add up what was found of the same objects on several slices."""
    if not found:
        nothing = np.zeros((0, 10))
        return _Found(np.zeros((0, 2), np.int64), nothing, nothing, nothing)
    keys = np.concatenate([part.keys for part in found])
    unique, at = np.unique(keys, axis=0, return_inverse=True)
    at = at.reshape(-1)
    sums = np.zeros((len(unique), found[0].sums.shape[1]))
    np.add.at(sums, at, np.concatenate([part.sums for part in found]))
    lowest = np.full((len(unique), found[0].lowest.shape[1]), np.inf)
    np.minimum.at(lowest, at, np.concatenate([part.lowest for part in found]))
    highest = np.full(lowest.shape, -np.inf)
    np.maximum.at(highest, at, np.concatenate([part.highest for part in found]))
    return _Found(unique, sums, lowest, highest)
