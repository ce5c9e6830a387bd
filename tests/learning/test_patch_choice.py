"""How large patches are, and how many a step takes."""

import numpy as np
import pytest
from pydantic import ValidationError
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg.config import TrainingConfig, UNetConfig
from napari_unetseg.learning import Trainer, TrainingImage
from napari_unetseg.learning.patches import DENSE, SPARSE, chosen_patches, fitting_shape
from napari_unetseg.networks import build_network


def network(**config):
    return build_network(UNetConfig(filters=4, **config), 1, 2)


FLAT = network()


@pytest.mark.parametrize(("dense", "expected"), [(False, SPARSE), (True, DENSE)])
def test_strokes_are_learned_from_small_patches_and_whole_slices_from_large_ones(dense, expected):
    chosen = chosen_patches(TrainingConfig(), FLAT, dense=dense)
    assert (chosen.patch_px, chosen.batch) == (expected.patch_px, expected.batch)


def test_a_network_that_reduces_images_sees_as_many_pixels_of_larger_patches():
    chosen = chosen_patches(TrainingConfig(), network(reduction=2), dense=True)
    assert (chosen.patch_px, chosen.batch) == (2 * DENSE.patch_px, DENSE.batch)
    chosen = chosen_patches(TrainingConfig(patch_px=64), network(reduction=2), dense=True)
    assert chosen.patch_px == 64


@pytest.mark.parametrize(("anisotropy", "axes"), [(1.0, 3), (4.0, 2)])
def test_a_network_that_reduces_volumes_sees_as_many_voxels(anisotropy, axes):
    sides = [
        DENSE.of(network(dims="3", anisotropy=anisotropy, reduction=r)).patch_px for r in (1, 3)
    ]
    assert sides[1] == pytest.approx(sides[0] * 3 ** (axes / 3), abs=16)


def test_what_a_person_chose_stays():
    chosen = chosen_patches(TrainingConfig(patch_px=64), FLAT, dense=True)
    assert (chosen.patch_px, chosen.batch) == (64, DENSE.batch)
    chosen = chosen_patches(TrainingConfig(batch=3), FLAT, dense=False)
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
    assert fitting_shape(256, [(100, 100)], FLAT) == (112, 112)
    assert fitting_shape(40, [(100, 100)], FLAT) == (48, 48)
    assert fitting_shape(96, [(10, 10)], FLAT) == (32, 32)


@pytest.mark.parametrize(("dense", "slices"), [(False, SPARSE), (True, DENSE)])
@pytest.mark.parametrize("anisotropy", [1.0, 5.0])
def test_a_step_on_volumes_sees_about_as_many_voxels_as_one_on_slices(dense, slices, anisotropy):
    thick = network(dims="3", anisotropy=anisotropy)
    chosen = chosen_patches(TrainingConfig(), thick, dense=dense)
    shape = fitting_shape(chosen.patch_px, [(200, 300, 300)], thick)
    ratio = chosen.batch * np.prod(shape) / (slices.batch * slices.patch_px**2)
    assert 0.5 < ratio < 2
    assert shape[1] == shape[2]
    assert 0.6 < shape[0] * anisotropy / shape[1] < 1.7


def test_a_patch_of_a_volume_is_even_at_every_pooling_and_no_deeper_than_it():
    thick = network(dims="3", anisotropy=5.0)
    assert thick.multiple_px == (4, 16, 16)
    assert fitting_shape(96, [(10, 300, 300)], thick) == (12, 96, 96)
    assert fitting_shape(96, [(40, 300, 300)], thick) == (20, 96, 96)
    assert fitting_shape(64, [(1, 300, 300)], network(dims="3")) == (16, 64, 64)


def test_a_patch_too_small_to_halve_is_refused():
    with pytest.raises(ValidationError, match="at least 32 px"):
        TrainingConfig(patch_px=31)
