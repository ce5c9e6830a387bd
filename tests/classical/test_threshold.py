import numpy as np
import pytest
from discs import balls, cast, discs, iou
from scipy import ndimage
from skimage import data, filters

from napari_unetseg.classical import METHODS, Chain, Source, View, parse_params, run_stack, segment
from napari_unetseg.classical.histogram import count
from napari_unetseg.classical.local_threshold import mean_and_deviation
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

THRESHOLDS = [name for name in METHODS if METHODS[name].family == "Threshold"]
AUTOMATIC = ["otsu", "li", "triangle", "yen", "isodata", "minimum", "mean"]
COARSE = {"triangle", "yen", "minimum"}
LOCAL = ["local", "sauvola", "niblack"]


def found(name, image, *pairs):
    """Return where a method without smoothing finds class 1."""
    return segment(name, image[np.newaxis], parse_params(name, ["sigma_px=0", *pairs])) == 2


def level_of(name, image):
    method = METHODS[name]
    params = parse_params(name, ["sigma_px=0"])
    return method.measure([method.features(View(image[np.newaxis]), params)], params)[0]


def grey_range(image):
    return np.percentile(image, (0.1, 99.9))


# ------------------------------------------------------------------ automatic


@pytest.mark.parametrize("picture", [data.camera, data.coins, data.cell, data.page])
@pytest.mark.parametrize("name", AUTOMATIC)
def test_thresholds_of_a_histogram_are_those_of_scikit_image(name, picture):
    image = picture()
    threshold = getattr(filters, f"threshold_{name}")
    try:
        expected = threshold(image.copy())
    except RuntimeError:
        assert name == "minimum"
        assert not found(name, image).any()
        return
    # Its Li ends once the threshold moves by less than half a grey value, as ours.
    assert level_of(name, image) == pytest.approx(expected, abs=1e-3)
    np.testing.assert_array_equal(found(name, image), image > expected)
    np.testing.assert_array_equal(found(name, image, "foreground=dark"), image <= expected)


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
@pytest.mark.parametrize("name", [name for name in AUTOMATIC if name not in COARSE])
def test_thresholds_of_16_bits_are_exact(name, dtype):
    image = cast(discs()[0], dtype)
    threshold = getattr(filters, f"threshold_{name}")
    np.testing.assert_array_equal(found(name, image), image > threshold(image.copy()))


@pytest.mark.parametrize("dtype", ["uint16", "float32", "float64"])
@pytest.mark.parametrize("name", AUTOMATIC)
def test_thresholds_of_floats_are_within_a_bin_of_those_of_scikit_image(name, dtype):
    image = cast(ndimage.gaussian_filter(data.coins() / 255, 1), dtype).astype(float)
    threshold = getattr(filters, f"threshold_{name}")
    n_bins = 256 if name in COARSE else 1024
    binned = {} if name in ("li", "mean") else {"nbins": n_bins}
    try:
        expected = threshold(image.copy(), **binned)
    except RuntimeError:
        assert not found(name, image).any()
        return
    assert level_of(name, image) == pytest.approx(expected, abs=1.01 * np.ptp(image) / n_bins)


def test_a_stack_is_counted_as_one_image():
    image = cast(discs()[0], "uint8")
    parts = count([image[:40], image[40:].ravel()])
    np.testing.assert_array_equal(parts.counts, np.bincount(image.ravel())[image.min() :])
    np.testing.assert_array_equal(parts.grey, np.arange(image.min(), image.max() + 1))
    floats = count([image[:40] / 7, image[40:] / 7], 100)
    counts, edges = np.histogram(image / 7, 100)
    assert np.abs(floats.counts - counts).sum() <= 0.01 * image.size
    np.testing.assert_allclose(floats.grey, (edges[1:] + edges[:-1]) / 2)


def test_bins_of_integers_hold_a_whole_number_of_grey_values():
    image = np.arange(-300, 700, dtype=np.int16)
    coarse = count([image], 256, exact=False)
    np.testing.assert_array_equal(coarse.counts, 4)
    np.testing.assert_array_equal(coarse.grey, np.arange(-298.5, 700, 4))


def test_one_hump_has_no_valley_and_nothing_is_found():
    hump = np.round(1000 * np.exp(-0.5 * np.linspace(-3, 3, 60) ** 2)).astype(int)
    image = np.repeat(np.arange(60, dtype=np.uint8), hump).reshape(1, -1)
    for foreground in ("bright", "dark"):
        assert not found("minimum", image, f"foreground={foreground}").any()


def test_a_threshold_is_where_it_is_set():
    plane = np.arange(0, 250, dtype=np.uint8).reshape(10, 25)
    np.testing.assert_array_equal(found("threshold", plane, "grey_value=99"), plane > 99)
    np.testing.assert_array_equal(found("threshold", plane, "percent=50"), plane > 124.5)


def test_large_integers_are_not_rounded():
    plane = np.full((8, 8), 2**30, np.int32)
    plane[:4] += 3
    codes = found("threshold", plane, f"grey_value={2**30 + 1}")
    assert codes[:4].all()
    assert not codes[4:].any()


# ----------------------------------------------------------------- multi-Otsu


@pytest.mark.parametrize("n_classes", [2, 3, 4, 5])
def test_several_thresholds_are_those_of_scikit_image(n_classes):
    image = data.coins()[::2, ::2]
    expected = filters.threshold_multiotsu(image, n_classes)
    params = parse_params("multiotsu", [f"n_classes={n_classes}", "sigma_px=0"])
    codes = segment("multiotsu", image[np.newaxis], params)
    np.testing.assert_array_equal(codes, np.digitize(image, expected, right=True) + 1)
    dark = segment("multiotsu", image[np.newaxis], params.replace(foreground="dark"))
    np.testing.assert_array_equal(dark, n_classes + 1 - codes)


def test_more_classes_than_grey_values_give_a_class_each():
    plane = np.repeat(np.array([3, 90, 7], np.uint8), 20).reshape(1, 3, 20)
    params = parse_params("multiotsu", ["n_classes=5", "sigma_px=0"])
    np.testing.assert_array_equal(segment("multiotsu", plane, params)[:, 0], [1, 3, 2])
    dark = params.replace(foreground="dark")
    np.testing.assert_array_equal(segment("multiotsu", plane, dark)[:, 0], [3, 1, 2])
    assert [c.name for c in METHODS["multiotsu"].classes(params)] == [
        f"level {k}" for k in range(2, 6)
    ]


def test_several_thresholds_of_the_stack_follow_no_drift():
    image = np.stack([cast(discs(seed=seed)[0], "uint8") for seed in range(3)])
    image[2] //= 4
    out = np.zeros(image.shape, np.uint8)
    chain = Chain.of("multiotsu", parse_params("multiotsu", ["n_classes=2", "per_slice=off"]))
    list(run_stack(chain, Source(Stack(image, "ZYX")), out=out))
    assert (out[0] == 2).any()
    assert (out[2] == 1).all()


# ---------------------------------------------------------------------- local


@pytest.mark.parametrize("shape", ["slice", "volume"])
@pytest.mark.parametrize("kind", ["gaussian", "mean", "median"])
def test_a_local_threshold_is_that_of_scikit_image(kind, shape):
    image = (discs()[0] if shape == "slice" else balls()[0]).astype(np.float32)
    low, high = grey_range(image)
    pairs = ["window_px=7", f"neighbourhood={kind}", "offset_percent=10", f"in_3d={image.ndim > 2}"]
    margin = 0.1 * (high - low)
    bright = image > filters.threshold_local(image, 7, kind, -margin)
    assert (found("local", image, *pairs) == bright).mean() > 0.999
    dark = image < filters.threshold_local(image, 7, kind, margin)
    assert (found("local", image, *pairs, "foreground=dark") == dark).mean() > 0.999


def test_a_median_of_a_wide_window_is_close_to_that_of_all_its_pixels():
    image = data.coins()[:200, :203].astype(np.float32)
    exact = ndimage.median_filter(image, 51)
    low, high = grey_range(image)
    params = parse_params("local", ["neighbourhood=median", "sigma_px=0"])
    median = METHODS["local"].features(View(image[np.newaxis]), params)[1]
    assert median.shape == image.shape
    assert np.abs(median - exact).mean() < 0.02 * (high - low)


def test_a_local_threshold_finds_what_uneven_light_hides_from_a_global_one():
    image, truth = discs((128, 128))
    lit = image + 1 - np.cos(np.linspace(0, np.pi, 128))
    assert iou(segment("otsu", lit[np.newaxis]), truth) < 0.3
    for kind in ("gaussian", "mean", "median"):
        params = parse_params("local", [f"neighbourhood={kind}"])
        assert iou(segment("local", lit[np.newaxis], params), truth) > 0.8, kind
    upside_down = (2 - lit)[np.newaxis]
    dark = parse_params("local", ["foreground=dark"])
    assert iou(segment("local", upside_down, dark), truth) > 0.8


@pytest.mark.parametrize("shape", ["slice", "volume"])
def test_sauvola_is_that_of_scikit_image_on_the_range_of_grey_values(shape):
    image = (discs()[0] if shape == "slice" else balls()[0]) * 900 - 200
    low, high = grey_range(image)
    pairs = ["window_px=15", "k=0.3", f"in_3d={image.ndim > 2}"]
    half = (high - low) / 2
    for foreground, ink in (("dark", image - low), ("bright", high - image)):
        expected = ink < filters.threshold_sauvola(ink, 15, 0.3, half)
        answered = found("sauvola", image, *pairs, f"foreground={foreground}")
        assert 0.02 < expected.mean() < 0.6
        assert (answered == expected).mean() > 0.999


@pytest.mark.parametrize("shape", ["slice", "volume"])
def test_niblack_is_that_of_scikit_image(shape):
    image = (discs()[0] if shape == "slice" else balls()[0]) * 900 - 200
    pairs = ["window_px=15", "k=0.7", f"in_3d={image.ndim > 2}"]
    bright = image > filters.threshold_niblack(image, 15, -0.7)
    assert (found("niblack", image, *pairs) == bright).mean() > 0.999
    dark = image < filters.threshold_niblack(image, 15, 0.7)
    assert (found("niblack", image, *pairs, "foreground=dark") == dark).mean() > 0.999


def test_deviations_far_from_zero_are_not_rounded_away():
    image = 60_000 + np.random.default_rng(0).normal(0, 3, (64, 64))
    mean, deviation = mean_and_deviation(image.astype(np.float32), (15, 15))
    patch = image[25:40, 25:40].astype(np.float32)
    assert mean[32, 32] == pytest.approx(patch.mean(dtype=float), abs=0.01)
    assert deviation[32, 32] == pytest.approx(patch.std(dtype=float), rel=0.01)


@pytest.mark.parametrize("foreground", ["bright", "dark"])
@pytest.mark.parametrize("name", LOCAL)
def test_flat_areas_are_background_to_local_thresholds(name, foreground):
    image = np.full((80, 90), 0.1, np.float32)
    image[60:, 60:] = discs((96, 80))[0][:20, :30]
    pairs = ["window_px=9", f"foreground={foreground}"]
    pairs.append("offset_percent=0" if name == "local" else "k=0")
    assert not found(name, image, *pairs)[:50, :50].any()


# ----------------------------------------------------------------- hysteresis


def test_hysteresis_is_that_of_scikit_image():
    image = filters.sobel(data.coins())
    low, high = grey_range(image)
    lower, upper = low + 0.2 * (high - low), low + 0.6 * (high - low)
    pairs = ["lower_percent=20", "upper_percent=60"]
    expected = filters.apply_hysteresis_threshold(image, lower, upper)
    assert 0 < expected.sum() < (image > lower).sum()
    np.testing.assert_array_equal(found("hysteresis", image, *pairs), expected)
    values = [f"lower_grey_value={lower}", f"upper_grey_value={upper}"]
    np.testing.assert_array_equal(found("hysteresis", image, *values), expected)
    inverted = filters.apply_hysteresis_threshold(-image, -upper, -lower)
    np.testing.assert_array_equal(found("hysteresis", image, *values, "foreground=dark"), inverted)


def test_what_fades_on_a_slice_goes_on_along_z_only_in_3d():
    volume = np.zeros((3, 20, 20), np.float32)
    volume[0, 5, 5:9] = 1
    volume[1, 5, 7:15] = 0.4
    volume[2, 5, 18] = 0.4
    image = Stack(volume, "ZYX")
    levels = ["sigma_px=0", "lower_grey_value=0.3", "upper_grey_value=0.7"]
    answers = {}
    for in_3d in ("off", "on"):
        out = answers[in_3d] = np.zeros(volume.shape, np.uint8)
        params = parse_params("hysteresis", [*levels, f"in_3d={in_3d}"])
        list(run_stack(Chain.of("hysteresis", params), Source(image), out=out))
    assert [(plane == 2).sum() for plane in answers["off"]] == [4, 0, 0]
    assert [(plane == 2).sum() for plane in answers["on"]] == [4, 8, 0]


@pytest.mark.parametrize(
    "pairs",
    [
        ["lower_percent=60", "upper_percent=40"],
        ["lower_grey_value=6", "upper_grey_value=4"],
    ],
)
def test_thresholds_in_the_wrong_order_are_told(pairs):
    with pytest.raises(UserError, match=r"upper_.* must not be below lower_"):
        parse_params("hysteresis", pairs)


# -------------------------------------------------------------------- any size


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 5), (3, 1, 7), (1, 1, 1, 1), (1, 2, 3, 4)])
@pytest.mark.parametrize("name", THRESHOLDS)
def test_images_of_a_few_pixels_are_answered(name, shape):
    values = np.arange(np.prod(shape)).reshape(shape)
    for pixels in (values.astype(np.uint8), values * 0.5 - 1):
        codes = segment(name, pixels)
        assert codes.shape == shape[1:]
        assert codes.dtype == np.uint8
        assert codes.min() >= 1


@pytest.mark.parametrize("name", [*LOCAL, "hysteresis"])
def test_balls_are_found_in_3d_whatever_a_step_along_z_is(name):
    for z_px in (1.0, 4.0):
        image, truth = balls(z_px)
        stack = Stack(image, "ZYX", {"Z": z_px, "Y": 1.0, "X": 1.0})
        out = np.zeros(image.shape, np.uint8)
        params = parse_params(name, ["in_3d=on"])
        list(run_stack(Chain.of(name, params), Source(stack), out=out))
        assert iou(out, truth) > 0.75, z_px
