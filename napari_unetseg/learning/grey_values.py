"""Random changes of grey values of a batch, drawn anew for each patch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_unetseg.config import AugmentationConfig


def change_grey_values(
    pixels: Tensor, config: AugmentationConfig, generator: torch.Generator
) -> Tensor:
    """Blur, gamma, contrast, brightness and noise, drawn anew for each patch.

    Parameters
    ----------
    pixels : Tensor, shape (B, C, Y, X) or (B, C, Z, Y, X), float32 near [0, 1]
    """
    each = (pixels.shape[0], *(1,) * (pixels.ndim - 1))

    def uniform(low: float, high: float) -> Tensor:
        drawn = torch.rand(each, generator=generator) * (high - low) + low
        return drawn.to(pixels.device)

    if config.blur_px:
        pixels = blur(pixels, uniform(0, 1).flatten() * config.blur_px)
    if config.gamma:
        exponent = torch.exp(uniform(-1, 1) * math.log1p(config.gamma))
        pixels = torch.where(pixels > 0, pixels.clamp(min=1e-6) ** exponent, pixels)
    middle = pixels.mean(dim=tuple(range(1, pixels.ndim)), keepdim=True)
    contrast = 1 + uniform(-1, 1) * config.contrast
    pixels = (pixels - middle) * contrast + middle + uniform(-1, 1) * config.brightness
    if config.noise:
        strength = uniform(0, 1) * config.noise
        noise = torch.randn(pixels.shape, generator=generator).to(pixels.device)
        pixels = pixels + noise * strength
    return pixels


def blur(pixels: Tensor, sigma: Tensor) -> Tensor:
    """Convolve each patch, section by section, with a Gaussian of its own standard deviation.

    Parameters
    ----------
    pixels : Tensor, shape (B, C, Y, X) or (B, C, Z, Y, X)
    sigma : Tensor, shape (B,)
        In px; below about 0.2 px nothing changes.
    """
    flat = pixels.reshape(1, -1, *pixels.shape[-2:])
    n_maps = flat.shape[1]
    radius = max(1, math.ceil(2.5 * float(sigma.max())))
    distance = torch.arange(-radius, radius + 1, device=pixels.device)
    kernel = torch.exp(-0.5 * (distance / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    kernel = kernel.repeat_interleave(n_maps // len(sigma), dim=0)
    flat = F.pad(flat, (radius,) * 4, mode="reflect")
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=n_maps)
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=n_maps)
    return flat.reshape(pixels.shape)


def blank_a_section(
    pixels: Tensor, n_sections: int, share: float, generator: torch.Generator
) -> Tensor:
    """Make one section grey in some patches, as where a section was lost or is unreadable.

    Parameters
    ----------
    pixels : Tensor, shape (B, n_sections · C, Y, X) or (B, C, n_sections, Y, X)
        With sections among the channels the middle one, whose pixels are asked for, stays.
    share : float
        Of the patches that lack a section.

    References
    ----------
    K. Lee et al., "Superhuman Accuracy on the SNEMI3D Connectomics Challenge", 2017,
    arXiv:1706.00120, which simulates missing sections.
    """
    batch, volumes = len(pixels), pixels.ndim == 5
    chosen = torch.rand(batch, generator=generator) < share
    section = torch.randint(n_sections - (not volumes), (batch,), generator=generator)
    if not volumes:
        section += section >= n_sections // 2
    blank = (torch.arange(n_sections) == section[:, None]) & chosen[:, None]
    if volumes:
        mask = blank[:, None, :, None, None]
    else:
        mask = blank.repeat_interleave(pixels.shape[1] // n_sections, dim=1)[:, :, None, None]
    grey = pixels.mean(dim=tuple(range(1, pixels.ndim)), keepdim=True)
    return torch.where(mask.to(pixels.device), grey, pixels)
