"""One optimiser step after the other, on whatever device, without ever keeping a bad one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from napari_unetseg.config import TrainingConfig
from napari_unetseg.networks import Network

from .averaging import WeightAverage
from .distillation import Teacher
from .losses import segmentation_loss
from .optimisers import build_optimisers
from .placement import Device, autocast, seeded
from .resume import load_optimisers, optimiser_tensors, prefixed, under
from .targets import distance_loss

#: Longer gradients are shortened to this.
MAX_GRADIENT_NORM = 10.0

#: Failed steps after which training gives up.
MAX_FAILURES = 8

#: Steps between copies of a state that can be returned to.
KEEP_EVERY = 25


class Stepper:
    """Moves a network's weights, keeps their average, and returns from failures.

    Parameters
    ----------
    network : Network
        On its device, in training mode.
    config : TrainingConfig
    device : Device
    distance_weight : float
        Of the error of distances, where the last channel answers with them; else 0.
    teacher : Teacher, optional
        What is not to be forgotten.
    """

    def __init__(
        self,
        network: Network,
        config: TrainingConfig,
        device: Device,
        distance_weight: float = 0.0,
        teacher: Teacher | None = None,
    ) -> None:
        self.network = network
        self.average = WeightAverage(network, config.ema_decay)
        self.failures = 0
        self._config = config
        self._device = device
        self._distance_weight = distance_weight
        self._teacher = teacher
        self._steps = 0
        # One whose weights are all frozen has nothing to do.
        self._optimisers = tuple(o for o in build_optimisers(network, config) if _learns(o))
        self._scaler = torch.amp.GradScaler(device.kind, enabled=device.precision == "float16")
        self._kept = self._tensors()

    def loss(self, logits: Tensor, codes: Tensor, maps: Mapping[str, Tensor]) -> Tensor:
        """Return what a step makes smaller, of what is painted."""
        classes = logits[:, :-1] if self._distance_weight else logits
        of_classes = segmentation_loss(classes, codes, self._config.loss, maps.get("border"))
        if "distance" not in maps:
            return of_classes
        of_distances = distance_loss(logits[:, -1], maps["distance"], codes)
        return of_classes + self._distance_weight * of_distances

    def step(
        self,
        pixels: Tensor,
        codes: Tensor,
        rate: float,
        maps: Mapping[str, Tensor] | None = None,
    ) -> float:
        """Learn from one batch of patches.

        Parameters
        ----------
        pixels : Tensor, shape (B, C, Y, X) or (B, C, Z, Y, X), float32
        codes : Tensor, shape (B, Y, X) or (B, Z, Y, X), uint8
        rate : float
            Learning rate; halved after every failure.
        maps : dict of str to Tensor, of the shape of `codes`, optional
            As `PixelMaps` has them.

        Returns
        -------
        float
            The loss; not finite where the step failed, nothing was learned from it, and the
            weights are those of some steps before.
        """
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * 0.5**self.failures * group["relative_rate"]
        maps = maps or {}
        with autocast(self._device), seeded(self._device, self._config.seed + self._steps):
            logits = self.network(pixels)
        loss = self.loss(logits, codes, maps)
        if self._teacher is not None:
            loss = loss + self._teacher.loss(pixels, logits, codes, maps)
        value = float(loss.detach())
        if math.isfinite(value):
            self.network.zero_grad(set_to_none=True)
            torch.autograd.backward(self._scaler.scale(loss))
            value += self._rehearse(codes.numel())
        if not math.isfinite(value):
            self._return_to_kept()
            return value
        for optimiser in self._optimisers:
            self._scaler.unscale_(optimiser)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        if not self._scaler.is_enabled() and not math.isfinite(float(norm)):
            self._return_to_kept()
            return math.nan
        for optimiser in self._optimisers:
            self._scaler.step(optimiser)
        self._scaler.update()
        self.average.update(self.network)
        self._steps += 1
        if self._steps % KEEP_EVERY == 0:
            self._kept = self._tensors()
        return value

    def _rehearse(self, most_px: int) -> float:
        """Add to the gradients those of what is forgotten; afterwards, for the sake of memory."""
        if self._teacher is None:
            return 0.0
        with seeded(self._device, self._config.seed + self._steps):
            loss = self._teacher.forgotten(self.network, self._steps, most_px)
        if loss is None:
            return 0.0
        torch.autograd.backward(self._scaler.scale(loss))
        return float(loss.detach())

    def tensors(self) -> dict[str, Tensor]:
        """Return all that changes from step to step, and what a failed step would return to."""
        return {**self._tensors(), **prefixed("kept", self._kept)}

    def values(self) -> dict[str, Any]:
        """Return all that goes with `tensors` and is none, as builtins."""
        scaler = self._scaler.state_dict()
        return {"steps": self._steps, "failures": self.failures, "scaler": scaler}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from what `tensors` and `values` returned."""
        self._load(tensors)
        self._kept = under("kept", tensors)
        self._steps = self.average.updates = values["steps"]
        self.failures = values["failures"]
        self._scaler.load_state_dict(values["scaler"])

    def _tensors(self) -> dict[str, Tensor]:
        named = {
            **prefixed("network", self.network.state_dict()),
            **prefixed("average", self.average.network.state_dict()),
            **prefixed("optimiser", optimiser_tensors(self._optimisers)),
        }
        return {name: tensor.clone() for name, tensor in named.items()}

    def _load(self, tensors: dict[str, Tensor]) -> None:
        self.network.load_state_dict(under("network", tensors))
        self.average.network.load_state_dict(under("average", tensors))
        load_optimisers(self._optimisers, under("optimiser", tensors))

    def _return_to_kept(self) -> None:
        self.failures += 1
        self._load(self._kept)


def _learns(optimiser: torch.optim.Optimizer) -> bool:
    return any(w.requires_grad for group in optimiser.param_groups for w in group["params"])
