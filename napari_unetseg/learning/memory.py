"""What a training step needs of memory, what there is, and what to do when it is not enough."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_unetseg.config import SMALLEST_PATCH_PX
from napari_unetseg.errors import UserError
from napari_unetseg.hardware import free_memory_bytes, is_out_of_memory
from napari_unetseg.networks import Network
from napari_unetseg.wording import counted

from .patches import Patches, n_pixels
from .placement import Device, autocast, place_image, seeded

#: Most of the free memory that a step may be expected to take: others need some too.
MOST_OF_FREE = 0.8

#: Copies of the weights: the network, its gradients, two of the optimiser, the average, and what
#: training could return to (network, average, optimiser, best).
COPIES_OF_WEIGHTS = 10

#: A step's peak in units of the maps kept for gradients: gradients of the largest maps and what
#: convolutions rearrange come on top. On the CPU, estimated and measured MiB of a step: 573 and 547
#: (16 filters, 4 × 256²), 544 and 430 (32, 4 × 128²), 1215 and 922 (64, 1 × 64²).
PEAK = 1.5

_LITTLE_MEMORY = (
    "Memory is short, so training goes on with {patches} of {side} px in each step instead of "
    "{wanted} of {wanted_side} px."
)
_NO_MEMORY = (
    "There is not enough memory for even the smallest training step; close other programs, or "
    "choose a network with fewer filters."
)


def fitting_patches(
    network: Network, n_channels: int, patches: Patches, device: Device, free: int | None = None
) -> Patches:
    """Return the largest patches, up to `patches`, whose training step fits into memory.

    Parameters
    ----------
    network : Network
        In training mode, frozen where it will be.
    n_channels : int
        Of the network's input.
    patches : Patches
        Wanted.
    device : Device
    free : int, optional
        Bytes; what is free on the device by default.
    """
    most = MOST_OF_FREE * (free_bytes(device) if free is None else free)
    need = step_memory(network, n_channels, device)
    while need.bytes(n_pixels(patches, network)) > most:
        fewer = smaller(patches, network)
        if fewer is None:
            break
        patches = fewer
    return patches


def smaller(patches: Patches, network: Network) -> Patches | None:
    """Halve the batch, or else the side of a patch; None where neither can be."""
    if patches.batch > 1:
        return replace(patches, batch=patches.batch // 2)
    multiple = network.multiple_px[-1]
    side = patches.patch_px // 2 // multiple * multiple
    # As in `fitting_shape`: one pixel at the bottom has no statistics.
    if side < max(SMALLEST_PATCH_PX, 2 * multiple):
        return None
    return replace(patches, patch_px=side)


def smaller_after(error: Exception, patches: Patches, network: Network) -> Patches:
    """Return smaller patches to go on with where a step ran out of memory, and free what it took.

    Raises
    ------
    Exception
        `error` itself, if it says something else.
    UserError
        If no patches are smaller.
    """
    if not is_out_of_memory(error):
        raise error
    fewer = smaller(patches, network)
    if fewer is None:
        raise UserError(_NO_MEMORY) from error
    network.zero_grad(set_to_none=True)
    # The traceback holds on to the maps of the step.
    error.with_traceback(None)
    if network.head.weight.is_cuda:
        torch.cuda.empty_cache()
    return fewer


def said_of_smaller(wanted: Patches, patches: Patches) -> str:
    """Tell a person that steps are smaller than they were to be."""
    return _LITTLE_MEMORY.format(
        patches=counted(patches.batch, "patch", "patches"),
        side=patches.patch_px,
        wanted=wanted.batch,
        wanted_side=wanted.patch_px,
    )


@dataclass(frozen=True, slots=True)
class StepMemory:
    """What a training step of a network needs, by the size of its batch.

    Attributes
    ----------
    fixed : int
        Bytes of the weights and of their copies.
    per_px : float
        Bytes for each pixel, or voxel, of each patch and of what the network mirrors around it.
    """

    fixed: int
    per_px: float

    def bytes(self, n_px: int) -> int:
        """Return what a step on so many pixels needs."""
        return self.fixed + int(self.per_px * n_px)


def step_memory(network: Network, n_channels: int, device: Device) -> StepMemory:
    """Count what a network keeps for its gradients, on the smallest patch it can learn from.

    Parameters
    ----------
    network : Network
        In training mode, on the device, frozen where it will be; not changed.
    """
    network = copy.deepcopy(network)
    weights = list(network.state_dict().values())
    kept: dict[int, int] = {}

    def count(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return saved

    size = counted_px(network)
    image = place_image(torch.zeros(1, n_channels, *size), device)
    keep = torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved)
    with keep, autocast(device), seeded(device, 0):
        logits = network(image)
    for weight in weights:
        kept.pop(weight.untyped_storage().data_ptr(), None)
    # Softmax, Dice and their gradients are computed in float32.
    loss = 4 * 4 * logits.numel()
    fixed = COPIES_OF_WEIGHTS * sum(weight.nbytes for weight in weights)
    n_px = math.prod(n + 2 * network.mirrored_px for n in size)
    return StepMemory(fixed, (PEAK * sum(kept.values()) + loss) / n_px)


def counted_px(network: Network) -> list[int]:
    """Return the size of the image on which the maps of a network are counted, per axis.

    It is the smallest that the network can learn from, and where that mirrors a border, as much
    more: without padding, maps are smaller from layer to layer, most of all those of small images.
    """
    border = 2 * network.mirrored_px
    return [2 * multiple + -(-border // multiple) * multiple for multiple in network.multiple_px]


def free_bytes(device: Device) -> int:
    """Return what can still be allocated on the device, in bytes."""
    if device.kind == "cuda":
        cached = torch.cuda.memory_reserved(device.name) - torch.cuda.memory_allocated(device.name)
        return int(torch.cuda.mem_get_info(device.name)[0]) + cached
    # Apple's graphics processor shares the memory of the machine.
    return free_memory_bytes()
