"""Segment microscopy stacks: classical baselines, hand correction and a U-Net that learns from it.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .errors import UserError
    from .images import Stack, open_stack
    from .learning import Model, load_model, predict, train
    from .measure import evaluate

_HOMES = {
    "Model": "learning",
    "Stack": "images",
    "UserError": "errors",
    "evaluate": "measure",
    "load_model": "learning",
    "open_stack": "images",
    "predict": "learning",
    "train": "learning",
}

__all__ = [
    "Model",
    "Stack",
    "UserError",
    "evaluate",
    "load_model",
    "open_stack",
    "predict",
    "train",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    """List what can be imported from here."""
    return sorted([*__all__, "__version__"])
