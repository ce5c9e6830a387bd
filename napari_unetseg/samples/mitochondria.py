"""Mitochondria, and the round vacuoles of a neuropil: bodies that run through several sections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .fields import Floats, smoothstep
from .membranes import Slab
from .neurites import Neurites

#: A body's wall stays this far from the border of its cell, in px.
_CLEARANCE_PX = 5.0

#: Warping moves a pixel at most about this far.
_WARP_PX = 50


@dataclass(frozen=True, slots=True)
class Body:
    """An ellipsoid that moves with a seed of its cell.

    Attributes
    ----------
    seed : int
        The seed it moves with.
    offset : ndarray, shape (2,)
        From the seed, y and x in px.
    axes_px : tuple of float
        Half its length and half its width in a section, at its thickest.
    angle, turn : float
        Of its length in the section in rad, and how much it turns per section.
    z, half_length : float
        Its middle, and half its extent along Z, in sections.
    """

    seed: int
    offset: Floats
    axes_px: tuple[float, float]
    angle: float
    turn: float
    z: float
    half_length: float


@dataclass(frozen=True, slots=True)
class Cut:
    """A body cut by a section, in a window of it.

    Attributes
    ----------
    window : tuple of slice
        Where in the section.
    depth_px : ndarray, window's shape
        Distance from its wall, positive inside.
    across_px : ndarray, window's shape
        Coordinate along its length, which the cristae stand across.
    clearness : float
        In [0, 1]; near its ends the wall runs obliquely and only a shadow is left.
    """

    window: tuple[slice, slice]
    depth_px: Floats
    across_px: Floats
    clearness: float


def place_bodies(
    rng: np.random.Generator,
    neurites: Neurites,
    n_z: int,
    smallest_px: float,
    share: float,
    size: tuple[float, float],
    length_z: tuple[float, float],
) -> list[Body]:
    """Put bodies into a share of the seeds that are large enough.

    Parameters
    ----------
    smallest_px : float
        Radius of seed below which none has one.
    share : float
        Bodies per seed.
    size : tuple of float
        Half-width, from and to, relative to the seed's radius.
    length_z : tuple of float
        Half-length along Z from and to, in sections.
    """
    bodies: list[Body] = []
    for seed in np.flatnonzero(neurites.radius >= smallest_px):
        for _ in range(int(rng.poisson(share))):
            body = _body(rng, int(seed), float(neurites.radius[seed]), n_z, size, length_z)
            if not any(_touch(body, other, neurites) for other in bodies):
                bodies.append(body)
    return bodies


def _body(
    rng: np.random.Generator,
    seed: int,
    radius: float,
    n_z: int,
    size: tuple[float, float],
    length_z: tuple[float, float],
) -> Body:
    half_width = min(radius * rng.uniform(*size), 34.0)
    stretch = rng.uniform(1.0, 1.9 if half_width < 22 else 1.35)
    direction = rng.uniform(0, 2 * np.pi)
    away = max(radius - half_width, 0.0) * rng.uniform(0.1, 0.75)
    return Body(
        seed=seed,
        offset=away * np.array([np.sin(direction), np.cos(direction)]),
        axes_px=(half_width * stretch, half_width),
        angle=rng.uniform(0, np.pi),
        turn=rng.normal(0, 0.06),
        z=rng.uniform(-3, n_z + 3),
        half_length=rng.uniform(*length_z),
    )


def _touch(body: Body, other: Body, neurites: Neurites) -> bool:
    """Say whether two bodies of one cell are in each other's way in some section."""
    if neurites.cell[body.seed] != neurites.cell[other.seed]:
        return False
    if abs(body.z - other.z) > body.half_length + other.half_length:
        return False
    z = (body.z + other.z) / 2
    at = neurites.positions(z)
    between = at[body.seed] + body.offset - at[other.seed] - other.offset
    return float(np.hypot(*between)) < body.axes_px[0] + other.axes_px[0]


def cut_body(
    body: Body,
    neurites: Neurites,
    z: float,
    warped: tuple[Floats, Floats],
    slab: Slab,
    bend: Floats,
) -> Cut | None:
    """Cut a body at depth `z`; None where the section misses it.

    Parameters
    ----------
    bend : ndarray, shape (Y, X)
        Noise of variance 1 that dents its outline.
    """
    along = (z - body.z) / body.half_length
    if abs(along) >= 1:
        return None
    scale = float(np.sqrt(1 - along * along))
    length, width = (scale * axis for axis in body.axes_px)
    centre = neurites.positions(z)[body.seed] + body.offset
    window = _window(centre, length + _WARP_PX, slab.cell.shape)
    y, x = (c[window] - m for c, m in zip(warped, centre, strict=True))
    angle = body.angle + body.turn * (z - body.z)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    q = np.sqrt((u / length) ** 2 + (v / width) ** 2) * (1 + 0.04 * bend[window]) + 1e-6
    slope = np.sqrt((u / length**2) ** 2 + (v / width**2) ** 2) / q + 1e-6
    own, room = (1 - q) / slope, slab.depth_px[window] - _CLEARANCE_PX
    # A smooth minimum: bodies lean against the border of their cell without corners.
    depth = (own + room - np.sqrt((own - room) ** 2 + 36)) / 2
    depth = np.where(slab.cell[window] == neurites.cell[body.seed], depth, -_WARP_PX)
    if depth.size == 0 or depth.max() < 6:
        return None
    return Cut(window, depth, u, float(smoothstep(np.array(scale), 0.3, 0.65)))


def draw_mitochondria(
    density: Floats,
    truth: npt.NDArray[np.bool_],
    cuts: list[Cut],
    bend: Floats,
    patchiness: Floats,
) -> None:
    """Draw double walls, matrix and cristae, in place.

    Parameters
    ----------
    density : ndarray, shape (Y, X)
        Stain; changed in place, and replaced inside.
    truth : ndarray, shape (Y, X), bool
        Set where there is a mitochondrion.
    bend, patchiness : ndarray, shape (Y, X)
        Noise of variance 1 that bends the cristae, and that thins them out.
    """
    for cut in cuts:
        d, window = cut.depth_px, cut.window
        inside = smoothstep(d, -1.0, 1.5)
        wall = np.exp(-(((d - 1.2) / 1.5) ** 2)) + 0.65 * np.exp(-(((d - 6.0) / 1.4) ** 2))
        gap = np.exp(-(((d - 3.6) / 1.2) ** 2))
        wave = np.sin(2 * np.pi * (cut.across_px + 9 * bend[window]) / 10.5)
        cristae = smoothstep(np.abs(wave), 0.45, 0.98) * smoothstep(d, 5.0, 9.0)
        cristae *= 0.45 + 0.55 * smoothstep(patchiness[window], -0.9, 0.6)
        shadow = (wave > 0) * cristae * 0.38 - (wave <= 0) * cristae * 0.16
        body = 0.46 + 0.06 * patchiness[window] + shadow - 0.2 * gap + 0.5 * wall
        stain = inside * cut.clearness + 0.45 * smoothstep(d, -6, 10) * (1 - cut.clearness)
        density[window] = density[window] * (1 - stain) + stain * body
        if cut.clearness > 0.5:
            truth[window] |= d > 0


def draw_vacuoles(density: Floats, cuts: list[Cut]) -> None:
    """Draw a single wall around clear lumen, in place."""
    for cut in cuts:
        d = cut.depth_px
        wall = cut.clearness * np.exp(-(((d - 1.0) / 1.7) ** 2))
        density[cut.window] *= 1 - 0.75 * cut.clearness * smoothstep(d, 1.0, 5.0)
        density[cut.window] += 0.62 * wall


def _window(centre: Floats, reach: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    low = [int(np.clip(c - reach, 0, n)) for c, n in zip(centre, shape, strict=True)]
    high = [int(np.clip(c + reach, 0, n)) for c, n in zip(centre, shape, strict=True)]
    return slice(low[0], high[0]), slice(low[1], high[1])
