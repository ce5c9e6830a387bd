"""Random changes of a batch: one resampling for the geometry, then grey values.

What is drawn comes from a generator of the CPU, so that a seed means the same on every device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_unetseg.config import AugmentationConfig
from napari_unetseg.networks.geometry import THICK

from .grey_values import blank_a_section, change_grey_values


@dataclass(frozen=True, slots=True)
class Patch:
    """What is cut out of images.

    Attributes
    ----------
    shape : tuple of int
        (Y, X), a square, or (Z, Y, X), in px.
    anisotropy : float
        Size of a voxel along Z ÷ along X.
    neighbours : int
        Sections on each side that stand among the channels of a slice.
    """

    shape: tuple[int, ...]
    anisotropy: float = 1.0
    neighbours: int = 0

    @property
    def in_plane(self) -> bool:
        """Whether only Y and X are turned and bent: sections are thick, or there is only one."""
        return len(self.shape) == 2 or self.anisotropy >= THICK

    @property
    def voxel(self) -> tuple[float, float, float]:
        """Size along Z, Y and X, in units of a pixel's width."""
        return self.anisotropy, 1.0, 1.0

    @property
    def n_sections(self) -> int:
        """Sections that are seen."""
        return self.shape[0] if len(self.shape) == 3 else 2 * self.neighbours + 1


def crop_px(patch: Patch, config: AugmentationConfig) -> tuple[int, ...]:
    """Return the size of the crop from which a patch can be rotated, scaled and bent."""
    bent = 6 * config.elastic * patch.shape[-1]  # three standard deviations on each side
    size = patch.voxel[-len(patch.shape) :]
    extents = [n * width for n, width in zip(patch.shape, size, strict=True)]
    if patch.in_plane:
        rotation = math.radians(min(config.rotation_deg, 45.0))
        turned = [n * (math.cos(rotation) + math.sin(rotation)) for n in extents]
    else:
        turned = [math.hypot(*extents)] * 3 if config.rotation_deg else extents
    larger = [n * (1 + config.scale) + bent for n in turned]
    crop = [math.ceil(n / width / 2) * 2 for n, width in zip(larger, size, strict=True)]
    # What is bent further is mirrored. Thick sections stay what they are.
    return (*patch.shape[:-2], *crop[-2:]) if patch.in_plane else tuple(crop)


def sampling_grid(
    batch: int,
    patch: Patch,
    crop: tuple[int, ...],
    config: AugmentationConfig,
    generator: torch.Generator,
) -> Tensor:
    """Draw where each pixel of each patch comes from in its crop.

    Flip, rotation and scaling about the middle, then random displacements on a coarse grid with
    standard deviation ``elastic`` times the side of a patch, interpolated bicubically within a
    plane and trilinearly in a volume. A volume of thin sections is turned about all three axes;
    thick ones are turned and bent in Y and X alone, all sections alike.

    Returns
    -------
    Tensor, shape (batch, Y', X', 2) or (batch, Z', Y', X', 3), float32
        (x, y) or (x, y, z) as `torch.nn.functional.grid_sample` takes it with
        ``align_corners=False``.
    """
    shape = patch.shape[-2:] if patch.in_plane else patch.shape
    side, n_axes, n = patch.shape[-1], len(shape), config.elastic_grid
    matrix = _affine(batch, n_axes, config, generator)
    size = torch.tensor(patch.voxel[::-1][:n_axes])  # x first
    where = torch.zeros(batch, *(1,) * n_axes, n_axes)
    for axis, length in enumerate(shape):
        column = n_axes - 1 - axis
        offsets = (torch.arange(length) - (length - 1) / 2) * size[column]
        moved = offsets[:, None] * matrix[:, None, :, column]
        where = where + moved.reshape(
            batch, *(-1 if a == axis else 1 for a in range(n_axes)), n_axes
        )
    if config.elastic:
        coarse = torch.randn(batch, n_axes, *(n,) * n_axes, generator=generator)
        coarse = coarse * config.elastic * side
        if n_axes == 2:
            rows, columns = (_cubic(n, length) for length in shape)
            smooth = rows @ coarse @ columns.T
        else:
            smooth = F.interpolate(coarse, size=shape, mode="trilinear")
        where = where + smooth.movedim(1, -1)
    if n_axes == 2:
        # Squares need one number, and that multiplies faster than one for each axis.
        return where * (2 / crop[-1])
    return where / size * (2 / torch.tensor(crop[::-1]))


@lru_cache(maxsize=8)
def _cubic(n: int, length: int) -> Tensor:
    """Return the weights by which `length` values are interpolated bicubically between `n`.

    Two products with them are ten times as fast as `torch.nn.functional.interpolate`.

    Returns
    -------
    Tensor, shape (length, n), float32
    """
    each = torch.eye(n)[None, :, :, None]
    return F.interpolate(each, size=(length, 1), mode="bicubic")[0, :, :, 0].T


def _affine(
    batch: int, n_axes: int, config: AugmentationConfig, generator: torch.Generator
) -> Tensor:
    """Draw flips along X, rotations and scalings; return shape (batch, n_axes, n_axes), x first."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(batch, generator=generator) * (high - low) + low

    angle = uniform(-1, 1) * math.radians(config.rotation_deg)
    # As many patches larger as smaller.
    scale = torch.exp(uniform(-1, 1) * math.log1p(config.scale))
    flip = torch.sign(uniform(-1, 1) if config.flip else torch.ones(batch))
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack([torch.stack([cos * flip, -sin], 1), torch.stack([sin * flip, cos], 1)], 1)
    if n_axes == 2:
        return matrix
    whole = torch.zeros(batch, 3, 3)
    whole[:, :2, :2], whole[:, 2, 2] = matrix, scale
    for axes in ((0, 2), (1, 2)):
        angle = uniform(-1, 1) * math.radians(config.rotation_deg)
        turn = torch.eye(3).repeat(batch, 1, 1)
        for row, column, value in (
            (0, 0, torch.cos(angle)),
            (0, 1, -torch.sin(angle)),
            (1, 0, torch.sin(angle)),
            (1, 1, torch.cos(angle)),
        ):
            turn[:, axes[row], axes[column]] = value
        whole = whole @ turn
    return whole


def resample(
    pixels: Tensor, codes: Tensor, grid: Tensor, maps: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Read pixels and maps (linearly) and codes (nearest) at the same places.

    Beyond the crop everything is mirrored.

    Parameters
    ----------
    pixels : Tensor, shape (B, C, Y, X) or (B, C, Z, Y, X), float32
    codes : Tensor, shape (B, Y, X) or (B, Z, Y, X), uint8
    grid : Tensor, shape (B, Y', X', 2) or (B, Z', Y', X', 3)
        With (x, y) alone, every section of a volume is read at the same places.
    maps : dict of str to Tensor, of the shape of `codes`, float32

    Returns
    -------
    pixels : Tensor, shape (B, C, Y', X') or (B, C, Z', Y', X'), float32
    codes : Tensor, shape (B, Y', X') or (B, Z', Y', X'), uint8
    maps : dict of str to Tensor, of the shape of `codes`, float32
    """
    read = _read(pixels, grid, "bilinear")
    labels = _read(codes[:, None].float(), grid, "nearest")[:, 0].to(torch.uint8)
    moved = {name: _read(m[:, None], grid, "bilinear")[:, 0] for name, m in maps.items()}
    return read, labels, moved


def _read(image: Tensor, grid: Tensor, mode: str) -> Tensor:
    axes = grid.shape[-1]
    sections = image.shape[2:-axes]
    read = F.grid_sample(
        # Sections that are read alike are channels.
        image.flatten(1, 1 + len(sections)),
        grid,
        mode,
        "reflection",
        align_corners=False,
    )
    return read.reshape(len(read), -1, *sections, *read.shape[2:])


def augment(
    pixels: Tensor,
    codes: Tensor,
    patch: Patch,
    config: AugmentationConfig,
    generator: torch.Generator,
    maps: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Turn a batch of crops into a batch of patches.

    Parameters
    ----------
    pixels : Tensor, shape (B, C, *crop), float32
        On the device on which the patches are wanted.
    codes : Tensor, shape (B, *crop), uint8
    patch : Patch
        No larger than the crop.
    generator : Generator
    maps : dict of str to Tensor, shape (B, *crop), float32, optional
        As `data.PixelMaps` has them; they move with the pixels.

    Returns
    -------
    pixels : Tensor, shape (B, C, *patch.shape), float32
    codes : Tensor, shape (B, *patch.shape), uint8
    maps : dict of str to Tensor, shape (B, *patch.shape), float32
    """
    crop = tuple(codes.shape[1:])
    grid = sampling_grid(pixels.shape[0], patch, crop, config, generator)
    pixels, codes, moved = resample(pixels, codes, grid.to(pixels.device), maps or {})
    if config.flip and patch.in_plane and patch.n_sections > 1:
        pixels, codes, moved = _turned_over(pixels, codes, moved, patch, generator)
    if config.section_dropout and patch.n_sections > 1:
        pixels = blank_a_section(pixels, patch.n_sections, config.section_dropout, generator)
    return change_grey_values(pixels, config, generator), codes, moved


def _turned_over(
    pixels: Tensor,
    codes: Tensor,
    maps: dict[str, Tensor],
    patch: Patch,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Reverse the order of the sections of every other patch."""
    turn = (torch.rand(len(pixels), generator=generator) < 0.5).to(pixels.device)
    if pixels.ndim == 5:
        turned = pixels.flip(2)
    else:
        sections = pixels.reshape(len(pixels), patch.n_sections, -1, *pixels.shape[2:])
        turned = sections.flip(1).reshape(pixels.shape)
    pixels = torch.where(turn.view(-1, *(1,) * (pixels.ndim - 1)), turned, pixels)
    if codes.ndim == 4:
        here = turn.view(-1, 1, 1, 1)
        codes = torch.where(here, codes.flip(1), codes)
        maps = {name: torch.where(here, m.flip(1), m) for name, m in maps.items()}
    return pixels, codes, maps
