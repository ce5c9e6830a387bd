"""Cells that fill space: where they are in any section, and how far from their borders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_unetseg.samples.blocks import from_blocks, to_blocks
from napari_unetseg.samples.fields import Floats, SmoothField

#: Seeds a pixel may belong to.
_CANDIDATES = 10

#: Pixels of a square of this side share their candidates.
_BLOCK_PX = 4

#: Attempts to place a cell; later ones, which are smaller, find what room is left.
_ATTEMPTS = 5000

#: Distances beyond the last candidate are not known, only that they are large.
FAR_NM = 400.0


@dataclass(frozen=True, slots=True)
class View:
    """What of the block of tissue is looked at.

    Attributes
    ----------
    shape : tuple of int
        Sections, height and width in px.
    px_nm : float
        Width of a pixel.
    section_nm : float
        Distance of sections.
    """

    shape: tuple[int, int, int]
    px_nm: float
    section_nm: float

    @property
    def extent_nm(self) -> Floats:
        """Depth, height and width."""
        steps = np.array([self.section_nm, self.px_nm, self.px_nm])
        extent: Floats = np.array(self.shape) * steps
        return extent


@dataclass(frozen=True, slots=True)
class CellShapes:
    """What cells of a tissue are like; lengths in nm.

    Attributes
    ----------
    radius_nm : float
        Of the median cell.
    spread : float
        Standard deviation of the logarithm of the radii.
    links : int
        Cells are chains of up to this many balls.
    fibres : float
        In [0, 1], how much chains run alike.
    bend : float
        Standard deviation of displacements ÷ radius of the median cell.
    giant_nm : float
        Radius of one cell that is larger than all others; 0: there is none.
    flat : bool
        All lie beside each other in the first section.
    """

    radius_nm: float
    spread: float
    links: int
    fibres: float
    bend: float
    giant_nm: float = 0.0
    flat: bool = False


@dataclass(frozen=True, slots=True)
class Face:
    """Cells at one depth.

    Attributes
    ----------
    cell : ndarray, shape (Y, X), int
        From 0.
    border_nm : ndarray, shape (Y, X)
        Distance to the nearest other cell, up to `FAR_NM`.
    inside_nm : ndarray, shape (Y, X)
        How deep inside its ball a pixel lies, negative outside of it.
    at_nm : tuple of ndarray, shape (Y, X)
        Where pixels lie in the unbent tissue: z, y and x.
    """

    cell: npt.NDArray[np.intp]
    border_nm: Floats
    inside_nm: Floats
    at_nm: tuple[Floats, Floats, Floats]


class Cells:
    """Chains of balls, the borders between which are those of a power diagram, bent.

    A power diagram is a Voronoi diagram of points in one dimension more, so which cell a pixel
    belongs to is a search for nearest neighbours [1]_, whatever the sizes of cells.

    Parameters
    ----------
    rng : numpy.random.Generator
    view : View
    shapes : CellShapes

    Attributes
    ----------
    at : ndarray, shape (seeds, 3)
        Balls: z, y and x in nm.
    radius : ndarray, shape (seeds,)
        In nm.
    cell : ndarray, shape (seeds,), int
        Which cell a ball is part of, from 0.
    n_cells : int

    References
    ----------
    .. [1] F. Aurenhammer, "Power diagrams: properties, algorithms and applications", SIAM Journal
       on Computing 16 (1987) 78-96.
    """

    def __init__(self, rng: np.random.Generator, view: View, shapes: CellShapes) -> None:
        self._view = view
        self.at, self.radius, self.cell = _place(rng, view, shapes)
        self.n_cells = int(self.cell.max()) + 1
        self._largest = float(self.radius.max())
        lift = np.sqrt(np.maximum(self._largest**2 - self.radius**2, 0))
        self._lifted = np.column_stack([self.at, lift])
        self._tree = cKDTree(self._lifted)
        self._warps = [_warp(rng, view, shapes) for _ in range(3)]

    def face(self, depth_nm: float) -> Face:
        """Cut the cells at some depth."""
        view = self._view
        _, height, width = view.shape
        y, x = np.arange(height) * view.px_nm, np.arange(width) * view.px_nm
        dz, dy, dx = (self._displacement(warp, depth_nm) for warp in self._warps)
        at = depth_nm + 0.5 * dz, y[:, None] + dy, x[None, :] + dx
        cell, border, inside = self._nearest(at)
        return Face(cell, np.minimum(border, FAR_NM), inside, at)

    def _displacement(self, warp: list[tuple[float, SmoothField]], depth_nm: float) -> Floats:
        moved = np.zeros(self._view.shape[1:])
        for size, field in warp:
            moved += size * field.plane(depth_nm / self._view.section_nm)
        return moved

    def _nearest(
        self, at: tuple[Floats, Floats, Floats]
    ) -> tuple[npt.NDArray[np.intp], Floats, Floats]:
        height, width = at[0].shape
        blocks = np.stack([to_blocks(axis, _BLOCK_PX) for axis in at], axis=-1)
        middles = np.column_stack([blocks.mean(axis=1), np.zeros(len(blocks))])
        n = min(_CANDIDATES, len(self.at))
        near = self._tree.query(middles, k=n)[1].reshape(len(blocks), n)
        seeds, cells = self._lifted[near], self.cell[near]
        # The square of the distance in one dimension more, without what is common to all seeds.
        power = (seeds**2).sum(axis=2)[:, None] - 2 * blocks @ seeds[:, :, :3].swapaxes(1, 2)
        first = power.argmin(axis=2)
        own = np.take_along_axis(cells, first, 1)
        middle = np.take_along_axis(seeds[:, :, :3], first[:, :, None], 1)
        gap = np.sqrt(((seeds[:, None, :, :3] - middle[:, :, None]) ** 2).sum(axis=3))
        away = power - np.take_along_axis(power, first[:, :, None], 2)
        away = away / (2 * gap + 1e-3)
        away[cells[:, None] == own[:, :, None]] = FAR_NM
        squared = np.take_along_axis(power, first[:, :, None], 2)[:, :, 0]
        # What all seeds have in common comes back, for the distance to the middle of the ball.
        squared = squared + (blocks**2).sum(axis=2) - self._largest**2
        radius = self.radius[near[np.arange(len(near))[:, None], first]]
        inside = radius - np.sqrt(np.maximum(squared + radius**2, 0))
        return (
            from_blocks(own, (height, width), _BLOCK_PX),
            from_blocks(away.min(axis=2), (height, width), _BLOCK_PX),
            from_blocks(inside, (height, width), _BLOCK_PX),
        )


def _warp(
    rng: np.random.Generator, view: View, shapes: CellShapes
) -> list[tuple[float, SmoothField]]:
    """Return displacements along one axis: standard deviations in nm and fields of variance 1."""
    fields = []
    for share, size in ((1.0, 2.2), (0.45, 0.9), (0.15, 0.35)):
        wave_nm = size * shapes.radius_nm
        px, sections = max(wave_nm / view.px_nm, 3.0), max(wave_nm / view.section_nm, 1.0)
        amplitude = share * shapes.bend * shapes.radius_nm
        fields.append((amplitude, SmoothField(rng, view.shape, px, sections)))
    return fields


def _place(
    rng: np.random.Generator, view: View, shapes: CellShapes
) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """Throw chains of balls, the largest first, where there is room."""
    margin = 2.0 * shapes.radius_nm
    low, extent = -margin, view.extent_nm + 2 * margin
    n_wanted = 6 * float(np.prod(extent)) / (4.2 * shapes.radius_nm**3)
    n_chains = int(np.clip(n_wanted / max(shapes.links, 1), 40, _ATTEMPTS))
    sizes = shapes.radius_nm * np.exp(shapes.spread * rng.standard_normal(n_chains))
    sizes[0] = max(sizes[0], shapes.giant_nm)
    common = rng.standard_normal(3)
    at, radius = np.empty((n_chains * shapes.links, 3)), np.empty(n_chains * shapes.links)
    cell = np.empty(n_chains * shapes.links, np.intp)
    n = n_cells = 0
    for size in np.sort(sizes)[::-1]:
        links = int(rng.integers(1, shapes.links + 1))
        heading = (1 - shapes.fibres) * rng.standard_normal(3) + shapes.fibres * common
        headings = heading + 0.35 * rng.standard_normal((links, 3)).cumsum(axis=0)
        headings[:, 0] *= not shapes.flat
        headings /= np.sqrt((headings**2).sum(axis=1, keepdims=True)) + 1e-9
        chain = low + extent * rng.random(3) + (0.8 * size * headings).cumsum(axis=0)
        chain[:, 0] *= not shapes.flat
        squared = ((chain[:, None] - at[None, :n]) ** 2).sum(axis=2)
        free = np.all(squared > (0.85 * (size + radius[:n])) ** 2, axis=1)
        links = links if free.all() else int(np.argmin(free))
        if not links:
            continue
        new = slice(n, n + links)
        at[new], cell[new] = chain[:links], n_cells
        radius[new] = size * rng.uniform(0.8, 1.1, links)
        n, n_cells = n + links, n_cells + 1
    return at[:n], radius[:n], cell[:n]
