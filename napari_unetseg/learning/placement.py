"""Putting networks and pixels where a `Device` wants them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from napari_unetseg.networks import Network

from .device import Device, choose_device

N = TypeVar("N", bound=Network)

__all__ = [
    "AT_REST",
    "Device",
    "autocast",
    "choose_device",
    "place_image",
    "place_network",
    "seeded",
    "suited",
]

#: Where the network of a `Model` is kept.
AT_REST = Device("cpu", "float32", channels_last=False, reason="")


def place_network(network: N, device: Device) -> N:
    """Move a network to the device, in its memory layout."""
    network.to(device.name)
    # torch's annotations know no memory format for modules.
    network.to(memory_format=layout(device, 2 + network.spatial_dims))  # type: ignore[call-overload]
    return network


def suited(device: Device, network: Network) -> Device:
    """Return the device in the precision in which it computes a network best.

    Volumes are computed in float32 on every CPU. Where one has units for bfloat16, and so is used
    in it, torch's convolutions of volumes were not measured; where one has none, they were fourteen
    times slower than in float32.
    """
    if network.spatial_dims == 3 and device.kind == "cpu":
        return replace(device, precision="float32")
    return device


def place_image(image: Tensor, device: Device) -> Tensor:
    """Move a batch (B, C, Y, X) or (B, C, Z, Y, X) to the device, in its memory layout."""
    return image.to(device.name).contiguous(memory_format=layout(device, image.ndim))


def layout(device: Device, n_axes: int) -> torch.memory_format:
    """Return the memory layout of batches with that many axes."""
    if not device.channels_last:
        return torch.contiguous_format
    return torch.channels_last if n_axes == 4 else torch.channels_last_3d


def autocast(device: Device) -> AbstractContextManager[Any]:
    """Compute in the device's precision within this context."""
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(device.precision)
    return torch.autocast(device.kind, dtype or torch.bfloat16, enabled=dtype is not None)


@contextmanager
def seeded(device: Device, seed: int) -> Iterator[None]:
    """Draw torch's global random numbers from `seed` within this context, and not from after it.

    Dropout and the layers' own initialisation know no other source.
    """
    cards = [torch.device(device.name)] if device.kind == "cuda" else []
    with torch.random.fork_rng(devices=cards):
        torch.manual_seed(seed)
        yield
