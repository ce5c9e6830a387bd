"""Steps before a method, against scikit-image and SciPy by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import exposure, restoration

from napari_unetseg.classical import FILTERS, View, parse_params, parse_step
from napari_unetseg.classical.smoothing import ball, noise_of
from napari_unetseg.errors import UserError

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")


def picture(shape=(2, 41, 53), dtype="uint8", seed=0):
    random = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(random.normal(0, 1, shape), (0, *(3,) * (len(shape) - 1)))
    values = 120 + 300 * values + random.normal(0, 5, shape)
    if np.dtype(dtype).kind == "f":
        return (values / 50 - 2).astype(dtype)
    return values.clip(0, 255).astype(dtype)


def apply(step, view):
    settings = parse_step(step)
    return FILTERS[settings.step].apply(view, settings.checked())


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 5), (2, 20, 30), (1, 1, 7), (2, 4, 12, 9)])
def test_any_image_keeps_its_shape_and_is_left_as_it_was(name, dtype, shape):
    pixels = picture(shape, dtype)
    before = pixels.copy()
    in_3d = len(shape) == 4
    params = FILTERS[name].params
    given = {"in_3d": True} if in_3d and "in_3d" in params.model_fields else {}
    found = FILTERS[name].apply(View(pixels, 2.0), params(**given))
    assert found.shape == ((1, *shape[1:]) if name == "channel" else shape)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_of_a_constant_image_a_constant_one_is_left(name, dtype):
    found = FILTERS[name].apply(View(np.full((2, 20, 30), 7, dtype)), FILTERS[name].params())
    assert np.ptp(found) <= 1e-5


@pytest.mark.parametrize("dtype", DTYPES)
def test_gaussian_is_that_of_scipy_and_follows_the_shape_of_voxels(dtype):
    pixels = picture((2, 9, 30, 20), dtype)
    found = apply("gaussian:sigma_px=2,in_3d=on", View(pixels, 4.0))
    for channel, got in zip(pixels, found, strict=True):
        expected = ndimage.gaussian_filter(channel.astype(float), (0.5, 2, 2))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("radius", [1, 2, 4, 7])
def test_median_is_that_of_a_disc(dtype, radius):
    pixels = picture(dtype=dtype)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = y**2 + x**2 <= radius**2
    found = apply(f"median:radius_px={radius}", View(pixels))
    assert found.dtype == pixels.dtype
    for channel, got in zip(pixels, found, strict=True):
        np.testing.assert_array_equal(got, ndimage.median_filter(channel, footprint=disc))


def test_median_in_3d_looks_no_further_along_z_than_in_a_slice():
    pixels = picture((1, 9, 20, 20))
    flat = ball((1.0, 2.0, 2.0))
    found = apply("median:radius_px=2,in_3d=on", View(pixels, 2.0))
    np.testing.assert_array_equal(found[0], ndimage.median_filter(pixels[0], footprint=flat))
    assert flat.shape == (3, 5, 5)
    # Sections that are farther apart than the radius are not looked at.
    alone = apply("median:radius_px=2,in_3d=on", View(pixels, 10.0))
    by_slice = apply("median:radius_px=2", View(pixels[:, 3]))
    np.testing.assert_array_equal(alone[:, 3], by_slice)


@pytest.mark.parametrize("sigma", [0.5, 5.0, 40.0])
def test_white_noise_is_measured_beside_structure(sigma):
    y, x = np.mgrid[:200, :200]
    structure = 100 * np.sin(y / 15) * np.cos(x / 20)
    noisy = structure + np.random.default_rng(0).normal(0, sigma, structure.shape)
    assert noise_of(noisy) == pytest.approx(sigma, rel=0.1)


def test_non_local_means_is_that_of_scikit_image():
    pixels = picture((1, 40, 50), "float32")
    noise = noise_of(pixels[0])
    expected = restoration.denoise_nl_means(pixels[0], 5, 6, 0.5 * noise, sigma=noise)
    found = apply("nl_means:strength_percent=50", View(pixels))
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


@pytest.mark.parametrize("step", ["nl_means", "total_variation"])
@pytest.mark.parametrize("in_3d", ["off", "on"])
def test_noise_goes_and_an_edge_stays(step, in_3d):
    shape = (6, 48, 48) if in_3d == "on" else (48, 48)
    truth = np.zeros(shape)
    truth[..., 24:] = 100
    noisy = truth + np.random.default_rng(0).normal(0, 10, shape)
    found = apply(f"{step}:in_3d={in_3d}", View(noisy[np.newaxis].astype("float32")))[0]
    assert np.abs(found - truth).mean() < 0.5 * np.abs(noisy - truth).mean()
    assert (found[..., 24] - found[..., 23]).mean() > 60


def test_total_variation_is_that_of_scikit_image_on_stretched_grey_values():
    pixels = picture((1, 40, 50), "float64")
    low, span = pixels.min(), np.ptp(pixels)
    expected = restoration.denoise_tv_chambolle((pixels[0] - low) / span, 0.2, max_num_iter=50)
    found = apply("total_variation:strength_percent=20", View(pixels))
    np.testing.assert_allclose(found[0], expected * span + low, rtol=1e-6)


def uneven(shape=(200, 240), dark=False):
    """Discs of one brightness on a ground that is brighter on one side, and where they are."""
    y, x = np.indices(shape)
    truth = ((y % 40 - 20) ** 2 + (x % 40 - 20) ** 2) < 36
    image = 40 + 100 * x / shape[1] + (-30 if dark else 30) * truth
    return image.astype(np.float32), truth


@pytest.mark.parametrize("method", ["gaussian", "rolling ball", "top-hat"])
@pytest.mark.parametrize("foreground", ["bright", "dark"])
def test_structures_on_an_uneven_ground_are_told_by_one_threshold_afterwards(method, foreground):
    image, truth = uneven(dark=foreground == "dark")
    step = f"background:method={method},radius_px=30,foreground={foreground}"
    found = apply(step, View(image[np.newaxis]))[0][20:-20, 40:-40]
    inside, outside = found[truth[20:-20, 40:-40]], found[~truth[20:-20, 40:-40]]
    if foreground == "bright":
        assert inside.min() > outside.max()
    else:
        assert inside.max() < outside.min()


def test_a_wide_blur_is_that_of_scipy_within_a_percent():
    image = picture((1, 150, 130), "float32")[0]
    found = apply("background:radius_px=25", View(image[np.newaxis]))[0]
    expected = image - ndimage.gaussian_filter(image, 25)
    assert np.abs(found - expected).max() < 0.01 * np.ptp(image)


def test_top_hat_is_that_of_scipy():
    pixels = picture((1, 40, 50), "float32")
    found = apply("background:method=top-hat,radius_px=4", View(pixels))
    np.testing.assert_allclose(found[0], ndimage.white_tophat(pixels[0], 9), atol=1e-5)


def test_a_small_ball_rolls_as_that_of_scikit_image():
    image = picture((1, 60, 70), "float32")[0]
    image = (image - image.min()) / np.ptp(image) * 255
    found = apply("background:method=rolling ball,radius_px=8", View(image[np.newaxis]))
    expected = image - restoration.rolling_ball(image, radius=8)
    np.testing.assert_allclose(found[0], expected, atol=0.01)


def test_a_large_ball_on_a_reduced_image_leaves_about_the_same():
    image, _ = uneven()
    image = (image - image.min()) / np.ptp(image) * 255
    found = apply("background:method=rolling ball,radius_px=40", View(image[np.newaxis]))
    expected = image - restoration.rolling_ball(image, radius=40)
    assert np.abs(found[0] - expected).mean() < 0.02 * 255


def test_clahe_is_that_of_scikit_image_whatever_the_scale_of_grey_values():
    image = picture((1, 64, 80), "uint8")[0]
    scaled = (image - image.min()) / np.float32(np.ptp(image))
    expected = exposure.equalize_adapthist(scaled.astype(np.float32), [32, 32], 0.03)
    for dtype, times in (("uint8", 1), ("uint16", 200), ("float32", 0.01)):
        given = (image.astype(float) * times).astype(dtype)
        found = apply("clahe:tile_px=32,clip_percent=3", View(given[np.newaxis]))[0]
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_the_negative_of_a_negative_is_the_image():
    for dtype in DTYPES:
        pixels = picture(dtype=dtype)
        once = apply("invert", View(pixels))
        assert np.argmax(once) == np.argmin(pixels)
        twice = apply("invert", View(once))
        np.testing.assert_array_equal(twice, pixels)
    assert apply("invert", View(np.array([[[0, 255]]], np.uint8))).tolist() == [[[255, 0]]]
    lowest = np.array([[[-32768, 32767]]], np.int16)
    assert apply("invert", View(lowest)).tolist() == [[[32768.0, -32767.0]]]


def test_a_channel_is_taken_by_its_number_and_one_that_is_not_there_is_said():
    pixels = picture((3, 5, 6))
    np.testing.assert_array_equal(apply("channel:channel=2", View(pixels)), pixels[1:2])
    with pytest.raises(UserError, match="has 3 channels; there is no channel 4"):
        apply("channel:channel=4", View(pixels))
    with pytest.raises(UserError, match="has one channel; there is no channel 2"):
        apply("channel:channel=2", View(pixels[:1]))


def test_parameters_out_of_range_are_said():
    with pytest.raises(UserError, match="radius_px"):
        parse_params("median", ["radius_px=0"])
