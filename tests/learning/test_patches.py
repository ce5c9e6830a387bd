from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_data import CELL, discs

from napari_unetseg import UserError
from napari_unetseg.annotations import assign_blocks, held_out_mask, new_blocks
from napari_unetseg.config import NormalisationConfig
from napari_unetseg.images import Stack
from napari_unetseg.learning import TrainingImage
from napari_unetseg.learning.data import check_annotations, load_regions
from napari_unetseg.learning.patch_sampler import PatchSampler


def planes_of(image: TrainingImage, margin: int = 48):
    return list(load_regions([image], NormalisationConfig(), (margin, margin)))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_held_out_pixels_are_seen_and_never_learned_from() -> None:
    stack, codes = discs(3, (200, 260))
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
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
    sampler = PatchSampler(planes_of(TrainingImage(stack, codes)), (32, 32), (8, 8), seeded())
    _, drawn, _ = sampler.draw(200)
    assert 70 < int((drawn == 2).flatten(1).any(1).sum()) < 140


def test_every_patch_from_strokes_holds_a_label() -> None:
    stack, codes = discs(2, (300, 300))
    sparse = np.zeros_like(codes)
    sparse[1, 150:155, 20:70] = codes[1, 150:155, 20:70]
    sparse[1, 20:25, 250:290] = codes[1, 20:25, 250:290]
    sampler = PatchSampler(planes_of(TrainingImage(stack, sparse)), (64, 64), (20, 20), seeded())
    _, drawn, _ = sampler.draw(50)
    assert (drawn > 0).flatten(1).any(1).all()


def test_crops_beyond_the_slice_are_mirrored() -> None:
    pixels = np.arange(20 * 24, dtype=np.uint8).reshape(1, 20, 24) % 251
    codes = np.ones((1, 20, 24), np.uint8)
    planes = planes_of(TrainingImage(Stack(pixels, "ZYX"), codes))
    sampler = PatchSampler(planes, (64, 64), (0, 0), seeded())
    crops, _, _ = sampler.draw(1)
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


def test_annotations_that_are_all_held_out_are_refused_also_with_a_base() -> None:
    planes = planes_of(TrainingImage(*discs()))
    held = [replace(p, targets=torch.zeros_like(p.targets), held_out=p.targets) for p in planes]
    with pytest.raises(UserError, match="kept to score with"):
        check_annotations(held, [CELL], known=frozenset({CELL.name}))


def test_labels_of_another_shape_are_refused() -> None:
    stack, codes = discs()
    with pytest.raises(UserError, match="slices"):
        TrainingImage(stack, codes[:, :-1])


def numbered(axes: str, *shape: int) -> TrainingImage:
    """Return an image whose every slice has a grey value of its own, labelled throughout."""
    n_planes = int(np.prod([n for axis, n in zip(axes, shape, strict=True) if axis in "TZ"]))
    shape_of = [n if axis in "TZ" else 1 for axis, n in zip(axes, shape, strict=True)]
    pixels = np.broadcast_to(np.arange(n_planes).reshape(shape_of), shape).astype(np.uint8)
    codes = np.ones((n_planes, *shape[-2:]), np.uint8)
    return TrainingImage(Stack(pixels, axes), codes)


def ranks(values: torch.Tensor) -> list[int]:
    """Return the numbers of slices from their normalised grey values, which are spread evenly."""
    return values.float().unique(return_inverse=True)[1].tolist()


def test_neighbouring_slices_are_mirrored_at_the_ends_and_never_of_another_time_point() -> None:
    image = numbered("TZYX", 2, 3, 20, 20)
    regions = list(load_regions([image], NormalisationConfig(), (8, 8), neighbours=1))
    seen = torch.stack([region.pixels[:, 0, 0] for region in regions])
    assert ranks(seen) == [[1, 0, 1], [0, 1, 2], [1, 2, 1], [4, 3, 4], [3, 4, 5], [4, 5, 4]]
    assert regions[0].targets.shape == (20, 20)


def test_channels_of_a_slice_stay_together_among_those_of_its_neighbours() -> None:
    pixels = np.arange(6).reshape(2, 3, 1, 1).repeat(16, 2).repeat(16, 3).astype(np.float32)
    stack = Stack(pixels, "CZYX", channels=("a", "b"))
    codes = np.zeros((3, 16, 16), np.uint8)
    codes[1] = 1
    (region,) = load_regions([TrainingImage(stack, codes)], NormalisationConfig(), (8, 8), 1)
    found = region.pixels[:, 0, 0].float()
    assert torch.equal(found[0::2], found[1::2])  # each channel is scaled by itself
    assert found[0] < found[2] < found[4]


def test_a_volume_is_cut_to_what_is_annotated_and_a_margin_and_never_across_time() -> None:
    image = numbered("TZYX", 2, 40, 100, 100)
    codes = np.zeros_like(image.codes)
    codes[5, 80:90, 80:90] = 2  # the first time point, twice, far apart
    codes[30, 80:90, 80:90] = 1
    codes[41, 10:20, 10:20] = 1  # the second, near its beginning
    image = TrainingImage(image.stack, codes)
    regions = list(load_regions([image], NormalisationConfig(), (6, 10, 10)))
    assert [tuple(region.targets.shape) for region in regions] == [
        (12, 36, 36),
        (13, 36, 36),
        (8, 30, 30),
    ]
    assert [int((region.targets > 0).sum()) for region in regions] == [100, 100, 100]
    first = torch.stack([region.pixels[0, 0, 0, 0] for region in regions]).float()
    assert first[0] < first[1] < first[2]
    assert all(region.pixels.shape[1:] == region.targets.shape for region in regions)


@pytest.mark.parametrize(("margin", "neighbours"), [((48, 48), 1), ((8, 48, 48), 0)])
def test_no_section_of_a_held_out_box_is_learned_from(
    margin: tuple[int, ...], neighbours: int
) -> None:
    pixels, codes = discs(6, (200, 260))
    stack = Stack(pixels.data, "ZYX", {"Z": 3.0, "Y": 0.1, "X": 0.1})  # boxes of 3 sections
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
    image = TrainingImage(stack, codes, blocks)
    regions = list(load_regions([image], NormalisationConfig(), margin, neighbours))
    held = torch.cat([region.held_out.reshape(-1, 200, 260) for region in regions]) > 0
    trains = torch.cat([region.targets.reshape(-1, 200, 260) for region in regions]) > 0
    assert torch.equal(trains, ~held)
    assert len(held) == 6
    for box in (held[:3], held[3:]):
        assert box.any()
        assert torch.equal(box.all(dim=0), box.any(dim=0))
    squares = np.stack([held_out_mask(blocks, z, (200, 260)) for z in range(6)])
    assert (squares != held.numpy()).any()


def test_every_crop_of_a_volume_holds_a_label_and_shows_what_lies_under_it() -> None:
    _, codes = discs(6, (80, 90))
    sparse = np.zeros_like(codes)
    sparse[3, 40:44, 20:70] = codes[3, 40:44, 20:70]
    shown = Stack(sparse * 50, "ZYX")
    image = TrainingImage(shown, sparse)
    regions = list(load_regions([image], NormalisationConfig(), (8, 48, 48)))
    sampler = PatchSampler(regions, (4, 32, 32), (1, 8, 8), seeded())
    pixels, drawn, _ = sampler.draw(40)
    assert pixels.shape == (40, 1, 4, 32, 32)
    assert (drawn > 0).flatten(1).any(1).all()
    grey_of = [float(pixels[:, 0][drawn == code].mean()) for code in (0, 1, 2)]
    assert grey_of[0] < grey_of[1] < grey_of[2]
    assert all(pixels[:, 0][drawn == code].std() < 1e-3 for code in (1, 2))
