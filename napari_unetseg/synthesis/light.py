"""Synthetic light micrographs of nuclei and cells, with exact objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.measure import label

from napari_unetseg.config import BACKGROUND
from napari_unetseg.samples.fields import Floats, SmoothField, smoothstep
from napari_unetseg.samples.stamps import stamp_rings

from .cells import FAR_NM, Cells, CellShapes, View
from .draws import log_uniform, seldom
from .example import Example

#: Objects smaller than this share of the median one are specks, and nobody knows of what.
_SPECK = 0.12


@dataclass(frozen=True, slots=True)
class Objects:
    """Where objects are in a section, before anybody looked at them.

    Attributes
    ----------
    ids : ndarray, shape (Y, X), int
        0 where there is none.
    depth_px : ndarray, shape (Y, X)
        Distance to the border of the object, 0 outside.
    outside_px : ndarray, shape (Y, X)
        Distance from the nearest object, 0 inside.
    """

    ids: npt.NDArray[np.intp]
    depth_px: Floats
    outside_px: Floats

    @property
    def n(self) -> int:
        """One more than the largest id."""
        return int(self.ids.max()) + 1


def fluorescent_nuclei(rng: np.random.Generator, shape: tuple[int, int]) -> Example:
    """Draw stained nuclei: of very unequal brightness, textured, touching, some dividing."""
    diameter = log_uniform(rng, 9, 60)
    objects = _objects(rng, shape, diameter, crowded=rng.random() ** 1.5, long=rng.random() < 0.2)
    n = objects.n
    brightness = np.exp(rng.uniform(0.1, 0.7) * rng.standard_normal(n))
    dividing = rng.random(n) < rng.uniform(0, 0.08)
    brightness[dividing] *= rng.uniform(1.5, 3)
    light = brightness[objects.ids] * (objects.ids > 0)
    light *= _inside(objects, diameter, rng.uniform(0.0, 0.5))
    light *= np.maximum(0.1, 1 + _texture(rng, shape, diameter, rng.uniform(0, 0.35)))
    light *= 1 - seldom(rng, 0.5) * 0.6 * smoothstep(_field(rng, shape, diameter / 5), 1.2, 2.0)
    return _seen(rng, light, objects, diameter, "nucleus")


def fluorescent_cells(rng: np.random.Generator, shape: tuple[int, int]) -> Example:
    """Draw cells whose cytoplasm is stained; their nuclei are brighter or darker."""
    diameter = log_uniform(rng, 16, 110)
    objects = _objects(rng, shape, diameter, crowded=rng.random(), long=rng.random() < 0.4)
    brightness = np.exp(rng.uniform(0.1, 0.6) * rng.standard_normal(objects.n))
    light = brightness[objects.ids] * (objects.ids > 0)
    light *= _inside(objects, diameter, rng.uniform(0.3, 1.0))
    light *= np.maximum(0.1, 1 + _texture(rng, shape, diameter, rng.uniform(0.05, 0.5)))
    core = smoothstep(objects.depth_px / diameter, 0.18, 0.26)
    light *= 1 + seldom(rng, 0.6) * rng.uniform(-0.7, 1.5) * core
    return _seen(rng, light, objects, diameter)


def membrane_stained_tissue(rng: np.random.Generator, shape: tuple[int, int]) -> Example:
    """Draw cells that fill space, of which the borders are stained."""
    diameter = log_uniform(rng, 14, 110)
    objects = _objects(rng, shape, diameter, crowded=1.0, long=rng.random() < 0.2, filled=True)
    width = rng.uniform(0.8, 2.5)
    uneven = np.clip(1 + 0.4 * _field(rng, shape, diameter), 0.2, 2)
    light = uneven * np.exp(-((objects.depth_px / width) ** 2))
    light += rng.uniform(0, 0.25) * (1 + _texture(rng, shape, diameter, 0.4))
    return _seen(rng, light, objects, diameter)


def phase_contrast(rng: np.random.Generator, shape: tuple[int, int]) -> Example:
    """Draw cells in phase contrast: textured, with halos; those that are round shine."""
    diameter = log_uniform(rng, 16, 120)
    objects = _objects(rng, shape, diameter, crowded=rng.random(), long=rng.random() < 0.5)
    path = _optical_path(rng, objects, shape, diameter)
    halo = rng.uniform(0.08, 0.3) * diameter
    image = rng.choice([-1.0, 1.0], p=[0.7, 0.3]) * (path - gaussian_filter(path, halo))
    round_ = rng.random(objects.n) < rng.uniform(0, 0.15)
    image += round_[objects.ids] * (objects.ids > 0) * rng.uniform(0.2, 0.8)
    ring = np.exp(-(((objects.outside_px - 1.5) / rng.uniform(1, 3)) ** 2)) * (objects.ids == 0)
    image += rng.uniform(-0.1, 0.5) * ring
    return _transmitted(rng, image, objects, diameter)


def interference_contrast(rng: np.random.Generator, shape: tuple[int, int]) -> Example:
    """Draw cells in differential interference contrast: lit from one side."""
    diameter = log_uniform(rng, 20, 130)
    objects = _objects(rng, shape, diameter, crowded=rng.random() ** 0.5, long=rng.random() < 0.3)
    path = _optical_path(rng, objects, shape, diameter)
    slope_y, slope_x = np.gradient(gaussian_filter(path, rng.uniform(0.5, 1.5)))
    angle = rng.uniform(0, 2 * np.pi)
    image = (np.cos(angle) * slope_x + np.sin(angle) * slope_y) * diameter / 6
    return _transmitted(rng, image, objects, diameter)


def bacteria(rng: np.random.Generator, shape: tuple[int, int]) -> Example:
    """Draw rods, crowded in colonies: dark in phase contrast, or fluorescent."""
    width = log_uniform(rng, 5, 14)
    view = View((1, *shape), 1.0, 1.0)
    links = int(rng.integers(2, 8))
    fibres = float(rng.choice([0, 0.6]))
    shapes = CellShapes(width / 2, 0.08, links, fibres, 0.15, flat=True)
    objects = _cut(rng, Cells(rng, view, shapes), width, rng.random() ** 0.7, filled=False)
    if rng.random() < 0.5:
        light = (objects.ids > 0) * smoothstep(objects.depth_px, 0.0, width / 3)
        light *= np.exp(0.25 * rng.standard_normal(objects.n))[objects.ids]
        return _seen(rng, light, objects, width)
    path = np.sqrt(np.clip(objects.depth_px, 0, None) / width)
    image = gaussian_filter(path, rng.uniform(width / 4, width)) - path
    return _transmitted(rng, image, objects, width)


#: What is drawn, and how often.
_SHARES: dict[Callable[..., Example], float] = {
    fluorescent_nuclei: 0.3,
    fluorescent_cells: 0.15,
    membrane_stained_tissue: 0.1,
    phase_contrast: 0.2,
    interference_contrast: 0.15,
    bacteria: 0.1,
}


def light_micrograph(rng: np.random.Generator, shape: tuple[int, int]) -> Example:
    """Draw nuclei or cells through one of several microscopes."""
    kinds = list(_SHARES)
    return kinds[rng.choice(len(kinds), p=list(_SHARES.values()))](rng, shape)


def _objects(
    rng: np.random.Generator,
    shape: tuple[int, int],
    diameter: float,
    *,
    crowded: float,
    long: bool,
    filled: bool = False,
) -> Objects:
    view = View((1, *shape), 1.0, 1.0)
    shapes = CellShapes(
        radius_nm=diameter / 2,
        spread=rng.uniform(0.05, 0.3),
        links=int(rng.integers(2, 5)) if long else int(rng.choice([1, 1, 2])),
        fibres=float(rng.choice([0, 0.5])),
        bend=rng.uniform(0.05, 0.4),
        flat=bool(rng.random() < 0.6),
    )
    return _cut(rng, Cells(rng, view, shapes), diameter, crowded, filled=filled)


def _cut(
    rng: np.random.Generator, cells: Cells, diameter: float, crowded: float, *, filled: bool
) -> Objects:
    """Leave out cells, and what of others no section shows."""
    face = cells.face(0.0)
    kept = rng.random(cells.n_cells) < 0.08 + 0.92 * crowded
    if not filled and rng.random() < 0.4:
        # Alone here and in crowds there.
        where = _field(rng, face.cell.shape, 3 * diameter)
        middles = _middle_values(face.cell, where, cells.n_cells)
        kept &= middles > rng.uniform(-0.5, 1.0)
    loose = rng.uniform(0, 0.15) * diameter * (rng.random() < 0.4)
    depth = face.border_nm - loose
    if not filled:
        depth = np.minimum(depth, face.inside_nm)
    there = kept[face.cell] & (depth > 0)
    ids = np.where(there, face.cell + 1, 0)
    ids = _without_specks(ids, diameter)
    outside = np.full(ids.shape, FAR_NM)
    if ids.any():
        outside = distance_transform_edt(ids == 0)
    return Objects(ids, np.where(ids > 0, depth, 0.0), outside)


def _middle_values(cell: npt.NDArray[np.intp], values: Floats, n: int) -> Floats:
    total = np.bincount(cell.ravel(), values.ravel(), n)
    mean: Floats = total / np.maximum(np.bincount(cell.ravel(), minlength=n), 1)
    return mean


def _without_specks(ids: npt.NDArray[np.intp], diameter: float) -> npt.NDArray[np.intp]:
    """Renumber connected parts, without the smallest."""
    parts: npt.NDArray[np.intp] = label(ids, connectivity=1)  # type: ignore[no-untyped-call]
    large: npt.NDArray[np.bool_] = np.bincount(parts.ravel()) >= max(
        6.0, _SPECK * np.pi / 4 * diameter**2
    )
    large[0] = False
    numbered: npt.NDArray[np.intp] = np.where(large, np.cumsum(large), 0)[parts]
    return numbered


def _field(rng: np.random.Generator, shape: tuple[int, ...], wave_px: float) -> Floats:
    return SmoothField(rng, (1, shape[0], shape[1]), max(wave_px, 1.5), 1).plane(0)


def _texture(
    rng: np.random.Generator, shape: tuple[int, int], diameter: float, strength: float
) -> Floats:
    texture = np.zeros(shape)
    for divisor in (3, 7, 16):
        texture += strength * rng.uniform(0.2, 1) * _field(rng, shape, diameter / divisor)
    return texture


def _inside(objects: Objects, diameter: float, flatness: float) -> Floats:
    """Return the thickness of objects: discs, or rather domes."""
    t = np.clip(objects.depth_px / (0.5 * diameter), 0, 1)
    thickness: Floats = (1 - flatness) + flatness * np.sqrt(t)
    return thickness


def _optical_path(
    rng: np.random.Generator, objects: Objects, shape: tuple[int, int], diameter: float
) -> Floats:
    """Return what light is delayed by."""
    path = np.sqrt(np.clip(objects.depth_px / (0.5 * diameter), 0, 1)) * rng.uniform(0.3, 1.2)
    path *= np.exp(0.3 * rng.standard_normal(objects.n))[objects.ids]
    texture = _texture(rng, shape, diameter, rng.uniform(0.05, 0.35))
    path += texture * (objects.ids > 0) * smoothstep(objects.depth_px, 0, 0.1 * diameter)
    core = smoothstep(objects.depth_px / diameter, 0.2, 0.26)
    path += seldom(rng, 0.6) * rng.uniform(-0.3, 0.3) * core
    n = int(rng.poisson(objects.ids.size / diameter**2 * rng.uniform(0, 8)))
    at = rng.random((n, 2)) * shape
    stamp_rings(path, at, np.zeros(n), max(0.8, diameter / 30), rng.uniform(-0.3, 0.5, n))
    return path


def _seen(
    rng: np.random.Generator,
    light: Floats,
    objects: Objects,
    diameter: float,
    name: str = "cell",
) -> Example:
    """Blur, add what is out of focus and a background, count photons."""
    shape = light.shape
    known = np.ones(shape, bool)
    light = np.maximum(light, 0)
    if rng.random() < 0.25:
        far = rng.random(objects.n) < rng.uniform(0.05, 0.3)
        blurred = far[objects.ids] & (objects.ids > 0)
        away = gaussian_filter(light * blurred, rng.uniform(0.1, 0.25) * diameter)
        light = light * ~blurred + rng.uniform(0.3, 1) * away
        known &= ~blurred
    light = gaussian_filter(light, rng.uniform(0.3, 0.06 * diameter + 0.8), truncate=3)
    haze = gaussian_filter(light, rng.uniform(0.3, 1.2) * diameter, truncate=3)
    light = light + seldom(rng, 0.6) * rng.uniform(0, 0.5) * haze
    background = log_uniform(rng, 0.005, 0.6) * (rng.random() < 0.7)
    light = light + background * np.maximum(0.1, 1 + 0.5 * _field(rng, shape, max(shape) / 3))
    if rng.random() < 0.25:
        light = light + _debris(rng, shape, diameter)
    photons = log_uniform(rng, 8, 2000) * np.maximum(light, 0) / (np.quantile(light, 0.99) + 1e-6)
    counted = photons + np.sqrt(photons) * rng.standard_normal(shape)
    counted = counted + log_uniform(rng, 0.3, 6) * rng.standard_normal(shape)
    pixels = _digitised(rng, counted, log_uniform(rng, 0.5, 1.3))
    return _example(name, pixels, objects, known)


def _transmitted(
    rng: np.random.Generator, image: Floats, objects: Objects, diameter: float
) -> Example:
    """Add uneven light, dust, blur and noise to an image in transmitted light."""
    shape = image.shape
    image = gaussian_filter(image, rng.uniform(0.2, 1.2), truncate=3)
    image = image / (image.std() + 1e-6)
    image += rng.uniform(0, 0.8) * _field(rng, shape, max(shape) / 2)
    image += rng.uniform(0, 0.3) * _field(rng, shape, rng.uniform(2, 8))
    if rng.random() < 0.4:
        n = int(rng.integers(1, 12))
        at = rng.random((n, 2)) * shape
        stamp_rings(image, at, rng.uniform(0, 5, n), rng.uniform(0.8, 2), rng.uniform(-2, 2, n))
    image += log_uniform(rng, 0.02, 0.4) * rng.standard_normal(shape)
    return _example("cell", _digitised(rng, image, 1.0), objects, np.ones(shape, bool))


def _debris(rng: np.random.Generator, shape: tuple[int, int], diameter: float) -> Floats:
    """Return the light of bright specks and fibres, which are no objects."""
    light = np.zeros(shape)
    n = int(rng.integers(1, 15))
    at = rng.random((n, 2)) * shape
    stamp_rings(
        light, at, np.zeros(n), rng.uniform(0.7, 0.1 * diameter + 1), rng.uniform(0.3, 4, n)
    )
    return light


def _digitised(rng: np.random.Generator, light: Floats, gamma: float) -> npt.NDArray[np.uint8]:
    low, high = np.quantile(light, [rng.uniform(0, 0.01), 1 - rng.uniform(0, 0.003)])
    grey = np.clip((light - low) / max(high - low, 1e-6), 0, 1) ** gamma
    dark, bright = rng.uniform(0, 30), log_uniform(rng, 60, 255)
    pixels: npt.NDArray[np.uint8] = np.clip(np.round(dark + (bright - dark) * grey), 0, 255).astype(
        np.uint8
    )
    return pixels


def _example(
    name: str,
    pixels: npt.NDArray[np.uint8],
    objects: Objects,
    known: npt.NDArray[np.bool_],
) -> Example:
    codes = np.where(objects.ids > 0, BACKGROUND + 1, BACKGROUND) * known
    return Example(
        pixels[None],
        {name: codes.astype(np.uint8)[None]},
        {name: objects.ids.astype(np.uint32)[None]},
    )
