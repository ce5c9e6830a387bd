from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_unetseg.config import AugmentationConfig
from napari_unetseg.learning.augmentation import (
    augment,
    blur,
    change_grey_values,
    crop_px,
    resample,
    sampling_grid,
)

STILL = AugmentationConfig(
    flip=False,
    rotation_deg=0,
    scale=0,
    elastic=0,
    brightness=0,
    contrast=0,
    gamma=0,
    noise=0,
    blur_px=0,
)
ONLY_GEOMETRY = AugmentationConfig(brightness=0, contrast=0, gamma=0, noise=0, blur_px=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_labels_follow_the_image_exactly() -> None:
    """An image that shows its own labels shows them after any bending and turning."""
    codes = torch.randint(0, 3, (4, 30, 30), generator=seeded(), dtype=torch.uint8)
    codes = codes.repeat_interleave(5, 1).repeat_interleave(5, 2)
    grid = sampling_grid(4, 64, 150, ONLY_GEOMETRY, seeded())
    pixels, moved = resample(codes[:, None].float(), codes, grid)
    # Where bilinear sampling read four equal pixels, it read the label.
    pure = (pixels - pixels.round()).abs()[:, 0] < 1e-4
    agree = pixels[:, 0].round() == moved
    assert pure.float().mean() > 0.5
    assert agree[pure].float().mean() > 0.999
    assert set(moved.unique().tolist()) <= {0, 1, 2}


def test_without_any_change_the_middle_of_the_crop_comes_out() -> None:
    pixels = torch.randn(2, 3, 48, 48)
    codes = torch.randint(0, 5, (2, 48, 48), dtype=torch.uint8)
    same, labels = augment(pixels, codes, 32, STILL, seeded())
    assert torch.allclose(same, pixels[..., 8:40, 8:40], atol=1e-5)
    assert torch.equal(labels, codes[:, 8:40, 8:40])


def test_a_crop_holds_all_that_a_turned_and_scaled_patch_needs() -> None:
    config = AugmentationConfig(elastic=0)
    crop = crop_px(64, config)
    for seed in range(20):
        grid = sampling_grid(8, 64, crop, config, seeded(seed))
        assert grid.abs().max() <= 1


def test_flips_and_rotations_occur() -> None:
    turned = AugmentationConfig(scale=0, elastic=0)
    grid = sampling_grid(64, 8, 16, turned, seeded())
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
    first = augment(pixels, codes, patch, config, seeded(3))
    again = augment(pixels, codes, patch, config, seeded(3))
    assert torch.equal(first[0], again[0])
    assert first[0].shape == (2, 1, patch, patch)
