"""What a model says about slices, and how it is put together from tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_unetseg.images import Tile


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a model says about a slice.

    Attributes
    ----------
    codes : ndarray, shape (Y, X), uint8
        The most probable class: 1 background, k + 1 class k.
    probabilities : ndarray or None, shape (K, Y, X), float32
        By class, background first; they sum to 1. None where they were not asked for.
    uncertainty : ndarray or None, shape (Y, X), float32
        From 0, certain, to 1. None where it was not asked for.
    distances : ndarray or None, shape (Y, X), float32
        About 0 on the border of an object, 1 in its middle. None where they were not asked for,
        or the model learned classes alone.
    """

    codes: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32] | None = None
    uncertainty: npt.NDArray[np.float32] | None = None
    distances: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to keep of an answer beside its codes; less is faster and takes less memory."""

    probabilities: bool = False
    uncertainty: bool = False
    distances: bool = False


class SlabOutput:
    """The slices of a slab, filled tile by tile; first axis Z."""

    def __init__(
        self, n_planes: int, n_classes: int, size: tuple[int, int], wanted: Wanted
    ) -> None:
        self._arrays: dict[str, Tensor] = {
            "codes": torch.empty(n_planes, *size, dtype=torch.uint8),
        }
        if wanted.probabilities:
            self._arrays["probabilities"] = torch.empty(n_planes, n_classes, *size)
        for name in ("uncertainty", "distances"):
            if getattr(wanted, name):
                self._arrays[name] = torch.empty(n_planes, *size)

    def put(self, name: str, values: Tensor, tile: Tile, first: int) -> None:
        """Copy a tile's answer, of shape (1, …, *tile), to where it belongs."""
        array = self._arrays[name]
        if len(tile.start) == 2:
            where: Any = (..., *tile.where)
            array[where] = values.cpu()
            return
        if name == "probabilities":
            values = values.transpose(1, 2)  # (1, Z, K, Y, X)
        planes = slice(tile.start[0] - first, tile.stop[0] - first)
        where = (planes, ..., *tile.where[1:])
        array[where] = values[0].cpu()

    def answer(self, n: int, size: tuple[int, int] | None) -> Answer:
        """Return one slice, resized where `size` is given."""
        slices = {name: array[n] for name, array in self._arrays.items()}
        if size is not None:
            for name in slices.keys() - {"codes"}:
                values = slices[name].reshape(1, -1, *slices[name].shape[-2:])
                values = F.interpolate(values, size=size, mode="bilinear", antialias=True)
                slices[name] = values.reshape(*slices[name].shape[:-2], *size)
            slices["codes"] = most_probable(slices["probabilities"][None])[0]
        return Answer(**{name: values.numpy() for name, values in slices.items()})


def codes_from_probabilities(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return the most probable class as a code.

    Parameters
    ----------
    probabilities : ndarray, shape (K, Y, X)

    Returns
    -------
    ndarray, shape (Y, X), uint8
        1 background, k + 1 class k; never 0.
    """
    codes: npt.NDArray[np.uint8] = (probabilities.argmax(axis=0) + 1).astype(np.uint8)
    return codes


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of each pixel's probabilities, as a share of the largest possible.

    Parameters
    ----------
    probabilities : Tensor, shape (B, K, …)

    Returns
    -------
    Tensor, shape (B, …)
        0 where one class is certain, 1 where all are as probable.
    """
    nats = -(probabilities * probabilities.clamp_min(1e-12).log()).sum(dim=1)
    return nats / math.log(probabilities.shape[1])


def most_probable(scores: Tensor) -> Tensor:
    """Return the class of the largest logit or probability; (B, K, …) to (B, …)."""
    return (scores.argmax(dim=1) + 1).to(torch.uint8)
