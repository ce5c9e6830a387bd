"""A model for everybody's images finds the scale at which it sees one best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_data import CELL, FLOAT32, tiny_recipe

from napari_unetseg import load_model, predict
from napari_unetseg.config import ModelCard
from napari_unetseg.events import Warned
from napari_unetseg.images import Stack, pixel_size_note
from napari_unetseg.learning import Model, Predictor, Trainer, TrainingImage
from napari_unetseg.learning.answers import Answer
from napari_unetseg.learning.unknown_scale import certainty
from napari_unetseg.synthesis.electron import electron_micrographs

CARD = ModelCard(summary="Discs.", not_for="All else.")


def discs(side: int, radius: int, seed: int = 0) -> tuple[Stack, np.ndarray]:
    """Return bright discs in a row, and their ids."""
    y, x = np.indices((side, side))
    ids, number = np.zeros((1, side, side), np.uint32), 0
    for cy in range(radius + 4, side - radius, 3 * radius):
        for cx in range(radius + 4, side - radius, 3 * radius):
            number += 1
            ids[0][(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = number
    grey = 60 + 90 * (ids > 0) + np.random.default_rng(seed).normal(0, 8, ids.shape)
    return Stack(grey.clip(0, 255).astype(np.uint8), "ZYX"), ids


@pytest.fixture(scope="module")
def model() -> Model:
    """Return a model that knows discs 20 px wide, as one that ships does."""
    stack, ids = discs(160, 10)
    codes = (ids > 0).astype(np.uint8) + np.uint8(1)
    image = TrainingImage(stack, codes, None, ids)
    trainer = Trainer([image], tiny_recipe(150, batch=4), (CELL,), device=FLOAT32)
    list(trainer.run())
    model = trainer.current_model()
    return replace(model, info=model.info.replace(card=CARD.model_dump()))


def scale(model: Model, stack: Stack, **options) -> float:
    return Predictor(model, stack, device=FLOAT32, resample=True, **options).scale


def test_objects_are_seen_as_wide_as_those_that_the_model_knows(model: Model) -> None:
    told: list[Warned] = []
    assert scale(model, discs(240, 10)[0], on_event=told.append) == 1
    assert not told
    assert scale(model, discs(480, 40)[0], on_event=told.append) > 2
    (said,) = told
    assert "times smaller" in said.sentence


def test_a_scale_is_looked_for_where_no_pixel_size_tells_a_model_for_everybody(
    model: Model,
) -> None:
    stack, _ = discs(480, 40)
    own = replace(model, info=model.info.replace(card=None))
    assert scale(own, stack) == 1
    assert Predictor(model, stack, device=FLOAT32).scale == 1
    sized = replace(model, info=model.info.replace(pixel_size_um={"Y": 0.1, "X": 0.1}))
    assert scale(sized, stack) == scale(model, stack)
    assert scale(sized, replace(stack, pixel_size_um={"Y": 0.02, "X": 0.02})) == pytest.approx(5)
    assert pixel_size_note(model.info, stack, resample=True) is None
    assert "unknown" in str(pixel_size_note(own.info, stack, resample=True))


def test_membranes_of_unknown_pixel_size_are_seen_about_as_the_model_knows_them() -> None:
    """It knows pixels of 8 nm; these have 8 nm, and a third of that."""
    pixels = electron_micrographs(np.random.default_rng([3, 99]), (1, 192, 192), px_nm=8.0).pixels
    larger = pixels.repeat(3, axis=1).repeat(3, axis=2)
    assert scale(load_model("membranes"), Stack(pixels, "ZYX")) == 1
    assert scale(load_model("membranes"), Stack(larger, "ZYX")) in (2, 3)


def test_objects_found_at_another_scale_are_those_of_the_image(model: Model) -> None:
    stack, ids = discs(480, 40)
    found = predict(stack, model, objects=True, device="cpu")
    assert found.shape == ids.shape
    for number in range(1, int(ids.max()) + 1):
        inside = ids == number
        best = np.bincount(found[inside]).argmax()
        overlap = ((found == best) & inside).sum() / ((found == best) | inside).sum()
        assert best > 0
        assert overlap > 0.7


def test_training_from_it_reduces_images_as_much(model: Model) -> None:
    stack, ids = discs(480, 40)
    codes = (ids > 0).astype(np.uint8) + np.uint8(1)
    trainer = Trainer(
        [TrainingImage(stack, codes, None, ids)],
        tiny_recipe(1),
        (CELL,),
        base=model,
        device=FLOAT32,
    )
    list(trainer.run())
    reduction = trainer.current_model().info.recipe.network.reduction
    assert reduction == round(scale(model, stack))


def test_certainty_is_that_of_whole_objects(model: Model) -> None:
    codes = np.ones((64, 64), np.uint8)
    empty = Answer(codes, np.zeros((2, 64, 64), np.float32), None, np.zeros((64, 64), np.float32))
    nothing = np.zeros((64, 64), np.uint32)
    assert certainty(empty, nothing) == 0
    codes[10:40, 10:40] = 2
    sure = np.stack([codes == 1, codes == 2]).astype(np.float32)
    y, x = np.indices((64, 64))
    deep = np.clip(1 - np.hypot(y - 25, x - 25) / 20, 0, 1).astype(np.float32) * (codes == 2)
    ids = (codes == 2).astype(np.uint32)
    whole = certainty(Answer(codes, sure, None, deep), ids)
    assert 0.9 < whole <= 1
    assert certainty(Answer(codes, 0.6 * sure + 0.2, None, deep), ids) < whole
    assert certainty(Answer(codes, sure, None, 0.5 * deep), ids) < whole


def test_a_few_large_things_are_no_reason_to_see_all_smaller(model: Model) -> None:
    """Each of three embryos may look like one nucleus from afar."""
    stack, ids = discs(480, 40)
    assert scale(model, stack) > 1
    few = np.where(np.isin(ids, np.unique(ids)[1:4]), stack.data, 60).astype(np.uint8)
    assert scale(model, replace(stack, data=few)) == 1


def test_a_slice_too_small_to_reduce_and_one_without_objects_stay_as_they_are(model: Model) -> None:
    assert scale(model, Stack(np.full((1, 100, 100), 40, np.uint8), "ZYX")) == 1
    assert scale(model, Stack(np.zeros((3, 600, 600), np.uint8), "ZYX")) == 1


def test_strokes_on_it_leave_objects_as_wide_as_they_are_seen(model: Model) -> None:
    stack, ids = discs(480, 40)
    codes = (ids > 0).astype(np.uint8) + np.uint8(1)
    codes[:, 60:] = 0
    trainer = Trainer(
        [TrainingImage(stack, codes)], tiny_recipe(1), (CELL,), base=model, device=FLOAT32
    )
    list(trainer.run())
    info, known = trainer.current_model().info, model.info.object_diameter_px
    assert known is not None
    assert info.object_diameter_px == pytest.approx(known * info.recipe.network.reduction)
    assert info.object_diameter_px > 1.5 * known
