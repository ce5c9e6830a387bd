"""Several structures learned by one network, each with a head of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_unetseg.config import TrainingConfig
from napari_unetseg.networks import Network
from napari_unetseg.synthesis.example import Example

from .losses import segmentation_loss
from .placement import Device
from .stepper import Stepper
from .targets import distance_loss, object_distances

#: Codes of a structure: unlabelled, background, structure.
_CODES = 3


@dataclass(frozen=True, slots=True)
class Head:
    """What a network answers for one structure: background or it, and a distance of objects.

    Attributes
    ----------
    model : str
        Name of the model that has this head.
    structure : str
        Name of its class.
    objects : bool
    summary, not_for : str
        As of a `ModelCard`.
    """

    model: str
    structure: str
    objects: bool = False
    summary: str = ""
    not_for: str = ""

    @property
    def n_channels(self) -> int:
        """Channels it takes of the network's answer."""
        return 3 if self.objects else 2


def channels(heads: Sequence[Head]) -> list[slice]:
    """Return which channels of the network are whose."""
    ends = np.cumsum([head.n_channels for head in heads]).tolist()
    return [slice(end - head.n_channels, end) for head, end in zip(heads, ends, strict=True)]


def packed(example: Example, heads: Sequence[Head]) -> tuple[Tensor, dict[str, Tensor]]:
    """Put the codes of all heads into one map, so that they are moved together.

    Returns
    -------
    codes : Tensor, shape (Z, Y, X), uint8
    objects : dict of str to Tensor, shape (Z, Y, X), float16
        By structure: distances.
    """
    assert _CODES ** len(heads) <= 256, "codes are kept in one byte"
    codes = np.zeros(example.pixels.shape, np.uint8)
    distances = {}
    for place, head in enumerate(heads):
        if head.structure in example.codes:
            codes += np.uint8(_CODES**place) * example.codes[head.structure]
        if head.objects:
            ids = example.ids.get(head.structure)
            empty = np.zeros(codes.shape, np.float32)
            depth = empty if ids is None else np.stack([object_distances(plane) for plane in ids])
            distances[head.structure] = torch.from_numpy(depth.astype(np.float16))
    return torch.from_numpy(codes), distances


def unpacked(codes: Tensor, place: int) -> Tensor:
    """Return the codes of one head."""
    digit: Tensor = (codes // _CODES**place) % _CODES
    return digit


class HeadsStepper(Stepper):
    """Learns all heads at once.

    Parameters
    ----------
    network : Network
        With as many outputs as the heads have channels.
    config : TrainingConfig
    device : Device
    heads : sequence of Head
    distance_weight : float
        Of the error of distances.
    """

    def __init__(
        self,
        network: Network,
        config: TrainingConfig,
        device: Device,
        heads: Sequence[Head],
        distance_weight: float,
    ) -> None:
        self._heads = heads
        super().__init__(network, config, device, distance_weight)

    def loss(self, logits: Tensor, codes: Tensor, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the sum over the heads; one of which nothing is known adds nothing."""
        total = torch.zeros((), device=logits.device)
        for place, (head, own) in enumerate(zip(self._heads, channels(self._heads), strict=True)):
            known = unpacked(codes, place)
            classes = logits[:, own][:, :2]
            total = total + segmentation_loss(classes, known, self._config.loss)
            if head.objects:
                distances = maps[head.structure]
                error = distance_loss(logits[:, own.stop - 1], distances, known)
                total = total + self._distance_weight * error
        return total
