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
    now; on a CPU with oneDNN the rectification does too. The answers are those of `network` within
    float tolerance.
    """
    ready = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(ready.modules()):
        if isinstance(module, nn.Sequential):
            _merge_layers(module, rectify=_has_onednn(device))
    return place_network(ready, device).to(_DTYPES[device.precision])


def place_tile(pixels: Tensor, device: Device) -> Tensor:
    """Move a batch (B, C, …) to where and how a network from `for_inference` wants it."""
    placed = pixels.to(device.name, _DTYPES[device.precision])
    return placed.contiguous(memory_format=layout(device, pixels.ndim))


class RectifiedConvolution(nn.Module):
    """A convolution that sets what is below 0 to 0 before it writes its output.

    It saves a pass over the map, with the kernel that torch's own compiler calls. In float32
    without bfloat16 units no difference could be measured; the faster the convolutions are, the
    more such passes weigh.
    """

    def __init__(self, convolution: nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self._settings = (
            convolution.padding,
            convolution.stride,
            convolution.dilation,
            convolution.groups,
        )

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution and ``relu`` after it."""
        rectified: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001
            x, self.weight, self.bias, *self._settings, "relu", [], ""
        )
        return rectified


def _merge_layers(block: nn.Sequential, *, rectify: bool) -> None:
    layers: list[nn.Module] = []
    for layer in block:
        last: Any = layers[-1] if layers else None
        if isinstance(layer, _BATCH_NORMS) and isinstance(last, _CONVOLUTIONS):
            layers[-1] = fuse_conv_bn_eval(last, layer)
        elif isinstance(layer, nn.ReLU) and isinstance(last, _CONVOLUTIONS) and rectify:
            layers[-1] = RectifiedConvolution(last)
        else:
            layers.append(layer)
    del block[:]
    block.extend(layers)


def _has_onednn(device: Device) -> bool:
    # torch's annotations leave this function out.
    return device.kind == "cpu" and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
