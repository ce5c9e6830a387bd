"""How far images are reduced by what is annotated."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg.config import Recipe, UNet2015Config, UNetConfig
from napari_unetseg.events import Warned
from napari_unetseg.images import Stack
from napari_unetseg.learning import Trainer, TrainingImage
from napari_unetseg.learning.detail import (
    agreement_when_reduced,
    count_painted,
    with_reduction,
)


def painted(inside: np.ndarray, *, sparse: bool = False) -> TrainingImage:
    codes = inside.astype(np.uint8) + np.uint8(1)
    if sparse:
        codes[codes == 1] = 0
    return TrainingImage(Stack(np.zeros(codes.shape, np.uint8), "ZYX"), codes)


def fitted(network, images):
    return with_reduction(network, images, count_painted(images))


def lines(width_px: float, *, sparse: bool = False) -> TrainingImage:
    y, x = np.indices((96, 96))
    inside = np.zeros((1, 96, 96), bool)
    for slope, at in ((0.4, 3), (0.7, 40), (-0.2, 60)):
        inside[0] |= np.abs(y - slope * x - at) / np.hypot(1, slope) <= width_px / 2
    return painted(inside, sparse=sparse)


@pytest.mark.parametrize(("width_px", "reduction"), [(1, 1), (2, 1), (6, 2), (12, 2)])
def test_images_are_reduced_unless_something_fine_is_annotated(width_px, reduction) -> None:
    assert fitted(UNetConfig(), [lines(width_px)]) == UNetConfig(reduction=reduction)


def test_images_are_not_reduced_for_a_few_strokes() -> None:
    assert fitted(UNetConfig(), [lines(6, sparse=True)]) == UNetConfig(reduction=1)


def test_images_are_reduced_for_many_strokes() -> None:
    codes = np.zeros((3, 500, 500), np.uint8)
    codes[:, 100:200, 100:200] = 2
    image = TrainingImage(Stack(np.zeros(codes.shape, np.uint8), "ZYX"), codes)
    assert not count_painted([image]).dense
    assert fitted(UNetConfig(), [image]) == UNetConfig(reduction=2)
    codes[0] = 0
    assert fitted(UNetConfig(), [image]) == UNetConfig(reduction=1)


@pytest.mark.parametrize(("share", "dense"), [(0.01, False), (0.24, False), (0.25, True)])
def test_slices_are_dense_where_a_quarter_of_them_is_painted(share, dense) -> None:
    codes = np.zeros((3, 100, 100), np.uint8)
    codes[1].flat[: round(share * codes[1].size)] = 1
    image = TrainingImage(Stack(np.zeros(codes.shape, np.uint8), "ZYX"), codes)
    assert count_painted([image]).dense == dense


def test_the_finest_class_decides() -> None:
    image = lines(12)
    image.codes[0, 40:90, 88] = 3
    assert fitted(UNetConfig(), [lines(12)]).reduction == 2
    assert fitted(UNetConfig(), [lines(12), image]).reduction == 1


def test_what_is_asked_for_stays() -> None:
    for network in (UNetConfig(reduction=1), UNetConfig(reduction=4), UNet2015Config()):
        assert fitted(network, [lines(12)]) == network


def test_agreement_is_counted_by_hand() -> None:
    """A pixel alone is averaged away; a square of whole blocks comes back as it was."""
    inside = np.zeros((1, 32, 32), bool)
    inside[0, 9, 9] = True
    assert agreement_when_reduced([painted(inside)], 2) == 0
    inside[0, 8:24, 8:24] = True
    # A corner pixel gets (3/4)², one outside beside an edge 1/4.
    assert agreement_when_reduced([painted(inside)], 2) == 1
    inside[0, 8:24, 8:25] = True
    # The last column is half of its blocks and gets 3/4 · 1/2 + 1/4, at its two ends 3/4 of that.
    assert agreement_when_reduced([painted(inside)], 2) == pytest.approx(270 / 272)


def test_the_reduction_is_kept_in_the_model_and_goes_on_with_it() -> None:
    stack, codes = discs(2, (128, 128))
    image = TrainingImage(stack, codes)
    asked = tiny_recipe(2).replace(network=UNetConfig(depth=2, filters=8).model_dump())
    trainer = Trainer([image], asked, (CELL,), device=FLOAT32)
    list(trainer.run())
    model = trainer.current_model()
    assert model.info.recipe.network.reduction == 2
    assert model.network.multiple_px == (8, 8)
    fine = lines(1)
    fine = TrainingImage(discs(1, (96, 96))[0], fine.codes)
    again = Trainer([fine], Recipe(training=asked.training), (CELL,), base=model, device=FLOAT32)
    assert not any(isinstance(event, Warned) for event in again.run())
    assert again.current_model().info.recipe.network.reduction == 2


def test_every_painted_slice_counts() -> None:
    codes = np.zeros((40, 100, 100), np.uint8)
    codes[:, :10] = 1
    codes[5] = 0
    images = [TrainingImage(Stack(np.zeros(codes.shape, np.uint8), "ZYX"), codes)] * 2
    painted = count_painted(images)
    assert (painted.px, painted.annotated_px) == (2 * 39 * 1000, 2 * 39 * 10_000)
    assert painted.much
    assert not painted.dense
