"""The paper's recipe: its tile, its weights and its deformations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from tiny_data import CELL, FLOAT32, discs

from napari_unetseg.config import PRESETS, AugmentationConfig
from napari_unetseg.events import TrainingStep, Warned
from napari_unetseg.learning import Trainer, TrainingImage
from napari_unetseg.learning.augmentation import Patch, crop_px, sampling_grid
from napari_unetseg.networks import build_network

PAPER = PRESETS["unet2015"]


def with_ids() -> TrainingImage:
    stack, codes = discs(1)
    ids = np.stack([ndimage.label(plane == 2)[0] for plane in codes]).astype(np.uint32)
    return TrainingImage(stack, codes, ids=ids)


def tiny(**loss: float):
    """Return the recipe with few channels and a small tile."""
    training = PAPER.training
    return PAPER.replace(
        network=PAPER.network.replace(filters=4).model_dump(),
        training=training.replace(
            patch_px=48,
            steps=3,
            max_time_s=None,
            loss={**training.loss.model_dump(), **loss},
        ).model_dump(),
    )


def trained(image: TrainingImage, recipe):
    trainer = Trainer([image], recipe, (CELL,), device=FLOAT32)
    return list(trainer.run()), trainer.current_model()


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


def test_displacements_have_10_px_and_come_from_a_grid_of_3_by_3() -> None:
    side = PAPER.training.patch_px
    elastic = PAPER.training.augmentation
    config = AugmentationConfig(
        flip=False,
        rotation_deg=0,
        scale=0,
        elastic=elastic.elastic,
        elastic_grid=elastic.elastic_grid,
    )
    patch = Patch((side, side))
    crop = crop_px(patch, config)
    grid = sampling_grid(60, patch, crop, config, torch.Generator().manual_seed(0))
    line = torch.arange(side) - (side - 1) / 2
    displacement = grid[..., 0] * (crop[-1] / 2) - line
    # The vectors stand in the middle of each third.
    nodes = torch.tensor([side // 6, side // 2, side - side // 6 - 1])
    assert displacement[:, nodes][:, :, nodes].std().item() == pytest.approx(10, rel=0.1)
    assert torch.linalg.matrix_rank(displacement.double(), rtol=1e-4).unique().tolist() == [3]


def test_the_recipe_trains_with_weights_at_borders() -> None:
    events, model = trained(with_ids(), tiny())
    assert not [event for event in events if isinstance(event, Warned)]
    assert all(np.isfinite(e.loss) for e in events if isinstance(e, TrainingStep))
    assert model.info.recipe.training.loss.border_weight == 10
    _, without = trained(with_ids(), tiny(border_weight=0))
    differs = [
        not torch.equal(a, b)
        for a, b in zip(
            model.network.state_dict().values(), without.network.state_dict().values(), strict=True
        )
    ]
    assert any(differs)


def test_without_ids_of_objects_the_recipe_says_that_borders_have_no_weight() -> None:
    image = replace(with_ids(), ids=None)
    events, model = trained(image, tiny())
    (warned,) = (event for event in events if isinstance(event, Warned))
    assert "objects" in warned.sentence
    assert model.info.recipe.training.loss.border_weight == 0
    assert model.info.recipe.training.loss.class_balanced
