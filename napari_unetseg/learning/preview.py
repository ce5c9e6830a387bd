"""The small picture in a model folder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from napari_unetseg.config import LabelClass
from napari_unetseg.networks import Network
from napari_unetseg.networks.padding import mirrored

from .data import LabelledRegion
from .placement import Device, autocast, place_image
from .scoring import block_and_context

#: Longest side of the part of a slice that is shown, by the dimensions of the network.
PREVIEW_PX = {2: 384, 3: 128}

#: Share of a class's colour in its pixels.
OPACITY = 0.45


def draw_preview(
    network: Network, classes: Sequence[LabelClass], region: LabelledRegion, device: Device
) -> npt.NDArray[np.uint8]:
    """Draw a part of an annotated slice, and beside it the same as it is segmented.

    Parameters
    ----------
    network : Network
        On the device, in evaluation mode.
    classes : sequence of LabelClass
        Of its output channels, which come first, after background.
    region : LabelledRegion
    device : Device

    Returns
    -------
    ndarray, shape (Y, 2 · X, 3), uint8
    """
    pixels, codes = _segmented_slice(network, len(classes) + 1, region, device)
    return _beside_each_other(pixels, codes, classes)


def _segmented_slice(
    network: Network, n_classes: int, region: LabelledRegion, device: Device
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return pixels, (C, Y, X) float32, and codes, (Y, X), of a part of an annotated slice."""
    _, context = block_and_context(network, [region])
    corner = [0] * network.spatial_dims
    size = [min(n, PREVIEW_PX[network.spatial_dims]) for n in region.targets.shape]
    if network.spatial_dims == 3:
        painted = (region.targets > 0) | (region.held_out > 0)
        corner[0], size[0] = int(painted.flatten(1).sum(1).argmax()), 1
    along = list(zip(corner, size, context, strict=True))
    start = [at - around for at, _, around in along]
    stop = [at + n + around for at, n, around in along]
    pixels = mirrored(region.pixels, start, stop)[None].float()
    with torch.inference_mode(), autocast(device):
        logits = network(place_image(pixels, device))[0, :n_classes].cpu()
    where = (slice(None), *(slice(around, around + n) for _, n, around in along))
    n_channels = pixels.shape[1] // (2 * network.neighbours + 1)
    middle = slice(network.neighbours * n_channels, (network.neighbours + 1) * n_channels)
    shape = (-1, *size[-2:])
    codes = logits[where].argmax(dim=0).reshape(size[-2:]) + 1
    return pixels[0, middle][where].reshape(shape).numpy(), codes.numpy().astype(np.uint8)


def _beside_each_other(
    pixels: npt.NDArray[np.float32],
    codes: npt.NDArray[np.uint8],
    classes: Sequence[LabelClass],
) -> npt.NDArray[np.uint8]:
    nothing = np.zeros_like(codes)
    return np.concatenate([coloured(pixels, c, classes) for c in (nothing, codes)], axis=1)


def coloured(
    pixels: npt.NDArray[np.float32],
    codes: npt.NDArray[np.uint8],
    classes: Sequence[LabelClass],
) -> npt.NDArray[np.uint8]:
    """Draw a slice with its classes in their colours.

    Parameters
    ----------
    pixels : ndarray, shape (C, Y, X), float32
        Of about 0 to 1. Up to three channels are red, green and blue, a single one is grey.
    codes : ndarray, shape (Y, X), uint8
        Background and what is unlabelled are left as they are.
    classes : sequence of LabelClass

    Returns
    -------
    ndarray, shape (Y, X, 3), uint8
    """
    channels = pixels[:3] if len(pixels) > 1 else pixels.repeat(3, axis=0)
    image = np.zeros((*codes.shape, 3), np.float32)
    image[..., : len(channels)] = np.moveaxis(channels, 0, -1).clip(0, 1)
    for k, label_class in enumerate(classes, start=1):
        colour = np.frombuffer(bytes.fromhex(label_class.color[1:]), np.uint8) / 255
        where = codes == k + 1
        image[where] = (1 - OPACITY) * image[where] + OPACITY * colour.astype(np.float32)
    return (image * 255).round().astype(np.uint8)
