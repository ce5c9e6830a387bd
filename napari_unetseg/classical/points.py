"""Points that a person clicked, as strokes that methods grow from."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import MAX_CLASSES
from napari_unetseg.errors import UserError
from napari_unetseg.images import atomic_file

from .step import Codes

#: Column of a points file that says which class a point is of.
_CLASS = "class"


def read_points(path: str | Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Read points from a table such as napari saves a Points layer to.

    Parameters
    ----------
    path : str or Path
        CSV with a header: columns ``axis-0``, ``axis-1``, … hold positions in px; a column
        ``class``, if there is one, the class of each point, 0 for background.

    Returns
    -------
    points : ndarray, shape (n, axes), float64
    classes : ndarray, shape (n,), int64
        1 where the file says nothing.

    Raises
    ------
    UserError
        If it cannot be read, or has no such columns.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        axes = sorted(name for name in (rows[0] if rows else {}) if name.startswith("axis-"))
        points = np.array([[float(row[axis]) for axis in axes] for row in rows])
        classes = np.array([int(float(row.get(_CLASS) or 1)) for row in rows])
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{path} is no table of points ({error}).") from error
    if not axes:
        raise UserError(
            f"{path} holds no points; it needs a header with axis-0, axis-1, … and a row per point."
        )
    return points, classes


def write_points(
    path: str | Path, points: npt.NDArray[np.float64], *, overwrite: bool = False
) -> None:
    """Write points with radii as a table that napari opens as a Points layer.

    Parameters
    ----------
    path : str or Path
        CSV: columns ``index``, ``axis-0``, ``axis-1``, … in px, ``radius_px``.
    points : ndarray, shape (n, axes + 1), float64
        As `points_of` returns them.

    Raises
    ------
    UserError
        If the file exists and may not be replaced.
    """
    axes = [f"axis-{i}" for i in range(points.shape[1] - 1)]
    with (
        atomic_file(path, overwrite=overwrite) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file)
        table.writerow(["index", *axes, "radius_px"])
        table.writerows([i, *np.round(row, 3).tolist()] for i, row in enumerate(points))


def strokes_at(
    points: npt.NDArray[Any],
    classes: Sequence[int] | npt.NDArray[np.int64],
    shape: tuple[int, ...],
    *,
    radius_px: float = 1.5,
) -> Codes:
    """Return annotations with a small disc at every point.

    Parameters
    ----------
    points : ndarray, shape (n, axes), float
        In px; the last two axes are Y and X, the others T and Z as far as `shape` has them.
    classes : sequence of int, length n
        0 for background.
    shape : tuple of int
        Of the labels of the image.

    Returns
    -------
    ndarray, shape (planes, Y, X), uint8
        0 where there is no point, 1 background, k + 1 class k.

    Raises
    ------
    UserError
        If a point lies outside the image, has other axes, or a class that cannot be.
    """
    height, width = shape[-2:]
    strokes = np.zeros((int(np.prod(shape[:-2], dtype=int)), height, width), np.uint8)
    reach = np.arange(-int(radius_px), int(radius_px) + 1)
    dy, dx = (d.ravel() for d in np.meshgrid(reach, reach, indexing="ij"))
    inside = dy**2 + dx**2 <= radius_px**2
    for point, k in zip(np.asarray(points, float), classes, strict=True):
        if len(point) != len(shape):
            raise UserError(f"A point has {len(point)} axes and the image {len(shape)}.")
        if not np.isfinite(point).all() or not 0 <= k <= MAX_CLASSES:
            raise UserError(f"A point of class {k} at {point.tolist()} cannot be placed.")
        at = np.rint(point).astype(int)
        if (at < 0).any() or (at >= shape).any():
            raise UserError(
                f"The point at {', '.join(f'{p:g}' for p in point)} lies outside the image, whose "
                f"size is {' × '.join(map(str, shape))}."
            )
        plane = int(np.ravel_multi_index(tuple(at[:-2]), shape[:-2])) if len(shape) > 2 else 0
        y = np.clip(at[-2] + dy[inside], 0, height - 1)
        x = np.clip(at[-1] + dx[inside], 0, width - 1)
        strokes[plane, y, x] = k + 1
    return strokes
