"""How large patches are, and how many a step takes."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg.config import TrainingConfig
from napari_unetseg.learning import Trainer, TrainingImage
from napari_unetseg.learning.data import LabelledPlane
from napari_unetseg.learning.patches import DENSE, SPARSE, chosen_patches, fitting_side


def plane_with(share, side=100):
    targets = torch.zeros(side, side, dtype=torch.uint8)
    targets.view(-1)[: round(share * side * side)] = 1
    return LabelledPlane(torch.zeros(1, side, side), targets, torch.zeros_like(targets))


@pytest.mark.parametrize(("share", "expected"), [(0.01, SPARSE), (0.24, SPARSE), (0.25, DENSE)])
def test_strokes_are_learned_from_small_patches_and_whole_slices_from_large_ones(share, expected):
    chosen = chosen_patches(TrainingConfig(), [plane_with(share)])
    assert (chosen.patch_px, chosen.batch) == (expected.patch_px, expected.batch)


def test_what_a_person_chose_stays():
    chosen = chosen_patches(TrainingConfig(patch_px=64), [plane_with(0.9)])
    assert (chosen.patch_px, chosen.batch) == (64, DENSE.batch)
    chosen = chosen_patches(TrainingConfig(batch=3), [plane_with(0.01)])
    assert (chosen.patch_px, chosen.batch) == (SPARSE.patch_px, 3)


def test_the_model_says_which_patches_it_was_made_with():
    stack, codes = discs(1)
    recipe = tiny_recipe(2, patch_px=0, batch=0)
    sparse = np.where(np.arange(96) % 8 == 0, codes, 0).astype(np.uint8)
    for annotations, expected in ((codes, DENSE), (sparse, SPARSE)):
        trainer = Trainer([TrainingImage(stack, annotations)], recipe, (CELL,), device=FLOAT32)
        list(trainer.run())
        training = trainer.current_model().info.recipe.training
        assert (training.patch_px, training.batch) == (expected.patch_px, expected.batch)


def test_a_patch_is_no_larger_than_the_slice_and_even_at_every_pooling():
    assert fitting_side(256, [plane_with(1.0, 100)], 16) == 112
    assert fitting_side(40, [plane_with(1.0, 100)], 16) == 48
    assert fitting_side(96, [plane_with(1.0, 10)], 16) == 32


def test_a_patch_too_small_to_halve_is_refused():
    with pytest.raises(ValidationError, match="at least 32 px"):
        TrainingConfig(patch_px=31)
