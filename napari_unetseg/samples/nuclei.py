"""A stack of fluorescent nuclei as a light microscope sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from napari_unetseg.config import BACKGROUND, LabelClass, default_color
from napari_unetseg.images import Stack

from .fields import Floats, SmoothField, smoothstep
from .sample import Sample

NUCLEI_CLASSES = (LabelClass(name="nucleus", color=default_color(2)),)

#: Distance of slices and pixel size, in µm.
NUCLEI_PIXEL_SIZE_UM = {"Z": 0.8, "Y": 0.25, "X": 0.25}

_FLATNESS = NUCLEI_PIXEL_SIZE_UM["Z"] / NUCLEI_PIXEL_SIZE_UM["Y"]


@dataclass(frozen=True, slots=True)
class _Nucleus:
    """An ellipsoid; lengths in px of a slice, also along Z."""

    centre: Floats
    to_unit: Floats
    reach_px: float
    brightness: float


def nuclei_stack(seed: int = 0, shape: tuple[int, int, int] = (16, 256, 256)) -> Sample:
    """Generate a stack of fluorescent nuclei, with its truth.

    Nuclei of several sizes and intensities, many of them touching, with chromatin texture and
    dark nucleoli, on an uneven background; dimmer and more blurred with depth, with shot noise.

    Parameters
    ----------
    seed : int
        The same seed and shape give the same pixels.
    shape : tuple of int
        Slices, height and width in px.
    """
    rng = np.random.default_rng([seed, 2])
    nuclei = _place(rng, shape)
    objects, light = _draw(rng, nuclei, shape)
    image = _photograph(rng, light, shape)
    codes = np.where(objects > 0, BACKGROUND + 1, BACKGROUND).astype(np.uint8)
    stack = Stack(image, "ZYX", dict(NUCLEI_PIXEL_SIZE_UM), name="nuclei")
    return Sample(stack, NUCLEI_CLASSES, codes, objects)


def _place(rng: np.random.Generator, shape: tuple[int, int, int]) -> list[_Nucleus]:
    """Scatter nuclei in clusters, as close as touching."""
    extent = np.array([shape[0] * _FLATNESS, shape[1], shape[2]])
    n = max(6, round(float(np.prod(extent[1:])) / 560))
    nuclei: list[_Nucleus] = []
    at, radii = np.zeros((0, 3)), np.zeros(0)
    for _ in range(40 * n):
        radius = rng.uniform(10.0, 16.0)
        if len(at) and rng.random() < 0.62:
            way = rng.standard_normal(3)
            k = int(rng.integers(len(at)))
            centre = at[k] + way / np.sqrt((way**2).sum()) * (radius + radii[k]) * 0.97
        else:
            centre = rng.random(3) * (extent + 16) - 8
        gap = np.sqrt(((at - centre) ** 2).sum(axis=1))
        inside = np.all((centre > -8) & (centre < extent + 8))
        if not inside or np.any(gap < 0.93 * (radii + radius)):
            continue
        at, radii = np.vstack([at, centre]), np.append(radii, radius)
        nuclei.append(_nucleus(rng, centre, radius))
        if len(nuclei) == n:
            break
    return nuclei


def _nucleus(rng: np.random.Generator, centre: Floats, radius: float) -> _Nucleus:
    axes = radius * np.exp(rng.normal(0, 0.13, 3)) * (0.92, 1.04, 1.04)
    turned = _rotation(rng)
    brightness = float(np.exp(rng.normal(0, 0.28)))
    if rng.random() < 0.05:  # about to divide: condensed and bright
        axes, brightness = 0.68 * axes, 1.7 * brightness
    return _Nucleus(centre, turned / axes[:, None], float(axes.max()) * 1.25, brightness)


def _rotation(rng: np.random.Generator) -> Floats:
    """Return a random rotation (its rows are an orthonormal basis)."""
    first, second = rng.standard_normal(3), rng.standard_normal(3)
    first /= np.sqrt((first**2).sum())
    second -= (first * second).sum() * first
    second /= np.sqrt((second**2).sum())
    third = np.array(
        [
            first[1] * second[2] - first[2] * second[1],
            first[2] * second[0] - first[0] * second[2],
            first[0] * second[1] - first[1] * second[0],
        ]
    )
    return np.stack([first, second, third])


def _draw(
    rng: np.random.Generator, nuclei: list[_Nucleus], shape: tuple[int, int, int]
) -> tuple[npt.NDArray[np.uint32], Floats]:
    """Return object ids and emitted light; a pixel belongs to the nucleus it lies deepest in."""
    dents = [SmoothField(rng, shape, 12, 2) for _ in range(2)]
    chromatin = [SmoothField(rng, shape, px, z) for px, z in ((4.5, 1), (2.2, 1))]
    objects, light = np.zeros(shape, np.uint32), np.zeros(shape)
    for z in range(shape[0]):
        dy, dx = (1.8 * field.plane(z) for field in dents)
        texture = 0.20 * chromatin[0].plane(z) + 0.20 * chromatin[1].plane(z)
        nucleoli = smoothstep(-chromatin[0].plane(z), 1.4, 2.0)
        deepest = np.full(shape[1:], 1.0)
        for number, nucleus in enumerate(nuclei, 1):
            window = _window(nucleus, z * _FLATNESS, shape)
            if window is None:
                continue
            q = _distance(nucleus, z * _FLATNESS, window, dy, dx)
            own = q < deepest[window]
            deepest[window][own] = q[own]
            objects[z][window][own] = number
            rim = 0.85 + 0.25 * smoothstep(q, 0.5, 0.92)
            shine = nucleus.brightness * rim * (1 + texture[window]) * (1 - 0.5 * nucleoli[window])
            light[z][window] = np.where(own, shine, light[z][window])
    return objects, np.maximum(light, 0)


def _window(
    nucleus: _Nucleus, depth_px: float, shape: tuple[int, int, int]
) -> tuple[slice, slice] | None:
    if abs(depth_px - nucleus.centre[0]) > nucleus.reach_px:
        return None
    reach = nucleus.reach_px + 8
    low, high = nucleus.centre[1:] - reach, nucleus.centre[1:] + reach
    rows, columns = (
        slice(int(np.clip(a, 0, n)), int(np.clip(b, 0, n)))
        for a, b, n in zip(low, high, shape[1:], strict=True)
    )
    empty = rows.start >= rows.stop or columns.start >= columns.stop
    return None if empty else (rows, columns)


def _distance(
    nucleus: _Nucleus, depth_px: float, window: tuple[slice, slice], dy: Floats, dx: Floats
) -> Floats:
    """Return how deep pixels lie: 0 in the centre, 1 on the surface, more outside."""
    y, x = np.mgrid[window]
    away = (
        depth_px - nucleus.centre[0],
        y + dy[window] - nucleus.centre[1],
        x + dx[window] - nucleus.centre[2],
    )
    squared = sum(sum(row[i] * away[i] for i in range(3)) ** 2 for row in nucleus.to_unit)
    return np.asarray(np.sqrt(squared))


def _photograph(
    rng: np.random.Generator, light: Floats, shape: tuple[int, int, int]
) -> npt.NDArray[np.uint8]:
    """Blur, dim with depth, add background, count photons, digitise."""
    out_of_focus = gaussian_filter1d(light, 1.3, axis=0, truncate=3, mode="nearest")
    lamp, haze = SmoothField(rng, shape, 150, 12), SmoothField(rng, shape, 70, 8)
    image = np.empty(shape, np.uint8)
    for z in range(shape[0]):
        depth = z / max(shape[0] - 1, 1)
        near = gaussian_filter(0.75 * light[z] + 0.25 * out_of_focus[z], 0.7 + 1.4 * depth)
        far = gaussian_filter(out_of_focus[z], 9.0, truncate=3)
        seen = near * (1 - 0.38 * depth) + 0.30 * far
        seen = seen * (1 + 0.16 * lamp.plane(z)) + 0.10 + 0.09 * np.maximum(haze.plane(z) + 1, 0)
        photons = np.maximum(62 * seen, 0.5)
        counted = photons + np.sqrt(photons) * rng.standard_normal(photons.shape)
        counted += 1.6 * rng.standard_normal(photons.shape)
        image[z] = np.clip(np.round(1.35 * counted + 6), 0, 255)
    return image
