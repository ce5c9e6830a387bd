"""Synaptic densities: dark material on the membranes of cells with vesicles."""

from __future__ import annotations

import numpy as np

from .cytoplasm import Character
from .fields import Floats
from .membranes import Slab
from .neurites import Neurites


class Synapses:
    """Places on membranes that are dark for a few sections.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where everything random comes from.
    neurites : Neurites
        The cells.
    character : Character
        Says which cells hold vesicles.
    shape : tuple of int
        Sections, height and width in px.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        neurites: Neurites,
        character: Character,
        shape: tuple[int, int, int],
    ) -> None:
        cells = np.flatnonzero(character.vesicles > 0)
        n = int(rng.poisson(max(2.0, 0.35 * len(cells) * shape[0] / 8)))
        self._cell = rng.choice(cells, n) if len(cells) else np.zeros(0, int)
        n = len(self._cell)
        self._angle = rng.uniform(-np.pi, np.pi, n)
        self._z = rng.uniform(0, shape[0], n)
        self._half_length = rng.uniform(0.8, 2.5, n)
        self._size_px = rng.uniform(5.0, 10.0, n)

    def draw(self, z: float, slab: Slab) -> Floats:
        """Return the stain they add to a section: shape (Y, X)."""
        stain = np.zeros(slab.cell.shape)
        border = slab.depth_px < 2
        for i in np.flatnonzero(np.abs(z - self._z) < self._half_length):
            own = np.argwhere(border & (slab.cell == self._cell[i]))
            if len(own) < 20:
                continue
            y, x = (own - own.mean(axis=0)).T
            turn = np.abs(np.angle(np.exp(1j * (np.arctan2(y, x) - self._angle[i]))))
            self._add(stain, own[turn.argmin()], slab, int(i))
        return stain

    def _add(self, stain: Floats, at: np.ndarray, slab: Slab, i: int) -> None:
        size = float(self._size_px[i])
        reach = int(4 * size)
        window = tuple(
            slice(max(c - reach, 0), min(c + reach, n))
            for c, n in zip(at.tolist(), stain.shape, strict=True)
        )
        y, x = np.mgrid[window]
        away = ((y - at[0]) ** 2 + (x - at[1]) ** 2) / size**2
        pre = slab.cell[window] == self._cell[i]
        depth = slab.depth_px[window] / np.where(pre, 6.0, 3.5)
        stain[window] += 0.75 * np.exp(-0.5 * away - depth**2)
        # The pedestal that vesicles gather around stands on the presynaptic side.
        stain[window] += pre * 0.7 * np.exp(-0.5 * away * 9 - (slab.depth_px[window] / 13) ** 2)
