"""Scores on held-out annotations, cheap enough to be taken while training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_unetseg.annotations import BLOCK_PX
from napari_unetseg.config import BACKGROUND
from napari_unetseg.measure import ConfusionMatrix, scores
from napari_unetseg.networks import Network
from napari_unetseg.networks.padding import mirrored

from .data import LabelledRegion
from .placement import Device, autocast, place_image

#: Seen around each held-out block of a slice.
CONTEXT_PX = 32

#: Of a volume less is seen at once, and around it: what is forwarded grows with the third power.
VOLUME_CONTEXT_PX = 16
VOLUME_DEPTH_PX = 16

#: Blocks in one forward pass, by the dimensions of the network.
BATCH = {2: 8, 3: 1}

#: Blocks that a score looks at while training goes on, likewise: those of volumes hold more.
LIVE_BLOCKS = {2: 96, 3: 4}


def block_and_context(
    network: Network, regions: Sequence[LabelledRegion]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the size of a block and of what is seen around it on each side, per axis."""
    if network.spatial_dims == 2:
        return (BLOCK_PX,) * 2, context_px(network)
    deepest = max(len(region.targets) for region in regions)
    depth = min(math.ceil(VOLUME_DEPTH_PX / network.anisotropy), deepest)
    around, *within = context_px(network)
    return (depth, BLOCK_PX, BLOCK_PX), (min(around, deepest), *within)


def context_px(network: Network) -> tuple[int, ...]:
    """Return what is seen around a block on each side, per axis, where there is as much."""
    if network.spatial_dims == 2:
        return (CONTEXT_PX,) * 2
    around = math.ceil(VOLUME_CONTEXT_PX / network.anisotropy)
    return around, VOLUME_CONTEXT_PX, VOLUME_CONTEXT_PX


def mean_iou(iou: Mapping[str, float]) -> float:
    """Return the mean over classes, each counted once."""
    return sum(iou.values()) / len(iou)


class HeldOutScorer:
    """Predicts the held-out blocks and counts.

    Parameters
    ----------
    regions : sequence of LabelledRegion
    class_names : sequence of str
        ``"background"`` first, in the order of the first channels of the network.
    network : Network
        Any of those that will be scored: what it sees decides how blocks are cut.
    device : Device

    Attributes
    ----------
    n_px : int
        Held-out annotated pixels.
    n_blocks : int
    n_live : int
        Those that a score looks at while training goes on.
    has_all_classes : bool
        Whether background and every class are held out somewhere: without, a network that answers
        with what is there alone is best.
    """

    def __init__(
        self,
        regions: Sequence[LabelledRegion],
        class_names: Sequence[str],
        network: Network,
        device: Device,
    ) -> None:
        self._regions = regions
        self._names = class_names
        self._device = device
        self._block, self._context = block_and_context(network, regions)
        self._batch = BATCH[network.spatial_dims]
        counts = torch.zeros(256, dtype=torch.int64)
        # Of every block the number of its region and its corner.
        blocks = [np.zeros((0, 1 + len(self._block)), np.int32)]
        for index, region in enumerate(regions):
            counts += torch.bincount(region.held_out.flatten(), minlength=256)
            corners = self._corners_in(region.held_out)
            blocks.append(np.insert(corners, 0, index, axis=1).astype(np.int32))
        self._blocks = np.concatenate(blocks)
        self.n_blocks = len(self._blocks)
        self.n_live = min(self.n_blocks, LIVE_BLOCKS[network.spatial_dims])
        self.n_px = int(counts[BACKGROUND:].sum())
        self.has_all_classes = bool(counts[BACKGROUND : len(class_names) + 1].all())

    def _corners_in(self, held_out: Tensor) -> npt.NDArray[np.intp]:
        """List the blocks of a region in which anything is held out: shape (n, axes)."""
        any_in = held_out.numpy() > 0
        for axis, (size, side) in enumerate(zip(held_out.shape, self._block, strict=True)):
            any_in = np.logical_or.reduceat(any_in, np.arange(0, size, side), axis=axis)
        return np.argwhere(any_in) * self._block

    def _inside(self, corner: Sequence[int]) -> tuple[slice, ...]:
        return tuple(slice(at, at + n) for at, n in zip(corner, self._block, strict=True))

    def score(self, network: Network, most_blocks: int | None = None) -> dict[str, float]:
        """Return IoU by class name, for the classes present in truth or prediction.

        Parameters
        ----------
        network : Network
            On the device, in evaluation mode.
        most_blocks : int, optional
            Look at no more than this many, evenly spread; always the same ones.
        """
        matrix = ConfusionMatrix(len(self._names))
        blocks = self._blocks
        if most_blocks is not None and len(blocks) > most_blocks:
            chosen = np.linspace(0, len(blocks) - 1, most_blocks).round().astype(int)
            blocks = blocks[chosen]
        for start in range(0, len(blocks), self._batch):
            pixels, truth = self._read(blocks[start : start + self._batch])
            with torch.inference_mode(), autocast(self._device):
                logits = network(place_image(pixels, self._device))
            inner: Any = (..., *self._inside(self._context))
            predicted = logits[:, : len(self._names)][inner].argmax(dim=1).cpu()
            matrix.add(truth.numpy(), predicted.numpy() + 1)
        return scores(matrix, self._names).iou

    def _read(self, blocks: npt.NDArray[np.int32]) -> tuple[Tensor, Tensor]:
        pixels, truth = [], []
        for index, *corner in blocks.tolist():
            region = self._regions[index]
            along = list(zip(corner, self._block, self._context, strict=True))
            start = [at - around for at, _, around in along]
            stop = [at + n + around for at, n, around in along]
            pixels.append(mirrored(region.pixels, start, stop))
            cut = torch.zeros(self._block, dtype=torch.uint8)
            inside = region.held_out[self._inside(corner)]
            cut[tuple(map(slice, inside.shape))] = inside
            truth.append(cut)
        return torch.stack(pixels).float(), torch.stack(truth)
