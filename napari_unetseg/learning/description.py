"""What is written into a model about how it came to be."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import torch

import napari_unetseg
from napari_unetseg.config import LabelClass, ModelInfo, Recipe
from napari_unetseg.images import code_counts, fingerprint

from .bundle import Model
from .data import TrainingImage
from .placement import Device


def describe(
    images: Sequence[TrainingImage],
    recipe: Recipe,
    classes: tuple[LabelClass, ...],
    device: Device,
    base: Model | None,
    *,
    name: str,
    label_values: Mapping[str, int],
    n_pretrained: int = 0,
    object_diameter_px: float | None = None,
) -> ModelInfo:
    """Return what is known about a model before its first step."""
    first = images[0].stack
    return ModelInfo(
        name=name,
        recipe=recipe,
        classes=classes,
        object_diameter_px=object_diameter_px,
        channels=first.channels,
        pixel_size_um={a: s for a, s in first.pixel_size_um.items() if a in "YX"},
        label_values=dict(label_values),
        history={
            "device": device.name,
            "precision": device.precision,
            "n_slices": sum(len(image.annotated_planes()) for image in images),
            "n_labelled_px": sum(int(code_counts(image.codes)[:, 1:].sum()) for image in images),
            "base": base.info.name if base else None,
            "pretraining_steps": n_pretrained,
        },
        data=[
            {
                "name": image.stack.name,
                "axes": image.stack.axes,
                "shape": list(image.stack.shape),
                "dtype": str(image.stack.dtype),
                "fingerprint": fingerprint(image.stack),
            }
            for image in images
        ],
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def versions() -> dict[str, str]:
    """Return the versions of all that decides what is learned."""
    return {
        "napari-unetseg": napari_unetseg.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
