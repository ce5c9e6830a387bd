"""Scores on held-out annotations, cheap enough to be taken while training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_unetseg.annotations import BLOCK_PX
from napari_unetseg.measure import ConfusionMatrix, scores
from napari_unetseg.networks import Network
from napari_unetseg.networks.padding import mirrored

from .data import LabelledPlane
from .placement import Device, autocast, place_image

#: Seen around each held-out block.
CONTEXT_PX = 32

#: Blocks in one forward pass.
BATCH = 8


class HeldOutScorer:
    """Predicts the held-out blocks and counts.

    Parameters
    ----------
    planes : sequence of LabelledPlane
    class_names : sequence of str
        ``"background"`` first.
    device : Device

    Attributes
    ----------
    n_px : int
        Held-out annotated pixels.
    n_blocks : int
    """

    def __init__(
        self, planes: Sequence[LabelledPlane], class_names: Sequence[str], device: Device
    ) -> None:
        self._planes = planes
        self._names = class_names
        self._device = device
        self._blocks = [
            (index, y, x)
            for index, plane in enumerate(planes)
            for y in range(0, plane.held_out.shape[0], BLOCK_PX)
            for x in range(0, plane.held_out.shape[1], BLOCK_PX)
            if plane.held_out[y : y + BLOCK_PX, x : x + BLOCK_PX].any()
        ]
        self.n_blocks = len(self._blocks)
        self.n_px = sum(int(torch.count_nonzero(plane.held_out)) for plane in planes)

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
            blocks = [blocks[i] for i in chosen]
        for start in range(0, len(blocks), BATCH):
            pixels, truth = self._read(blocks[start : start + BATCH])
            with torch.inference_mode(), autocast(self._device):
                logits = network(place_image(pixels, self._device))
            inner = slice(CONTEXT_PX, CONTEXT_PX + BLOCK_PX)
            predicted = logits[..., inner, inner].argmax(dim=1).cpu()
            matrix.add(truth.numpy(), predicted.numpy() + 1)
        return scores(matrix, self._names).iou

    def _read(self, blocks: Sequence[tuple[int, int, int]]) -> tuple[Tensor, Tensor]:
        pixels, truth = [], []
        for index, y, x in blocks:
            plane = self._planes[index]
            pixels.append(
                mirrored(
                    plane.pixels,
                    (y - CONTEXT_PX, x - CONTEXT_PX),
                    (y + BLOCK_PX + CONTEXT_PX, x + BLOCK_PX + CONTEXT_PX),
                )
            )
            cut = torch.zeros(BLOCK_PX, BLOCK_PX, dtype=torch.uint8)
            inside = plane.held_out[y : y + BLOCK_PX, x : x + BLOCK_PX]
            cut[: inside.shape[0], : inside.shape[1]] = inside
            truth.append(cut)
        return torch.stack(pixels).float(), torch.stack(truth)
