"""How large a tile may be: as large as memory allows.

The larger a tile, the less of it is halo. Caches ask for no less: a pixel took 1.41 µs in a tile
of 288 px, 1.40 in one of 528 and 1.30 in one of 1056 (16 filters, float32, one core).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_unetseg.networks import Network

from .device import Device
from .inference import place_tile
from .memory import counted_px, free_bytes

#: Most of the free memory that a tile may be expected to take: others need some too.
MOST_OF_FREE = 0.5


def largest_tile(
    network: Network, n_channels: int, shape: Sequence[int], device: Device, free: int | None = None
) -> tuple[int, ...]:
    """Return the size of the largest part of an image that can be kept of one tile.

    Parameters
    ----------
    network : Network
        From `for_inference`.
    n_channels : int
        Of the network's input.
    shape : sequence of int
        Of the image in px, spatial axes alone.
    device : Device
    free : int, optional
        Bytes; what is free on the device by default.
    """
    available = MOST_OF_FREE * (free_bytes(device) if free is None else free)
    most_px = available / bytes_per_px(network, n_channels, device)
    kept: tuple[int, ...] | None = tuple(shape)
    while kept is not None:
        largest = kept
        if math.prod(k + 2 * h for k, h in zip(kept, network.halo_px, strict=True)) <= most_px:
            break
        kept = halved(kept, network)
    return largest


def halved(kept: Sequence[int], network: Network) -> tuple[int, ...] | None:
    """Halve a tile along the axis where that costs least halo; None where nothing can be halved."""
    sizes = [
        (size / (halo + 1), axis)
        for axis, (size, halo, multiple) in enumerate(
            zip(kept, network.halo_px, network.multiple_px, strict=True)
        )
        if size > multiple
    ]
    if not sizes:
        return None
    _, longest = max(sizes)
    return tuple(-(-size // 2) if axis == longest else size for axis, size in enumerate(kept))


def bytes_per_px(network: Network, n_channels: int, device: Device) -> float:
    """Estimate the memory of a tile for each of its pixels: the sum of all maps.

    What is alive at a time is about half of that; the rest is for what convolutions rearrange.
    """
    n_bytes = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal n_bytes
        if output.data_ptr() != inputs[0].data_ptr():  # not in place
            n_bytes += output.numel() * output.element_size()

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(count) for leaf in leaves]
    size = counted_px(network)
    try:
        with torch.inference_mode():
            network(place_tile(torch.zeros(1, n_channels, *size), device))
    finally:
        for hook in hooks:
            hook.remove()
    return n_bytes / math.prod(n + 2 * network.mirrored_px for n in size)
