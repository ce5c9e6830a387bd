"""A copy of a network that predicts as fast as the device allows."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_unetseg.networks import Network

from .placement import Device, layout, place_network

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def for_inference(network: Network, device: Device) -> Network:
    """Return a copy on the device, in its precision, with fewer passes over the maps.

    Batch normalisation becomes part of the convolution before it, as its statistics are fixed by
    now. The answers are those of `network` within float tolerance.
    """
    ready = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(ready.modules()):
        if isinstance(module, nn.Sequential):
            _merge_layers(module)
    return place_network(ready, device).to(_DTYPES[device.precision])


def place_tile(pixels: Tensor, device: Device) -> Tensor:
    """Move a batch (B, C, …) to where and how a network from `for_inference` wants it."""
    placed = pixels.to(device.name, _DTYPES[device.precision])
    return placed.contiguous(memory_format=layout(device, pixels.ndim))


def _merge_layers(block: nn.Sequential) -> None:
    layers: list[nn.Module] = []
    for layer in block:
        last: Any = layers[-1] if layers else None
        if isinstance(layer, _BATCH_NORMS) and isinstance(last, _CONVOLUTIONS):
            layers[-1] = fuse_conv_bn_eval(last, layer)
        else:
            layers.append(layer)
    del block[:]
    block.extend(layers)
