"""Smooth random fields in space, the raw material of everything irregular in the samples.

All arithmetic is in float64: differences between processors then stay some twelve digits below a
grey level, so that a seed gives the same pixels everywhere.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Floats: TypeAlias = npt.NDArray[np.float64]


class SmoothField:
    """Normally distributed noise of mean 0 and variance 1, smooth over a given distance.

    Random values stand on a lattice and are interpolated with cubic B-splines, so that any slice
    can be had, at any depth, in two matrix products.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the random values come from.
    shape : tuple of int
        Sections, height and width in px.
    spacing_px : float
        Distance of lattice points in a section; details are about this size.
    spacing_z : float
        Distance of lattice points along Z, in sections.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int, int],
        spacing_px: float,
        spacing_z: float,
    ) -> None:
        n_z, height, width = shape
        self._spacing_z = spacing_z
        along_y = spline_basis(np.arange(height) / spacing_px)
        along_x = spline_basis(np.arange(width) / spacing_px)
        n_knots = int(np.ceil(n_z / spacing_z)) + 4
        self._lattice = rng.standard_normal((n_knots, along_y.shape[1], along_x.shape[1]))
        self._gain = 1.0
        for basis in (along_y, along_x, spline_basis(np.linspace(0, 1, 64))):
            self._gain /= np.sqrt((basis**2).sum(axis=1).mean())
        # Four weights a row: sparse products are faster, and the same on every processor.
        self._along_y, self._along_x = csr_array(along_y), csr_array(along_x)

    def plane(self, z: float) -> Floats:
        """Return the field at depth `z`, in sections ≥ −1: shape (Y, X)."""
        along_z = spline_basis(np.array([z / self._spacing_z]), self._lattice.shape[0])[0]
        lattice = sum(along_z[k] * self._lattice[k] for k in np.flatnonzero(along_z))
        plane: Floats = (self._along_x @ (self._along_y @ lattice).T).T
        return np.ascontiguousarray(plane) * self._gain


def spline_basis(at: Floats, n_knots: int | None = None) -> Floats:
    """Return the weights of knots at −1, 0, 1, … for cubic B-splines.

    Parameters
    ----------
    at : ndarray, shape (n,)
        Positions in units of the knots' distance, each ≥ 0 (slightly below is moved to 0).
    n_knots : int, optional
        As many as the positions need by default.

    Returns
    -------
    ndarray, shape (n, n_knots)
        Every row sums to 1.
    """
    at = np.maximum(at, 0.0)
    if n_knots is None:
        n_knots = int(at.max()) + 4
    first = np.minimum(at.astype(int), n_knots - 4)
    t = at - first
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    basis = np.zeros((len(at), n_knots))
    rows = np.arange(len(at))
    for k in range(4):
        basis[rows, first + k] = weights[:, k] / 6
    return basis


def smoothstep(x: Floats, low: float | Floats, high: float | Floats) -> Floats:
    """Rise smoothly from 0 at `low` to 1 at `high` (which may be the smaller one)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    risen: Floats = t * t * (3 - 2 * t)
    return risen
