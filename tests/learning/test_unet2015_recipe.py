"""The paper's recipe: its tile, and a training with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32, discs

from napari_unetseg.config import PRESETS
from napari_unetseg.events import TrainingStep
from napari_unetseg.learning import Trainer, TrainingImage
from napari_unetseg.networks import build_network

PAPER = PRESETS["unet2015"]


def test_a_patch_is_the_papers_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_network(PAPER.network.replace(filters=4), 1, 2)
    side = PAPER.training.patch_px
    sizes: list[torch.Size] = []
    compute = network.forward_unpadded

    def watched(image: torch.Tensor) -> torch.Tensor:
        logits = compute(image)
        sizes.extend((image.shape[-2:], logits.shape[-2:]))
        return logits

    monkeypatch.setattr(network, "forward_unpadded", watched)
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, side, side)).shape[-2:] == (side, side)
    assert sizes == [(572, 572), (388, 388)]
    assert PAPER.training.batch == 1


def test_the_recipe_trains() -> None:
    recipe = PAPER.replace(
        network=PAPER.network.replace(filters=4),
        training=PAPER.training.replace(patch_px=48, steps=3, max_time_s=None),
    )
    trainer = Trainer([TrainingImage(*discs(1))], recipe, (CELL,), device=FLOAT32)
    losses = [event.loss for event in trainer.run() if isinstance(event, TrainingStep)]
    assert losses
    assert np.isfinite(losses).all()
    assert trainer.current_model().info.recipe.network == recipe.network
