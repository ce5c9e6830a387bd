"""Grey values near [0, 1], and the fingerprint of an image."""

import numpy as np
import pytest
import tifffile

from napari_unetseg.config import NormalisationConfig
from napari_unetseg.images import Stack, fingerprint, fit_normalisation, open_stack, sample_pixels

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "int64", "float64"])
def test_percentiles_become_0_and_1(dtype):
    image = RNG.integers(10, 120, (2, 3, 64, 64)).astype(dtype)
    image[1] += 5
    stack = Stack(image, "CZYX", channels=("a", "b"))
    fitted = fit_normalisation(stack, NormalisationConfig())
    whole = np.stack([fitted.apply(plane) for plane in stack.planes()])
    assert whole.dtype == np.float32
    for channel in range(2):
        assert np.percentile(whole[:, channel], 0.5) == pytest.approx(0, abs=1e-6)
        assert np.percentile(whole[:, channel], 99.5) == pytest.approx(1, abs=1e-6)


def test_large_numbers_keep_their_differences():
    image = (2**31 + RNG.integers(0, 100, (64, 64))).astype(np.uint32)
    stack = Stack(image, "YX")
    scaled = fit_normalisation(stack, NormalisationConfig(low_percentile=0, high_percentile=100))
    np.testing.assert_allclose(
        scaled.apply(stack.plane(0))[0], (image - image.min()) / 99, atol=1e-6
    )


def test_a_nearly_empty_image_is_not_divided_by_zero():
    image = np.zeros((200, 200), np.uint16)
    image[3, 3] = 1000
    fitted = fit_normalisation(Stack(image, "YX"), NormalisationConfig())
    scaled = fitted.apply(image[np.newaxis])
    assert (scaled.min(), scaled.max()) == (0, 1)


def test_a_constant_channel_becomes_0():
    stack = Stack(np.full((32, 32), 7, np.uint8), "YX")
    assert not fit_normalisation(stack, NormalisationConfig()).apply(stack.plane(0)).any()


def test_values_beyond_the_percentiles_are_not_clipped():
    image = RNG.normal(0, 1, (128, 128)).astype(np.float32)
    scaled = fit_normalisation(Stack(image, "YX"), NormalisationConfig()).apply(image[np.newaxis])
    assert scaled.min() < -0.05
    assert scaled.max() > 1.05


def test_a_sample_of_a_large_stack_is_small_and_reaches_its_ends():
    image = np.zeros((100, 600, 600), np.uint8)
    image[0], image[-1] = 1, 2
    sample = sample_pixels(Stack(image, "ZYX"))
    assert sample.shape[1] <= 16 * 65536
    assert {1, 2} <= set(np.unique(sample))


def test_a_fingerprint_does_not_depend_on_the_file_format(tmp_path):
    image = RNG.integers(0, 1000, (3, 40, 50)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image, byteorder=">", photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", image, compression="lzw", photometric="minisblack")
    prints = {fingerprint(open_stack(tmp_path / name)) for name in ("a.tif", "b.tif")}
    assert prints == {fingerprint(Stack(image, "ZYX"))}


def test_a_fingerprint_tells_images_apart():
    image = RNG.integers(0, 255, (3, 40, 50)).astype(np.uint8)
    changed = image.copy()
    changed[1] += 1
    stacks = [
        Stack(image, "ZYX"),
        Stack(changed, "ZYX"),
        Stack(image.astype(np.uint16), "ZYX"),
        Stack(image, "CYX", channels=("a", "b", "c")),
    ]
    assert len({fingerprint(stack) for stack in stacks}) == 4
