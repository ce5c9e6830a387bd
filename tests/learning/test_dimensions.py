"""Learning from slices with their neighbours and from volumes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg.annotations import ALL_HELD_OUT
from napari_unetseg.config import Recipe, UNetConfig
from napari_unetseg.events import Event, HeldOutScored, Warned
from napari_unetseg.images import Stack
from napari_unetseg.learning import Device, Model, Trainer, TrainingImage
from napari_unetseg.learning.placement import place_image, place_network, suited
from napari_unetseg.networks import build_network

#: Of the tiny stacks: sections are 2.5 times as thick as pixels are wide.
SIZES = {"Z": 0.25, "Y": 0.1, "X": 0.1}


def recipe_of(dims: str, steps: int, **training: object) -> Recipe:
    network = UNetConfig(depth=2, filters=8, dims=dims, reduction=1)
    return tiny_recipe(steps, **training).replace(network=network.model_dump())


def trained(image: TrainingImage, recipe: Recipe, **options) -> tuple[Model, list[Event]]:
    trainer = Trainer([image], recipe, (CELL,), device=FLOAT32, **options)
    events = list(trainer.run())
    return trainer.current_model(), events


@pytest.fixture(scope="module")
def hidden_class() -> TrainingImage:
    """Pixels are of the class if the slice above or below them is bright, whatever they are."""
    stack, codes = discs(6, (96, 96))
    bright = np.pad(codes == 2, ((1, 1), (0, 0), (0, 0)), mode="reflect")
    codes = (bright[:-2] | bright[2:]).astype(np.uint8) + np.uint8(1)
    blocks = np.ones((6, 2, 2), np.uint8)
    blocks[2, 0, 0] = ALL_HELD_OUT
    return TrainingImage(Stack(stack.data, "ZYX", SIZES), codes, blocks)


@pytest.mark.parametrize(("dims", "steps"), [("2", 25), ("2.5", 25), ("3", 40)])
def test_what_only_other_slices_show_is_learned_in_2_5d_and_3d_alone(
    hidden_class: TrainingImage, dims: str, steps: int
) -> None:
    _, events = trained(hidden_class, recipe_of(dims, steps, patch_px=32))
    score = [event for event in events if isinstance(event, HeldOutScored)][-1]
    assert score.mean_iou > 0.75 if dims != "2" else score.mean_iou < 0.55


@pytest.mark.parametrize("dims", ["2.5", "3"])
def test_the_same_seed_gives_the_same_network(dims: str) -> None:
    stack, codes = discs(3, (48, 48))
    image = TrainingImage(Stack(stack.data, "ZYX", SIZES), codes)
    first, again = (trained(image, recipe_of(dims, 2))[0] for _ in range(2))
    states = (model.network.state_dict().values() for model in (first, again))
    assert all(map(torch.equal, *states))


@pytest.mark.parametrize("dims", ["2.5", "3"])
@pytest.mark.parametrize("axes", ["YX", "TYX", "CYX"])
def test_images_without_slices_above_one_another_train_and_say_what_for(
    dims: str, axes: str
) -> None:
    stack, codes = discs(1, (17, 23), n_channels=2)
    pixels = np.asarray(stack.data)[:, 0]
    codes[0, :4] = 3 - codes[0, 0, 0]
    if axes == "CYX":
        image = Stack(pixels, axes, channels=("a", "b"))
    else:
        image = Stack(pixels[0] if axes == "YX" else pixels[:1], axes)
    model, events = trained(TrainingImage(image, codes), recipe_of(dims, 2))
    assert sum(isinstance(e, Warned) and "dims 2 learns" in e.sentence for e in events) == 1
    assert model.preview is not None
    assert model.preview.shape == (17, 46, 3)


def test_the_shape_of_voxels_is_that_of_the_images_and_stays_in_the_model(tmp_path) -> None:
    from napari_unetseg.learning import load_model

    stack, codes = discs(4, (48, 48))
    known, unknown = (Stack(stack.data, "ZYX", sizes) for sizes in (SIZES, {}))
    model, events = trained(TrainingImage(known, codes), recipe_of("3", 1))
    assert model.info.recipe.network.anisotropy == 2.5
    assert not any(isinstance(event, Warned) for event in events)
    loaded = load_model(model.save(tmp_path / "m.unet"))
    assert loaded.network.anisotropy == 2.5
    assert loaded.network.multiple_px == (2, 4, 4)
    model, events = trained(TrainingImage(unknown, codes), recipe_of("3", 1))
    assert model.info.recipe.network.anisotropy == 1.0
    assert next(e.sentence for e in events if isinstance(e, Warned)).startswith("The distance")


def test_a_model_of_volumes_goes_on_learning_as_it_was_made() -> None:
    stack, codes = discs(4, (48, 48))
    image = TrainingImage(Stack(stack.data, "ZYX", SIZES), codes)
    base, _ = trained(image, recipe_of("3", 1))
    other = TrainingImage(Stack(stack.data, "ZYX", {"Z": 1.0, "Y": 0.1, "X": 0.1}), codes)
    model, events = trained(other, Recipe(training=tiny_recipe(1).training), base=base)
    assert model.info.recipe.network.anisotropy == 2.5
    assert not any(isinstance(event, Warned) for event in events)


def test_time_points_are_volumes_of_their_own() -> None:
    stack, codes = discs(4, (48, 48))
    image = Stack(np.asarray(stack.data).reshape(2, 2, 48, 48), "TZYX", SIZES)
    model, _ = trained(TrainingImage(image, codes), recipe_of("3", 2))
    assert model.info.history["steps"] == 2


def test_a_stroke_on_one_slice_of_a_volume_trains() -> None:
    stack, codes = discs(5, (80, 80))
    sparse = np.zeros_like(codes)
    sparse[2, 40:45, 10:70] = codes[2, 40:45, 10:70]
    image = TrainingImage(Stack(stack.data, "ZYX", SIZES), sparse)
    model, _ = trained(image, recipe_of("3", 2, patch_px=0, batch=0))
    training = model.info.recipe.training
    assert (training.patch_px, training.batch) == (48, 2)


def test_volumes_are_placed_in_their_own_layout_and_never_in_bfloat16_on_a_processor() -> None:
    fast = Device("cpu", "bfloat16", channels_last=True, reason="")
    flat, deep = (build_network(UNetConfig(depth=1, dims=d), 1, 2) for d in ("2", "3"))
    assert suited(fast, flat).precision == "bfloat16"
    assert suited(fast, deep).precision == "float32"
    place_network(deep, fast)
    weight = deep.contracting[0][3].weight
    assert weight.is_contiguous(memory_format=torch.channels_last_3d)
    image = place_image(torch.randn(1, 2, 4, 6, 8), fast)
    assert image.is_contiguous(memory_format=torch.channels_last_3d)
