from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_data import CELL, discs

from napari_unetseg import UserError
from napari_unetseg.annotations import assign_blocks, held_out_mask, new_blocks
from napari_unetseg.config import NormalisationConfig
from napari_unetseg.images import Stack
from napari_unetseg.learning import TrainingImage
from napari_unetseg.learning.data import PatchSampler, check_annotations, load_planes


def planes_of(image: TrainingImage, margin: int = 48):
    return list(load_planes([image], NormalisationConfig(), margin))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_held_out_pixels_are_seen_and_never_learned_from() -> None:
    stack, codes = discs(3, (200, 260))
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks)
    planes = planes_of(TrainingImage(stack, codes, blocks))
    for index, plane in enumerate(planes):
        held = torch.from_numpy(held_out_mask(blocks, index, (200, 260)))
        assert held.any()
        assert not plane.targets[held].any()
        assert torch.equal(plane.held_out > 0, held)
        assert plane.pixels[0][held].std() > 0


def test_only_annotated_slices_are_read_and_only_around_annotations() -> None:
    stack, codes = discs(3, (400, 400))
    few = np.zeros_like(codes)
    few[1, 390:395, 300:380] = codes[1, 390:395, 300:380]
    (plane,) = planes_of(TrainingImage(stack, few))
    height, width = plane.targets.shape
    assert height < 120
    assert width < 240
    assert int((plane.targets > 0).sum()) == 5 * 80


def test_classes_are_drawn_alike_however_rare_they_are() -> None:
    codes = np.ones((1, 256, 256), np.uint8)
    codes[0, 40:44, 60:64] = 2
    stack = Stack(np.random.default_rng(0).integers(0, 255, codes.shape, np.uint8), "ZYX")
    sampler = PatchSampler(planes_of(TrainingImage(stack, codes)), 32, 8, seeded())
    _, drawn = sampler.draw(200)
    assert 70 < int((drawn == 2).flatten(1).any(1).sum()) < 140


def test_every_patch_from_strokes_holds_a_label() -> None:
    stack, codes = discs(2, (300, 300))
    sparse = np.zeros_like(codes)
    sparse[1, 150:155, 20:70] = codes[1, 150:155, 20:70]
    sparse[1, 20:25, 250:290] = codes[1, 20:25, 250:290]
    sampler = PatchSampler(planes_of(TrainingImage(stack, sparse)), 64, 20, seeded())
    _, drawn = sampler.draw(50)
    assert (drawn > 0).flatten(1).any(1).all()


def test_crops_beyond_the_slice_are_mirrored() -> None:
    pixels = np.arange(20 * 24, dtype=np.uint8).reshape(1, 20, 24) % 251
    codes = np.ones((1, 20, 24), np.uint8)
    planes = planes_of(TrainingImage(Stack(pixels, "ZYX"), codes))
    sampler = PatchSampler(planes, 64, 0, seeded())
    crops, _ = sampler.draw(1)
    found = set(crops.unique().tolist())
    assert found <= set(planes[0].pixels.float().unique().tolist())


def test_a_class_without_pixels_is_named() -> None:
    planes = planes_of(TrainingImage(*discs()))
    empty = CELL.replace(name="vesicle")
    with pytest.raises(UserError, match="vesicle"):
        check_annotations(planes, [CELL, empty])
    check_annotations(planes, [CELL, empty], known=frozenset({"vesicle"}))
    with pytest.raises(UserError, match="name every class"):
        check_annotations(planes, [])


def test_labels_of_another_shape_are_refused() -> None:
    stack, codes = discs()
    with pytest.raises(UserError, match="slices"):
        TrainingImage(stack, codes[:, :-1])
