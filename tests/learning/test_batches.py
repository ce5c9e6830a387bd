from __future__ import annotations

import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg.config import AugmentationConfig, NormalisationConfig, TrainingConfig
from napari_unetseg.events import TrainingStep
from napari_unetseg.learning import Trainer, TrainingImage
from napari_unetseg.learning.batches import Batches
from napari_unetseg.learning.data import LabelledRegion, load_regions
from napari_unetseg.learning.patches import Patches
from napari_unetseg.networks import build_network


def regions() -> list[LabelledRegion]:
    image = TrainingImage(*discs(1, (160, 160)))
    return list(load_regions([image], NormalisationConfig(), (48, 48)))


def batches() -> Batches:
    network = build_network(tiny_recipe().network, 1, 2)
    return Batches(regions(), TrainingConfig(), Patches(32, 2), network, FLOAT32)


def test_unaltered_patches_are_cut_from_the_image_the_same_ones_every_time() -> None:
    drawn = batches()
    unaltered = AugmentationConfig.none()
    first, again = drawn.draw_again(3, unaltered), drawn.draw_again(3, unaltered)
    assert [pixels.shape for pixels in first] == [(2, 1, 32, 32)] * 3
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    (region,) = regions()
    windows = region.pixels[0].float().unfold(0, 32, 1).unfold(1, 32, 1).flatten(0, 1)
    # Those that reach beyond the image are mirrored there.
    assert any(
        ((windows - patch).abs().amax(dim=(1, 2)) < 1e-3).any() for patch in torch.cat(first)[:, 0]
    )


def test_what_is_drawn_next_does_not_depend_on_them() -> None:
    untouched, looked = batches(), batches()
    looked.draw_again(3, AugmentationConfig())
    for _ in range(2):
        expected = untouched.draw(AugmentationConfig())
        got = looked.draw(AugmentationConfig())
        assert torch.equal(expected[0], got[0])
        assert torch.equal(expected[1], got[1])


def test_how_often_a_training_is_scored_changes_nothing_in_it() -> None:
    image = TrainingImage(*discs(2, (96, 96)))
    models = []
    for scored in (False, True):
        trainer = Trainer([image], tiny_recipe(6), (CELL,), device=FLOAT32)
        for event in trainer.run():
            if scored and isinstance(event, TrainingStep):
                trainer.current_model()
        models.append(trainer.current_model().network.state_dict())
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
