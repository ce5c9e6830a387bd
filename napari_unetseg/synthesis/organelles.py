"""Bodies inside cells: mitochondria, vacuoles, nuclei."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_unetseg.config import BACKGROUND
from napari_unetseg.samples.fields import Floats, smoothstep

from .cells import FAR_NM, Cells
from .draws import log_uniform, seldom

#: Depths below which nothing is drawn.
_FLAT_NM = 12.0


@dataclass(frozen=True, slots=True)
class MitochondrionLook:
    """What the mitochondria of a tissue look like: stain, lengths in nm."""

    matrix: float
    matrix_spread: float
    wall: float
    inner_wall: float
    cristae: float
    period_nm: float
    across: bool
    opacity: float


@dataclass(frozen=True, slots=True)
class BodyCut:
    """A body cut by a section, in a window of it.

    Attributes
    ----------
    window : tuple of slice
    depth_nm : ndarray, window's shape
        Distance from its wall, positive inside.
    along_nm, across_nm : ndarray, window's shape
        Coordinates along its length and across it.
    clearness : float
        In [0, 1]; near its ends the wall runs obliquely and only a shadow is left.
    tone : float
        Normally distributed, of this body alone.
    """

    window: tuple[slice, slice]
    depth_nm: Floats
    along_nm: Floats
    across_nm: Floats
    clearness: float
    tone: float


class Bodies:
    """Rods with round ends inside cells.

    Parameters
    ----------
    at, heading : ndarray, shape (n, 3)
        Middles in nm (z, y, x) and unit vectors.
    radius, half_length : ndarray, shape (n,)
        In nm; of the rod without its ends.
    cell : ndarray, shape (n,)
    clearance_nm : float
        How far they stay from the border of their cell.
    tone : ndarray, shape (n,)
    look : MitochondrionLook, optional
    """

    def __init__(
        self,
        at: Floats,
        heading: Floats,
        radius: Floats,
        half_length: Floats,
        cell: npt.NDArray[np.intp],
        clearance_nm: float,
        tone: Floats,
        look: MitochondrionLook | None = None,
    ) -> None:
        self._at, self._heading, self._radius = at, heading, radius
        self._half_length, self._cell, self._tone = half_length, cell, tone
        self._clearance_nm = clearance_nm
        self._look = look

    @property
    def look(self) -> MitochondrionLook:
        """What they look like, of mitochondria."""
        assert self._look is not None
        return self._look

    @classmethod
    def mitochondria(cls, rng: np.random.Generator, cells: Cells) -> Self:
        """Put mitochondria into cells that have room, more into larger ones."""
        width = rng.uniform(90, 220)
        density = seldom(rng, 0.9) * log_uniform(rng, 0.15, 1.6)
        look = MitochondrionLook(
            matrix=rng.uniform(0.1, 0.65),
            matrix_spread=rng.uniform(0.0, 0.12),
            wall=rng.uniform(0.25, 0.7),
            inner_wall=rng.uniform(0.0, 0.5),
            cristae=rng.uniform(-0.35, 0.5),
            period_nm=rng.uniform(28, 60),
            across=bool(rng.random() < 0.35),
            opacity=rng.uniform(0.75, 1.0),
        )
        longest = float(rng.choice([0.3, 1.0, 3.0, 6.0]))
        bodies = _scatter(rng, cells, (0.55 * width, 1.6 * width), 0.92, density, longest)
        return cls(*bodies, 22.0, rng.standard_normal(len(bodies[0])), look)

    @classmethod
    def vacuoles(cls, rng: np.random.Generator, cells: Cells) -> Self:
        """Put round clear or dense bodies into some cells."""
        density = seldom(rng, 0.6) * log_uniform(rng, 0.03, 0.4)
        size = rng.uniform(40, 110)
        bodies = _scatter(rng, cells, (0.5 * size, 2.2 * size), 0.6, density, 0.4)
        return cls(*bodies, 15.0, rng.standard_normal(len(bodies[0])))

    @classmethod
    def nuclei(cls, rng: np.random.Generator, cells: Cells) -> Self:
        """Put a nucleus into cells that are large enough for one."""
        large = np.flatnonzero((cells.radius > 900) & (rng.random(len(cells.radius)) < 0.8))
        _, first = np.unique(cells.cell[large], return_index=True)
        large = large[first]
        radius = cells.radius[large] * rng.uniform(0.6, 0.9, len(large))
        heading = _headings(rng, len(large))
        tone = rng.standard_normal(len(large))
        return cls(cells.at[large], heading, radius, 0.3 * radius, cells.cell[large], 60.0, tone)

    def cut(
        self,
        at_nm: tuple[Floats, ...],
        border_nm: Floats,
        cell: npt.NDArray[np.intp],
        dents: Floats,
    ) -> list[BodyCut]:
        """Cut all bodies by a section.

        Parameters
        ----------
        at_nm : tuple of ndarray, shape (Y, X)
            Where pixels lie in the unbent tissue: z, y and x.
        border_nm : ndarray, shape (Y, X)
            Distance to the next cell.
        cell : ndarray, shape (Y, X)
        dents : ndarray, shape (Y, X)
            Noise of variance 1 that dents their outlines.
        """
        cuts = []
        for i, reach in enumerate(self._half_length + self._radius):
            window = _where(at_nm, self._at[i], 1.2 * float(reach))
            if window is None:
                continue
            own = cell[window] == self._cell[i]
            if not own.any():
                continue
            away = [axis[window] - at for axis, at in zip(at_nm, self._at[i], strict=True)]
            heading = self._heading[i]
            along = sum(h * a for h, a in zip(heading, away, strict=True))
            half = self._half_length[i]
            beyond = np.clip(along, -half, half)
            squared = sum(a * a for a in away) - 2 * along * beyond + beyond * beyond
            distance = np.sqrt(np.maximum(squared, 0))
            mine = self._radius[i] * (1 + 0.07 * dents[window]) - distance
            room = border_nm[window] - self._clearance_nm
            # A smooth minimum: bodies lean against the border of their cell without corners.
            depth = (mine + room - np.sqrt((mine - room) ** 2 + 30.0**2)) / 2
            depth = np.where(own, depth, -FAR_NM)
            deepest = float(depth.max())
            if deepest < _FLAT_NM:
                continue
            across = np.hypot(heading[1], heading[2])
            sideways = (away[2] * heading[1] - away[1] * heading[2]) / (across + 1e-3)
            clearness = float(smoothstep(np.array(deepest / self._radius[i]), 0.15, 0.5))
            cuts.append(BodyCut(window, depth, along, sideways, clearness, float(self._tone[i])))
        return cuts


def _where(at_nm: tuple[Floats, ...], middle: Floats, reach: float) -> tuple[slice, slice] | None:
    """Return the rows and columns that come as near to a place as `reach`, None if none does."""
    near = np.abs(at_nm[0] - middle[0]) < reach
    for axis, at in zip(at_nm[1:], middle[1:], strict=True):
        near &= np.abs(axis - at) < reach
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _scatter(
    rng: np.random.Generator,
    cells: Cells,
    radius_nm: tuple[float, float],
    room: float,
    density: float,
    longest: float,
) -> tuple[Floats, Floats, Floats, Floats, npt.NDArray[np.intp]]:
    """Place rods in balls that are large enough, none in another's way.

    Parameters
    ----------
    radius_nm : tuple of float
        From and to; less where the ball is small.
    room : float
        Share of the ball's radius they may have.
    density : float
        Expected number in a ball that just has room; more in larger ones.
    longest : float
        Half-length up to, in radii.
    """
    smallest, largest = radius_nm
    at: list[Floats] = []
    heading: list[Floats] = []
    radius: list[float] = []
    half: list[float] = []
    cell: list[int] = []
    for seed in np.flatnonzero(cells.radius * room > smallest):
        ball = float(cells.radius[seed])
        n = min(int(rng.poisson(density * max(1.0, (0.35 * ball / largest) ** 2))), 40)
        for _ in range(n):
            size = min(rng.uniform(smallest, largest), room * ball)
            way = rng.standard_normal(3)
            away = (ball - size) * rng.random() ** (1 / 3) * way / np.sqrt((way**2).sum())
            middle = cells.at[seed] + away
            length = size * longest * rng.random()
            if any(
                np.sqrt(((middle - other) ** 2).sum()) < 1.02 * (size + length + r + h)
                for other, r, h in zip(at, radius, half, strict=True)
                if abs(other[0] - middle[0]) < 3000
            ):
                continue
            at.append(middle)
            heading.append(_headings(rng, 1)[0])
            radius.append(size)
            half.append(length)
            cell.append(int(cells.cell[seed]))
    return (
        np.array(at).reshape(-1, 3),
        np.array(heading).reshape(-1, 3),
        np.array(radius),
        np.array(half),
        np.array(cell, np.intp),
    )


def _headings(rng: np.random.Generator, n: int) -> Floats:
    heading = rng.standard_normal((n, 3))
    unit: Floats = heading / np.sqrt((heading**2).sum(axis=1, keepdims=True))
    return unit


def draw_mitochondria(
    stain: Floats,
    codes: npt.NDArray[np.uint8],
    cuts: list[BodyCut],
    look: MitochondrionLook,
    patches: Floats,
) -> None:
    """Draw walls, matrix and cristae, and mark where they are; in place.

    Parameters
    ----------
    patches : ndarray, shape (Y, X)
        Noise of variance 1 that bends and thins out the cristae.
    """
    for cut in cuts:
        d, window = cut.depth_nm, cut.window
        noise = patches[window]
        ordinate = cut.across_nm if look.across else cut.along_nm
        wave = np.sin(2 * np.pi * (ordinate + 12 * noise) / look.period_nm)
        cristae = smoothstep(np.abs(wave), 0.3, 0.95) * np.sign(wave) * smoothstep(d, 18.0, 40.0)
        cristae *= 0.4 + 0.6 * smoothstep(noise, -0.9, 0.6)
        wall = look.wall * np.exp(-(((d - 5) / 7.0) ** 2))
        wall += look.inner_wall * np.exp(-(((d - 26) / 7.0) ** 2))
        body = look.matrix + look.matrix_spread * cut.tone + 0.04 * noise
        body = body + look.cristae * cristae + wall
        inside = smoothstep(d, -6.0, 6.0) * cut.clearness * look.opacity
        shadow = 0.5 * smoothstep(d, -10, 40) * (1 - cut.clearness)
        cover = inside + shadow * (1 - inside)
        stain[window] = stain[window] * (1 - cover) + cover * body
        marks = codes[window]
        if cut.clearness > 0.5:
            marks[d > 0] = BACKGROUND + 1
        else:
            # Only grazed: a person may call it one or not.
            marks[(d > 0) & (marks == BACKGROUND)] = 0


def draw_nuclei(rng: np.random.Generator, stain: Floats, cuts: list[BodyCut], px_nm: float) -> None:
    """Draw an envelope and chromatin, in place."""
    for cut in cuts:
        d, window = cut.depth_nm, cut.window
        inside = smoothstep(d, -8.0, 8.0)
        noise = rng.standard_normal(d.shape).astype(np.float32)
        clumps = gaussian_filter(noise, rng.uniform(40, 160) / px_nm, truncate=2)
        clumps = clumps / (clumps.std() + 1e-6)
        fine = gaussian_filter(rng.standard_normal(d.shape).astype(np.float32), 10 / px_nm)
        body = rng.uniform(0.05, 0.3) + rng.uniform(0, 0.25) * smoothstep(clumps, 0.2, 1.0)
        body = body + rng.uniform(0.03, 0.1) * fine / (fine.std() + 1e-6)
        body = body + rng.uniform(0, 0.25) * np.exp(-(((d - 60) / 60) ** 2))
        stain[window] = stain[window] * (1 - inside) + inside * body
        for at in (0.0, -30.0):
            stain[window] += rng.uniform(0.2, 0.6) * np.exp(-(((d - at) / 8.0) ** 2))
