"""Cells of a neuropil: bundles of drifting fibres that fill space."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .blocks import from_blocks, to_blocks
from .fields import Floats, SmoothField, spline_basis

#: Distances to a membrane are known up to this many px.
FAR_PX = 80.0

# Pixels of a block share the seeds they may belong to, chosen among those around their tile.
_BLOCK = 8
_N_CANDIDATES = 10
_TILE = 64
_N_AROUND = 64
_MARGIN_PX = 90.0

# Radius from, radius to, links of the chain up to, spacing of links in radii, attempts.
_POPULATIONS = (
    (36.0, 58.0, 3, 1.0, 16),
    (22.0, 38.0, 6, 1.1, 60),
    (6.0, 8.0, 16, 1.6, 30),
    (13.0, 23.0, 4, 1.2, 260),
    (8.0, 13.0, 5, 1.3, 1800),
)


@dataclass(frozen=True, slots=True)
class Section:
    """Where cells are at one depth.

    Attributes
    ----------
    cell : ndarray, shape (Y, X), int
        Cell ids from 1.
    depth_px : ndarray, shape (Y, X)
        Distance to the nearest other cell, up to `FAR_PX`.
    """

    cell: npt.NDArray[np.intp]
    depth_px: Floats


class Neurites:
    """Cells as an additively weighted Voronoi diagram of drifting, chained seeds.

    A cell is a chain of round seeds; a point belongs to the cell whose seed's surface is nearest.
    Seeds drift from section to section, by a flow that they share with their neighbours and a
    wiggle of their own, and the space they live in is warped, so that borders bend.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where everything random comes from.
    shape : tuple of int
        Sections, height and width in px.
    """

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self.at, self.radius, self.cell = _place(rng, shape)
        self.n_cells = int(self.cell.max())
        self._drift = _drift(rng, self.at, shape)
        self._knots = _wiggle_knots(rng, self.cell, self.radius, shape[0])
        self._warp = [
            [(amplitude, SmoothField(rng, shape, px, z)) for amplitude, px, z in _WARPS]
            for _ in "yx"
        ]

    def positions(self, z: float) -> Floats:
        """Return where the seeds are at depth `z`: shape (seeds, 2), y and x in warped px."""
        wiggle = _at_depth(self._knots, z)
        moved: Floats = self.at + self._drift * (z - self._shape[0] / 2) + wiggle[:, :2]
        return moved

    def radii(self, z: float) -> Floats:
        """Return how large the seeds are at depth `z`, in px: shape (seeds,)."""
        swelling: Floats = self.radius * np.exp(_at_depth(self._knots, z)[:, 2])
        return swelling

    def warped(self, z: float) -> tuple[Floats, Floats]:
        """Return the coordinates of every pixel in the space the seeds live in."""
        _, height, width = self._shape
        y = np.arange(height, dtype=float)[:, None]
        x = np.arange(width, dtype=float)[None, :]
        dy, dx = (sum(a * f.plane(z) for a, f in fields) for fields in self._warp)
        return y + dy, x + dx

    def section(self, z: float, warped: tuple[Floats, Floats]) -> Section:
        """Cut the cells at depth `z`, given the warped coordinates there."""
        seeds, radii = self.positions(z), self.radii(z)
        height, width = self._shape[1:]
        cell, depth = np.empty((height, width), np.intp), np.empty((height, width))
        for top, left in itertools.product(range(0, height, _TILE), range(0, width, _TILE)):
            tile = slice(top, top + _TILE), slice(left, left + _TILE)
            y, x = (coordinate[tile] for coordinate in warped)
            around = _nearest_seeds(y.mean(), x.mean(), seeds, radii, _N_AROUND)
            cell[tile], depth[tile] = _cut_tile(
                y, x, seeds[around], radii[around], self.cell[around]
            )
        return Section(cell, np.minimum(depth, FAR_PX))


# Amplitude in px, distance of details in px and in sections.
_WARPS = ((15.0, 75.0, 14.0), (6.5, 27.0, 6.0), (2.0, 11.0, 3.0))


def _place(
    rng: np.random.Generator, shape: tuple[int, int, int]
) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """Throw chains of seeds, the largest first, where there is room."""
    low, extent = -_MARGIN_PX, np.array(shape[1:]) + 2 * _MARGIN_PX
    share = float(np.prod(extent)) / (512 + 2 * _MARGIN_PX) ** 2
    at, radius, cell = np.zeros((0, 2)), np.zeros(0), np.zeros(0, np.intp)
    for smallest, largest, links, spacing, attempts in _POPULATIONS:
        for _ in range(max(1, round(attempts * share))):
            r = rng.uniform(smallest, largest)
            n = int(rng.integers(1, links + 1)) if links < 10 else links
            heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.35, n))
            steps = spacing * r * np.stack([np.sin(heading), np.cos(heading)], axis=1)
            chain = low + extent * rng.random(2) + np.cumsum(steps, axis=0)
            gap = np.sqrt(((chain[:, None] - at[None]) ** 2).sum(axis=2))
            free = np.all(gap > 0.92 * (r + radius), axis=1)
            n = int(np.argmin(free)) if not free.all() else n
            at = np.concatenate([at, chain[:n]])
            radius = np.concatenate([radius, r * rng.uniform(0.8, 1.1, n)])
            cell = np.concatenate([cell, np.full(n, cell.max(initial=0) + 1, np.intp)])
    return at, radius, cell


def _drift(rng: np.random.Generator, at: Floats, shape: tuple[int, int, int]) -> Floats:
    """Return how far each seed moves per section, in px: like its neighbours, and not quite."""
    flow = rng.normal(0, 1.0, 2) + np.zeros_like(at)
    for _ in range(6):
        wave = rng.normal(0, 2 * np.pi / 400, 2)
        phase = at @ wave + rng.uniform(0, 2 * np.pi)
        flow += np.sin(phase)[:, None] * rng.normal(0, 1.3, 2)
    return flow


def _wiggle_knots(
    rng: np.random.Generator, cell: npt.NDArray[np.intp], radius: Floats, n_z: int
) -> Floats:
    """Return spline knots, shape (knots, seeds, 3): y and x in px, logarithm of the radius."""
    n_knots = int(np.ceil(n_z / _KNOT_SECTIONS)) + 4
    shared = rng.normal(0, 1, (n_knots, int(cell.max()) + 1, 3))[:, cell]
    own = rng.normal(0, 1, (n_knots, len(cell), 3))
    size = np.stack([0.30 * radius + 3, 0.30 * radius + 3, np.full(len(radius), 0.13)], axis=1)
    knots: Floats = (0.8 * shared + 0.5 * own) * size
    return knots


_KNOT_SECTIONS = 6.0


def _at_depth(knots: Floats, z: float) -> Floats:
    weights = spline_basis(np.array([z / _KNOT_SECTIONS]), len(knots))[0]
    return sum((weights[k] * knots[k] for k in np.flatnonzero(weights)), np.zeros(knots.shape[1:]))


def _nearest_seeds(
    y: Floats, x: Floats, seeds: Floats, radii: Floats, n: int
) -> npt.NDArray[np.intp]:
    """Return the `n` seeds nearest to each point: shape (…, n)."""
    dy, dx = np.subtract.outer(y, seeds[:, 0]), np.subtract.outer(x, seeds[:, 1])
    reach = (np.sqrt(dy * dy + dx * dx) - radii) * _steepness(radii)
    n = min(n, len(seeds))
    return np.argpartition(reach, n - 1, axis=-1)[..., :n]


def _cut_tile(
    y: Floats, x: Floats, seeds: Floats, radii: Floats, cells: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return cells and distances to the next cell in a small rectangle, block by block."""
    height, width = y.shape
    y, x = to_blocks(y, _BLOCK), to_blocks(x, _BLOCK)
    near = _nearest_seeds(y.mean(axis=1), x.mean(axis=1), seeds, radii, _N_CANDIDATES)
    cell, depth = _nearest_cells(y, x, seeds[near], radii[near], cells[near])
    return from_blocks(cell, (height, width), _BLOCK), from_blocks(depth, (height, width), _BLOCK)


def _steepness(radii: Floats) -> Floats:
    """Return how fast nearness is lost with distance: small cells stay round beside large ones."""
    steep: Floats = (30.0 / radii) ** 0.4
    return steep


def _nearest_cells(
    y: Floats, x: Floats, seeds: Floats, radii: Floats, cells: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return each pixel's cell and its distance to the next cell.

    Parameters
    ----------
    y, x : ndarray, shape (blocks, pixels)
        Where the pixels are.
    seeds, radii, cells : ndarray, shape (blocks, candidates, …)
        The seeds near each block.
    """
    dy = y[:, None] - seeds[:, :, 0, None]
    dx = x[:, None] - seeds[:, :, 1, None]
    length = np.sqrt(dy * dy + dx * dx) + 1e-9
    steepness = _steepness(radii)[:, :, None]
    surface = steepness * (length - radii[:, :, None])
    first = surface.argmin(axis=1)[:, None]
    dy *= steepness / length
    dx *= steepness / length
    cell = np.take_along_axis(np.broadcast_to(cells[:, :, None], surface.shape), first, 1)
    # The border is where two seeds are equally near: the difference over its slope leads there.
    away = surface - np.take_along_axis(surface, first, 1)
    away /= np.sqrt(
        (dy - np.take_along_axis(dy, first, 1)) ** 2
        + (dx - np.take_along_axis(dx, first, 1)) ** 2
        + 0.05
    )
    away[cells[:, :, None] == cell] = FAR_PX
    return cell[:, 0], away.min(axis=1)
