"""What fills the cells: granular cytoplasm, microtubules, cisterns, vesicles, densities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from .fields import Floats, SmoothField, smoothstep
from .membranes import Slab
from .neurites import Neurites
from .stamps import stamp_rings

_GLIA_RADIUS_PX = 8.8


@dataclass(frozen=True, slots=True)
class Character:
    """What each cell is like; arrays are indexed by cell id.

    Attributes
    ----------
    stain : ndarray
        Mean density of the cytoplasm.
    grain : ndarray
        Contrast of its texture.
    vesicles : ndarray
        Density of vesicle clusters; 0 for most.
    """

    stain: Floats
    grain: Floats
    vesicles: Floats


def characters(rng: np.random.Generator, neurites: Neurites) -> Character:
    """Draw what each cell is like; the thinnest, chained ones are glia and dark."""
    n = neurites.n_cells + 1
    members = np.bincount(neurites.cell, minlength=n)
    largest = np.zeros(n)
    np.maximum.at(largest, neurites.cell, neurites.radius)
    glia = (members >= 6) & (largest < _GLIA_RADIUS_PX)
    stain = np.where(glia, rng.normal(0.40, 0.05, n), rng.normal(0.1, 0.03, n))
    vesicles = np.where((largest > 14) & (rng.random(n) < 0.3), rng.uniform(0.5, 1.0, n), 0)
    return Character(np.clip(stain, 0.02, 0.6), rng.uniform(0.6, 1.12, n), vesicles)


class Cytoplasm:
    """Draws everything small inside the cells.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where everything random comes from.
    neurites : Neurites
        The cells.
    shape : tuple of int
        Sections, height and width in px.
    """

    def __init__(
        self, rng: np.random.Generator, neurites: Neurites, shape: tuple[int, int, int]
    ) -> None:
        self._rng, self._neurites, self._shape = rng, neurites, shape
        self.character = characters(rng, neurites)
        self._clarity = SmoothField(rng, shape, 34, 3)
        self._cistern = SmoothField(rng, shape, 20, 4)
        self._cistern_here = SmoothField(rng, shape, 42, 4)
        self._cluster = SmoothField(rng, shape, 48, 4)
        self._tubules = _tubules(rng, neurites)

    def texture(self, slab: Slab) -> Floats:
        """Return the granular stain of a section: shape (Y, X)."""
        rng, shape = self._rng, self._shape[1:]
        fine = _normalised(gaussian_filter(rng.standard_normal(shape), 0.85, truncate=3))
        coarse = _normalised(gaussian_filter(rng.standard_normal(shape), 2.4, truncate=3))
        grains = 0.085 * fine + 0.05 * coarse + 0.14 * np.maximum(fine + 0.7 * coarse - 1.0, 0)
        return self.character.grain[slab.cell] * grains

    def draw(self, z: float, slab: Slab, free: Floats) -> Floats:
        """Return the stain of a section's cytoplasm with everything in it: shape (Y, X).

        Parameters
        ----------
        free : ndarray, shape (Y, X)
            1 where there is room for small organelles, 0 near walls and in large ones.
        """
        clear = smoothstep(self._clarity.plane(z), 0.2, 1.8)
        stain = self.character.stain[slab.cell] * (1 - 0.6 * clear)
        stain = stain + self.texture(slab) * (1 - 0.55 * clear)
        small = np.zeros_like(stain)
        self._draw_tubules(z, small)
        self._draw_vesicles(z, slab, small)
        self._draw_dense_cores(small)
        stain += (small + self._cisterns(z)) * free
        return stain

    def _cisterns(self, z: float) -> Floats:
        field = self._cistern.plane(z)
        slope_y, slope_x = np.gradient(field)
        away = field / np.sqrt(slope_y**2 + slope_x**2 + 4e-4)
        here = smoothstep(self._cistern_here.plane(z), 1.25, 1.6)
        walls = np.exp(-(((np.abs(away) - 2.6) / 1.1) ** 2))
        cisterns: Floats = here * (0.42 * walls + 0.06 * smoothstep(np.abs(away), 2.6, 1.0))
        return cisterns

    def _draw_tubules(self, z: float, small: Floats) -> None:
        seed, offset, weight = self._tubules
        at = self._neurites.positions(z)[seed] + offset
        at = at + self._rng.normal(0, 0.8, at.shape)
        strength = weight * self._rng.uniform(0.3, 1.0, len(at))
        stamp_rings(small, at, np.full(len(at), 2.0), 0.85, strength)

    def _draw_vesicles(self, z: float, slab: Slab, small: Floats) -> None:
        rng, (height, width) = self._rng, self._shape[1:]
        grid = np.mgrid[0:height:8, 0:width:8].reshape(2, -1).T
        at = grid + rng.uniform(-2.2, 2.2, grid.shape)
        y, x = (np.clip(at.astype(int), 0, (height - 1, width - 1))).T
        crowd = smoothstep(self._cluster.plane(z), -0.3, 1.0)[y, x]
        chosen = rng.random(len(at)) < crowd * self.character.vesicles[slab.cell[y, x]]
        at, n = at[chosen], int(chosen.sum())
        radius = rng.normal(3.2, 0.35, n)
        stamp_rings(small, at, radius, 0.95, rng.uniform(0.25, 0.5, n))
        stamp_rings(small, at, np.zeros(n), 1.6, np.full(n, -0.05))

    def _draw_dense_cores(self, small: Floats) -> None:
        rng, shape = self._rng, self._shape[1:]
        n = int(rng.poisson(np.prod(shape) / 40_000))
        at = rng.random((n, 2)) * shape
        stamp_rings(small, at, np.zeros(n), 3.2, rng.uniform(0.4, 0.9, n))
        n = int(rng.poisson(np.prod(shape) / 4_000))
        at = rng.random((n, 2)) * shape
        stamp_rings(small, at, rng.uniform(3.5, 6.5, n), 1.3, rng.uniform(0.15, 0.45, n))


def _tubules(rng: np.random.Generator, neurites: Neurites) -> tuple[Floats, Floats, Floats]:
    """Scatter microtubules in some of the larger cells: their seed, offset from it, strength."""
    seeds, offsets, weights = [], [], []
    strength = np.where(rng.random(neurites.n_cells + 1) < 0.6, 0.5, 0.2)
    for seed in np.flatnonzero(neurites.radius > 12):
        radius = float(neurites.radius[seed])
        n = int(rng.poisson(radius**2 / 55))
        away, angle = radius * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
        seeds.append(np.full(n, seed))
        offsets.append(away[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1))
        weights.append(np.full(n, strength[neurites.cell[seed]]))
    return np.concatenate(seeds), np.concatenate(offsets), np.concatenate(weights)


def _normalised(noise: Floats) -> Floats:
    normalised: Floats = (noise - noise.mean()) / noise.std()
    return normalised
