"""Random changes of a batch: one resampling for the geometry, then grey values."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_unetseg.config import AugmentationConfig


def crop_px(patch_px: int, config: AugmentationConfig) -> int:
    """Return the side of the crop from which a patch can be rotated, scaled and bent."""
    rotation = math.radians(min(config.rotation_deg, 45.0))
    turned = math.cos(rotation) + math.sin(rotation)
    # Three standard deviations on each side; what is bent further is mirrored.
    side = patch_px * turned * (1 + config.scale) + 6 * config.elastic * patch_px
    return math.ceil(side / 2) * 2


def sampling_grid(
    batch: int, patch_px: int, crop: int, config: AugmentationConfig, generator: torch.Generator
) -> Tensor:
    """Draw where each pixel of each patch comes from in its crop.

    Flip, rotation and scaling about the middle, then random displacements on a coarse grid with
    standard deviation ``elastic · patch_px``, interpolated bicubically.

    Returns
    -------
    Tensor, shape (batch, patch_px, patch_px, 2), float32
        (x, y) as `torch.nn.functional.grid_sample` takes it with ``align_corners=False``.
    """

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(batch, generator=generator) * (high - low) + low

    angle = uniform(-1, 1) * math.radians(config.rotation_deg)
    # As many patches larger as smaller.
    scale = torch.exp(uniform(-1, 1) * math.log1p(config.scale))
    flip = torch.sign(uniform(-1, 1) if config.flip else torch.ones(batch))
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack([torch.stack([cos * flip, -sin], 1), torch.stack([sin * flip, cos], 1)], 1)
    line = torch.arange(patch_px) - (patch_px - 1) / 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    offsets = torch.stack([x, y], dim=-1).reshape(1, -1, 2)
    where = (offsets @ matrix.transpose(1, 2)).reshape(batch, patch_px, patch_px, 2)
    if config.elastic:
        n = config.elastic_grid
        coarse = torch.randn(batch, 2, n, n, generator=generator) * config.elastic * patch_px
        smooth = F.interpolate(coarse, size=(patch_px, patch_px), mode="bicubic")
        where = where + smooth.permute(0, 2, 3, 1)
    return where * (2 / crop)


def resample(pixels: Tensor, codes: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Read pixels (bilinear) and codes (nearest) at the same places, mirrored beyond the crop.

    Parameters
    ----------
    pixels : Tensor, shape (B, C, Y, X), float32
    codes : Tensor, shape (B, Y, X), uint8
    grid : Tensor, shape (B, Y', X', 2)

    Returns
    -------
    pixels : Tensor, shape (B, C, Y', X'), float32
    codes : Tensor, shape (B, Y', X'), uint8
    """
    read = F.grid_sample(pixels, grid, "bilinear", "reflection", align_corners=False)
    labels = F.grid_sample(
        codes[:, None].float(), grid, "nearest", "reflection", align_corners=False
    )
    return read, labels[:, 0].to(torch.uint8)


def change_grey_values(
    pixels: Tensor, config: AugmentationConfig, generator: torch.Generator
) -> Tensor:
    """Blur, gamma, contrast, brightness and noise, drawn anew for each patch.

    Parameters
    ----------
    pixels : Tensor, shape (B, C, Y, X), float32 near [0, 1]
    """
    batch = pixels.shape[0]

    def uniform(low: float, high: float) -> Tensor:
        drawn = torch.rand(batch, 1, 1, 1, generator=generator) * (high - low) + low
        return drawn.to(pixels.device)

    if config.blur_px:
        pixels = blur(pixels, uniform(0, 1).flatten() * config.blur_px)
    if config.gamma:
        exponent = torch.exp(uniform(-1, 1) * math.log1p(config.gamma))
        pixels = torch.where(pixels > 0, pixels.clamp(min=1e-6) ** exponent, pixels)
    middle = pixels.mean(dim=(1, 2, 3), keepdim=True)
    contrast = 1 + uniform(-1, 1) * config.contrast
    pixels = (pixels - middle) * contrast + middle + uniform(-1, 1) * config.brightness
    if config.noise:
        strength = uniform(0, 1) * config.noise
        noise = torch.randn(pixels.shape, generator=generator).to(pixels.device)
        pixels = pixels + noise * strength
    return pixels


def blur(pixels: Tensor, sigma: Tensor) -> Tensor:
    """Convolve each patch with a Gaussian of its own standard deviation.

    Parameters
    ----------
    pixels : Tensor, shape (B, C, Y, X)
    sigma : Tensor, shape (B,)
        In px; below about 0.2 px nothing changes.
    """
    batch, channels, height, width = pixels.shape
    radius = max(1, math.ceil(2.5 * float(sigma.max())))
    distance = torch.arange(-radius, radius + 1, device=pixels.device)
    kernel = torch.exp(-0.5 * (distance / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, dim=0)
    flat = pixels.reshape(1, batch * channels, height, width)
    flat = F.pad(flat, (radius,) * 4, mode="reflect")
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=batch * channels)
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=batch * channels)
    return flat.reshape(pixels.shape)


def augment(
    pixels: Tensor,
    codes: Tensor,
    patch_px: int,
    config: AugmentationConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Turn a batch of crops into a batch of patches.

    Parameters
    ----------
    pixels : Tensor, shape (B, C, crop, crop), float32
        On the device on which the patches are wanted.
    codes : Tensor, shape (B, crop, crop), uint8
    patch_px : int
        Side of a patch, at most ``crop``.
    generator : Generator
        Of the CPU, so that a seed means the same on every device.

    Returns
    -------
    pixels : Tensor, shape (B, C, patch_px, patch_px), float32
    codes : Tensor, shape (B, patch_px, patch_px), uint8
    """
    grid = sampling_grid(pixels.shape[0], patch_px, pixels.shape[-1], config, generator)
    pixels, codes = resample(pixels, codes, grid.to(pixels.device))
    return change_grey_values(pixels, config, generator), codes
