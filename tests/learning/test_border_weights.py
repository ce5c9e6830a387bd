from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
import tifffile
import torch
from skimage.segmentation import watershed

from napari_unetseg.config import AugmentationConfig, NormalisationConfig
from napari_unetseg.learning import read_training_set
from napari_unetseg.learning.augmentation import Patch, augment, crop_px
from napari_unetseg.learning.border_weights import border_weights
from napari_unetseg.learning.data import LabelledRegion, load_regions
from napari_unetseg.learning.patch_sampler import PatchSampler


def brute_force(ids, weight, sigma_px, spacing=1.0):
    """Measure every pixel's distance to every pixel of every object."""
    pixels = np.argwhere(np.ones(ids.shape)) * spacing
    distances = np.sort(
        [
            np.sqrt(((pixels[:, None] - np.argwhere(ids == k)[None] * spacing) ** 2).sum(-1)).min(1)
            for k in np.unique(ids[ids > 0])
        ],
        axis=0,
    )
    both = distances[0] + distances[1]
    return (weight * np.exp(-(both**2) / (2 * sigma_px**2))).reshape(ids.shape)


def random_objects(shape, n, seed=0):
    """Return ids of blobs that partly touch, with gaps between the ids."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros(shape, np.uint32)
    seeds[tuple(rng.integers(0, size, n) for size in shape)] = rng.permutation(7 * n)[:n] + 1
    away = np.linalg.norm(np.indices(shape) - np.reshape(shape, (-1,) + (1,) * len(shape)), axis=0)
    return watershed(rng.random(shape), seeds, mask=np.sin(away / 3) > -0.6).astype(np.uint32)


@pytest.mark.parametrize("shape", [(40, 50), (9, 16, 14)])
@pytest.mark.parametrize("sigma_px", [1.0, 5.0])
def test_weights_are_those_of_the_formula(shape, sigma_px):
    ids = random_objects(shape, 7)
    assert len(np.unique(ids)) > 4
    weights = border_weights(ids, 10, sigma_px)
    assert weights.dtype == np.float32
    assert np.allclose(weights, brute_force(ids, 10, sigma_px), atol=1e-5)


def test_distances_in_volumes_count_how_thick_a_section_is():
    ids = random_objects((9, 16, 14), 7)
    weights = border_weights(ids, 10, 3, anisotropy=2.5)
    assert np.allclose(weights, brute_force(ids, 10, 3, np.array([2.5, 1, 1])), atol=1e-5)
    assert not np.allclose(weights, border_weights(ids, 10, 3), atol=0.1)


def test_objects_that_fill_the_image_weigh_most_where_they_touch():
    ids = np.repeat([[3, 9]], 30, axis=1).astype(np.uint32)
    weights = border_weights(ids, 10, 5)
    assert np.allclose(weights, brute_force(ids, 10, 5), atol=1e-5)
    assert weights.argmax() in (29, 30)


@pytest.mark.parametrize("objects", [0, 1])
def test_without_two_objects_there_is_no_border(objects):
    ids = np.zeros((20, 20), np.uint32)
    ids[5:9, 5:9] = objects
    assert not border_weights(ids, 10, 5).any()


def test_an_image_of_fifty_cells_takes_less_than_a_second():
    ids = np.zeros((520, 696), np.uint32)
    for k in range(50):
        y, x = divmod(k, 10)
        ids[y * 104 : y * 104 + 90, x * 69 : x * 69 + 64] = k + 1
    began = time.process_time()
    border_weights(ids, 10, 5)
    assert time.process_time() - began < 1


def test_weights_go_with_the_pixels_through_sampling_and_augmentation():
    """Where weights are the grey values, they still are after everything was turned and bent."""
    generator = torch.Generator().manual_seed(0)
    grey = torch.rand(1, 90, 100, generator=generator).half()
    codes = (grey[0] > 0.5).byte() + 1
    regions = [LabelledRegion(grey, codes, torch.zeros_like(codes), {"border": grey[0]})]
    config = AugmentationConfig(
        brightness=0, contrast=0, gamma=0, noise=0, blur_px=0, section_dropout=0
    )
    patch = Patch((32, 32))
    crop = crop_px(patch, config)
    sampler = PatchSampler(regions, crop, (10, 10), generator)
    pixels, codes, objects = sampler.draw(4)
    assert torch.equal(objects["border"], pixels[:, 0])
    pixels, codes, objects = augment(pixels, codes, patch, config, generator, objects)
    border = objects["border"]
    assert border.shape == codes.shape == (4, 32, 32)
    assert torch.allclose(border, pixels[:, 0], atol=1e-5)


def test_weights_are_turned_over_with_the_sections_of_a_volume():
    generator = torch.Generator().manual_seed(0)
    grey = torch.rand(8, 1, 6, 16, 16, generator=generator)
    off = AugmentationConfig.none().replace(flip=True)
    patch = Patch((6, 16, 16), anisotropy=4.0)
    codes = torch.ones(8, 6, 16, 16, dtype=torch.uint8)
    pixels, _, objects = augment(grey, codes, patch, off, generator, {"border": grey[:, 0]})
    border = objects["border"]
    assert torch.allclose(border, pixels[:, 0], atol=1e-5)
    assert not torch.allclose(border, grey[:, 0], atol=1e-5)


def test_object_files_bring_ids_and_mask_files_none(tmp_path):
    ids = random_objects((40, 50), 7)
    tifffile.imwrite(tmp_path / "image.tif", ids.astype(np.uint8))
    tifffile.imwrite(tmp_path / "ids.tif", ids)
    read = [
        read_training_set([tmp_path / "image.tif"], [tmp_path / "ids.tif"], kind).images[0]
        for kind in ("objects", "masks")
    ]
    assert np.array_equal(read[0].ids[0], ids)
    assert read[1].ids is None
    whole = partial(border_weights, weight=10.0, sigma_px=5.0)
    (region,) = load_regions(
        read[:1], NormalisationConfig(), (256, 256), from_ids={"border": whole}
    )
    border = region.maps["border"]
    assert np.allclose(border, border_weights(ids, 10, 5), atol=0.01)
    assert border.max() > 5
