"""Optimisers that are made without waiting for torch's compiler."""

from __future__ import annotations

import inspect
from typing import Any

import torch


class Uncompiled(torch.optim.Optimizer):
    """Mixed into an optimiser, keeps it from importing a compiler that nothing here uses.

    torch guards some methods from being compiled, and imports its compiler to do so: 2.4 s before
    the first step.
    """

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, as `torch.optim.Optimizer.add_param_group` does."""
        inspect.unwrap(torch.optim.Optimizer.add_param_group)(self, param_group)


class AdamW(Uncompiled, torch.optim.AdamW):
    """`torch.optim.AdamW`."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change the weights by what their gradients say."""
        inspect.unwrap(torch.optim.AdamW.step)(self)


class SGD(Uncompiled, torch.optim.SGD):
    """`torch.optim.SGD`."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change the weights by what their gradients say."""
        inspect.unwrap(torch.optim.SGD.step)(self)
