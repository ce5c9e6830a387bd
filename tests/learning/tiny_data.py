"""A tiny data set, and a tiny network that learns from it in a second."""

from __future__ import annotations

import numpy as np

from napari_unetseg.config import LabelClass, Recipe, TrainingConfig, UNetConfig
from napari_unetseg.images import Stack
from napari_unetseg.learning import Device

CELL = LabelClass(name="cell", color="#e69f00")
FLOAT32 = Device("cpu", "float32", channels_last=False, reason="exact in tests")


def discs(
    n_planes: int = 2, shape: tuple[int, int] = (96, 96), n_channels: int = 1, seed: int = 0
) -> tuple[Stack, np.ndarray]:
    """Return bright discs on a dark noisy ground, and their codes."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    inside = np.zeros((n_planes, *shape), bool)
    for plane in inside:
        for _ in range(max(1, shape[0] * shape[1] // 1500)):
            cy, cx, r = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(5, 12)
            plane |= (y - cy) ** 2 + (x - cx) ** 2 < r**2
    grey = 60 + 90 * inside[:, None] + rng.normal(0, 20, (n_planes, n_channels, *shape))
    pixels = grey.clip(0, 255).astype(np.uint8)
    codes = inside.astype(np.uint8) + np.uint8(1)
    if n_channels == 1:
        return Stack(pixels[:, 0], "ZYX", {"Y": 0.1, "X": 0.1}), codes
    return Stack(pixels.swapaxes(0, 1), "CZYX", channels=("",) * n_channels), codes


def tiny_recipe(steps: int | None = 6, **training: object) -> Recipe:
    """Return settings with which a step takes about 10 ms."""
    return Recipe(
        network=UNetConfig(depth=2, filters=8, reduction=1),
        training=TrainingConfig(
            **{"steps": steps, "max_time_s": None, "patch_px": 48, "batch": 2, **training}
        ),
    )
