from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_unetseg.config import AugmentationConfig
from napari_unetseg.learning.augmentation import (
    Patch,
    augment,
    crop_px,
    resample,
    sampling_grid,
)
from napari_unetseg.learning.grey_values import blank_a_section, blur, change_grey_values

STILL = AugmentationConfig.none()
ONLY_GEOMETRY = AugmentationConfig(
    brightness=0, contrast=0, gamma=0, noise=0, blur_px=0, section_dropout=0
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_labels_follow_the_image_exactly() -> None:
    """An image that shows its own labels shows them after any bending and turning."""
    codes = torch.randint(0, 3, (4, 30, 30), generator=seeded(), dtype=torch.uint8)
    codes = codes.repeat_interleave(5, 1).repeat_interleave(5, 2)
    grid = sampling_grid(4, Patch((64, 64)), (150, 150), ONLY_GEOMETRY, seeded())
    pixels, moved, _ = resample(codes[:, None].float(), codes, grid, {})
    # Where bilinear sampling read four equal pixels, it read the label.
    pure = (pixels - pixels.round()).abs()[:, 0] < 1e-4
    agree = pixels[:, 0].round() == moved
    assert pure.float().mean() > 0.5
    assert agree[pure].float().mean() > 0.999
    assert set(moved.unique().tolist()) <= {0, 1, 2}


def test_without_any_change_the_middle_of_the_crop_comes_out() -> None:
    pixels = torch.randn(2, 3, 48, 48)
    codes = torch.randint(0, 5, (2, 48, 48), dtype=torch.uint8)
    same, labels, _ = augment(pixels, codes, Patch((32, 32)), STILL, seeded())
    assert torch.allclose(same, pixels[..., 8:40, 8:40], atol=1e-5)
    assert torch.equal(labels, codes[:, 8:40, 8:40])


def test_a_crop_holds_all_that_a_turned_and_scaled_patch_needs() -> None:
    config = AugmentationConfig(elastic=0)
    patch = Patch((64, 64))
    crop = crop_px(patch, config)
    for seed in range(20):
        grid = sampling_grid(8, patch, crop, config, seeded(seed))
        assert grid.abs().max() <= 1


def test_flips_and_rotations_occur() -> None:
    turned = AugmentationConfig(scale=0, elastic=0)
    grid = sampling_grid(64, Patch((8, 8)), (16, 16), turned, seeded())
    across, down = grid[:, 0, -1] - grid[:, 0, 0], grid[:, -1, 0] - grid[:, 0, 0]
    turn = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    assert 16 < int((turn < 0).sum()) < 48
    assert torch.allclose(turn.abs(), turn.abs()[0].expand(64), rtol=1e-4)


def test_blur_is_that_of_scipy() -> None:
    pixels = torch.rand(2, 2, 24, 24, generator=seeded())
    blurred = blur(pixels, torch.tensor([0.8, 1.5]))
    for k, sigma in enumerate((0.8, 1.5)):
        for channel in range(2):
            expected = ndimage.gaussian_filter(
                pixels[k, channel].numpy(), sigma, mode="mirror", radius=4
            )
            assert np.allclose(blurred[k, channel].numpy(), expected, atol=1e-5)


def test_grey_values_change_and_stay_finite() -> None:
    pixels = torch.rand(4, 1, 16, 16) * 1.4 - 0.2
    changed = change_grey_values(pixels, AugmentationConfig(), seeded())
    assert changed.isfinite().all()
    assert not torch.allclose(changed, pixels, atol=0.01)
    assert torch.allclose(change_grey_values(pixels, STILL, seeded()), pixels, atol=1e-6)


@pytest.mark.parametrize("patch", [32, 64])
def test_the_same_seed_gives_the_same_patches(patch: int) -> None:
    config = AugmentationConfig()
    pixels, codes = torch.rand(2, 1, 128, 128), torch.ones(2, 128, 128, dtype=torch.uint8)
    first = augment(pixels, codes, Patch((patch, patch)), config, seeded(3))[:2]
    again = augment(pixels, codes, Patch((patch, patch)), config, seeded(3))
    assert torch.equal(first[0], again[0])
    assert first[0].shape == (2, 1, patch, patch)


def volumes(anisotropy: float) -> tuple[torch.Tensor, torch.Tensor, Patch]:
    """Return labels of cuboids, an image that shows them, and what to cut out of it."""
    patch = Patch((max(2, round(24 / anisotropy)), 24, 24), anisotropy)
    crop = crop_px(patch, ONLY_GEOMETRY)
    codes = torch.randint(0, 3, (2, *(-(-n // 6) for n in crop)), generator=seeded())
    for axis in (1, 2, 3):
        codes = codes.repeat_interleave(6, axis)
    codes = codes[:, : crop[0], : crop[1], : crop[2]].to(torch.uint8)
    return codes[:, None].float(), codes, patch


@pytest.mark.parametrize("anisotropy", [1.0, 1.7, 4.0])
def test_labels_follow_the_volume_exactly(anisotropy: float) -> None:
    shown, codes, patch = volumes(anisotropy)
    pixels, moved, _ = augment(shown, codes, patch, ONLY_GEOMETRY, seeded(1))
    assert pixels.shape == (2, 1, *patch.shape)
    pure = (pixels - pixels.round()).abs()[:, 0] < 1e-4
    assert pure.float().mean() > 0.3
    assert (pixels[:, 0].round() == moved)[pure].float().mean() > 0.998


@pytest.mark.parametrize("anisotropy", [1.0, 1.7, 4.0])
def test_without_any_change_the_middle_of_a_volume_comes_out(anisotropy: float) -> None:
    pixels = torch.randn(2, 2, 10, 20, 20)
    codes = torch.randint(0, 5, (2, 10, 20, 20), dtype=torch.uint8)
    depth = 10 if anisotropy == 4 else 6
    patch = Patch((depth, 16, 16), anisotropy)
    same, labels, _ = augment(pixels, codes, patch, STILL, seeded())
    z = slice((10 - depth) // 2, (10 + depth) // 2)
    assert torch.allclose(same, pixels[:, :, z, 2:18, 2:18], atol=1e-5)
    assert torch.equal(labels, codes[:, z, 2:18, 2:18])


def test_a_volume_is_turned_without_changing_lengths_in_micrometres() -> None:
    """Steps along Z, Y and X stay at right angles and of the lengths they had."""
    config = AugmentationConfig(scale=0, elastic=0)
    patch = Patch((12, 24, 24), 1.5)
    crop = crop_px(patch, config)
    grid = sampling_grid(16, patch, crop, config, seeded())
    assert grid.abs().max() <= 1
    physical = grid * torch.tensor([crop[2] / 2, crop[1] / 2, crop[0] / 2 * 1.5])
    origin = physical[:, 0, 0, 0]
    steps = torch.stack(
        [physical[:, *beside] - origin for beside in ((1, 0, 0), (0, 1, 0), (0, 0, 1))], dim=1
    )
    expected = torch.diag(torch.tensor([1.5**2, 1.0, 1.0])).expand(16, 3, 3)
    assert torch.allclose(steps @ steps.transpose(1, 2), expected, atol=1e-4)
    assert steps[:, 0, :2].abs().max() > 0.5  # tilted


def test_thick_sections_are_not_mixed_and_all_turned_alike() -> None:
    pixels = torch.arange(6.0).view(1, 1, 6, 1, 1).expand(2, 1, 6, 60, 60)
    codes = torch.arange(6, dtype=torch.uint8).view(1, 6, 1, 1).expand(2, 6, 60, 60)
    patch = Patch((6, 32, 32), 4.0)
    orders = set()
    for seed in range(6):
        moved, labels, _ = augment(pixels, codes, patch, ONLY_GEOMETRY, seeded(seed))
        assert torch.allclose(moved[:, 0], labels.float(), atol=1e-4)
        assert torch.equal(labels, labels[..., :1, :1].expand(2, 6, 32, 32))
        orders |= {tuple(one[:, 0, 0].tolist()) for one in labels}
    assert orders == {(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0)}


def test_neighbouring_sections_change_sides_together_with_their_channels() -> None:
    pixels = torch.arange(6.0).view(1, 6, 1, 1).expand(8, 6, 24, 24)  # 3 sections of 2 channels
    codes = torch.ones(8, 24, 24, dtype=torch.uint8)
    patch = Patch((16, 16), neighbours=1)
    moved, _, _ = augment(pixels, codes, patch, ONLY_GEOMETRY, seeded())
    orders = {tuple(one[:, 0, 0].round().tolist()) for one in moved}
    assert orders == {(0, 1, 2, 3, 4, 5), (4, 5, 2, 3, 0, 1)}


def test_a_section_is_blank_in_some_patches_and_never_the_one_asked_for() -> None:
    pixels = torch.rand(400, 6, 4, 4, generator=seeded())  # 3 sections of 2 channels
    changed = (blank_a_section(pixels, 3, 0.25, seeded()) != pixels).flatten(2).any(2)
    assert 60 < int(changed.any(1).sum()) < 140
    assert not changed[:, 2:4].any()
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert 20 < int(changed[:, 0].sum()) < 80
    assert not (changed[:, 0] & changed[:, 4]).any()


def test_any_section_of_a_volume_may_be_blank_but_one_at_a_time() -> None:
    pixels = torch.rand(300, 1, 5, 4, 4, generator=seeded())
    blank = blank_a_section(pixels, 5, 1.0, seeded())
    changed = (blank != pixels).flatten(3).any(3)[:, 0]
    assert changed.sum(1).tolist() == [1] * 300
    assert changed.any(0).all()
    assert torch.allclose(blank[changed[:, None]].std(dim=(1, 2)), torch.zeros(300), atol=1e-6)


def test_section_dropout_does_nothing_to_single_slices() -> None:
    pixels, codes = torch.rand(2, 3, 48, 48), torch.ones(2, 48, 48, dtype=torch.uint8)
    without, with_it = (
        augment(pixels, codes, Patch((32, 32)), config, seeded())[0]
        for config in (ONLY_GEOMETRY, ONLY_GEOMETRY.replace(section_dropout=1.0))
    )
    assert torch.equal(with_it, without)


def test_bending_is_what_bicubic_interpolation_makes_of_the_coarse_grid() -> None:
    """With everything else off, patches as large as the crop are moved by the bending alone."""
    bent, patch = STILL.replace(elastic=0.1), Patch((40, 40))
    grid = sampling_grid(3, patch, (40, 40), STILL, seeded())
    moved = sampling_grid(3, patch, (40, 40), bent, seeded(4)) - grid
    generator = seeded(4)
    for _ in range(2):  # angle and scale
        torch.rand(3, generator=generator)
    n = bent.elastic_grid
    coarse = torch.randn(3, 2, n, n, generator=generator) * 0.1 * 40
    smooth = torch.nn.functional.interpolate(coarse, size=(40, 40), mode="bicubic")
    assert torch.allclose(moved * 40 / 2, smooth.movedim(1, -1), atol=1e-4)
