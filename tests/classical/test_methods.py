import numpy as np
import pytest
from scipy import ndimage
from skimage import feature, filters
from sklearn.cluster import KMeans

from napari_unetseg.classical import METHODS, parse_params, segment
from napari_unetseg.classical.edges import CannyParams, SobelParams
from napari_unetseg.classical.grey import gradient_magnitude
from napari_unetseg.classical.regions import close_gaps, fill_regions, widen
from napari_unetseg.errors import UserError

#: Those that answer classes of an image alone; what grows from strokes, and what finds objects, is
#: tested with its family.
ALONE = [name for name, m in METHODS.items() if m.answers == "classes" and not m.needs_strokes]

DTYPES = ("uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")


def blobs(shape=(96, 80), seed=0):
    """A noisy image of bright discs on a dark ground, float in [0, 1], and where the discs are."""
    random = np.random.default_rng(seed)
    truth = np.zeros(shape, bool)
    y, x = np.indices(shape)
    for cy, cx, r in ((20, 20, 9), (60, 50, 13), (30, 60, 7)):
        truth |= (y - cy) ** 2 + (x - cx) ** 2 < r**2
    image = 0.25 + 0.5 * truth + random.normal(0, 0.04, shape)
    return np.clip(image, 0, 1), truth


def cast(image, dtype):
    if np.dtype(dtype).kind == "f":
        return (image * 1000 - 300).astype(dtype)
    return (image * min(np.iinfo(dtype).max, 10**9)).astype(dtype)


def iou(codes, truth):
    found = codes == 2
    return (found & truth).sum() / (found | truth).sum()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["otsu", "threshold", "canny", "sobel"])
def test_discs_are_found_in_every_dtype_and_both_polarities(name, dtype):
    image, truth = blobs()
    for foreground, picture in (("bright", image), ("dark", 1 - image)):
        params = parse_params(name, [f"foreground={foreground}"])
        codes = segment(name, cast(picture, dtype)[np.newaxis], params)
        assert codes.dtype == np.uint8
        assert set(np.unique(codes)) == {1, 2}
        assert iou(codes, truth) > 0.8, foreground


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_clusters_are_discs_and_ground_in_every_dtype(dtype):
    image, truth = blobs()
    plane = cast(image, dtype)[np.newaxis]
    assert iou(segment("kmeans", plane, parse_params("kmeans", ["n_clusters=2"])), truth) > 0.8


@pytest.mark.parametrize("name", ALONE)
def test_several_channels_are_taken_and_the_image_is_left_as_it_was(name):
    image, truth = blobs()
    plane = np.stack([cast(image, "uint8"), cast(image, "uint8") // 2, cast(image, "uint8")])
    before = plane.copy()
    pairs = ["n_clusters=2"] if name == "kmeans" else []
    assert iou(segment(name, plane, parse_params(name, pairs)), truth) > 0.8
    np.testing.assert_array_equal(plane, before)


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("foreground", ["bright", "dark"])
def test_a_plane_without_contrast_is_all_background(name, foreground):
    codes = segment(
        name, np.full((1, 24, 24), 7, np.uint16), parse_params(name, [f"foreground={foreground}"])
    )
    assert (codes == 1).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_otsu_without_smoothing_is_that_of_scikit_image(dtype):
    image = cast(blobs()[0], dtype)
    expected = image > filters.threshold_otsu(image, nbins=1024)
    codes = segment("otsu", image[np.newaxis], parse_params("otsu", ["sigma_px=0"]))
    np.testing.assert_array_equal(codes == 2, expected)


def test_otsu_on_smoothed_floats_is_that_of_scikit_image():
    image = blobs()[0]
    smooth = filters.gaussian(image, 1.5, mode="reflect")
    expected = smooth > filters.threshold_otsu(smooth, nbins=1024)
    codes = segment("otsu", image[np.newaxis], parse_params("otsu", ["sigma_px=1.5"]))
    assert ((codes == 2) == expected).mean() > 0.9995


def test_a_threshold_is_where_it_is_set():
    plane = np.arange(0, 250, dtype=np.uint8).reshape(1, 10, 25)
    codes = segment("threshold", plane, parse_params("threshold", ["grey_value=99", "sigma_px=0"]))
    np.testing.assert_array_equal(codes == 2, plane[0] > 99)
    half = segment("threshold", plane, parse_params("threshold", ["percent=50", "sigma_px=0"]))
    np.testing.assert_array_equal(half == 2, plane[0] > 124.5)


def test_large_integers_are_not_rounded():
    plane = np.full((1, 8, 8), 2**30, np.int32)
    plane[0, :4] += 3
    codes = segment(
        "threshold", plane, parse_params("threshold", ["sigma_px=0", f"grey_value={2**30 + 1}"])
    )
    assert (codes[:4] == 2).all()
    assert (codes[4:] == 1).all()


@pytest.mark.parametrize("sigma", [0, 1, 2.5])
def test_canny_lines_are_those_of_scikit_image(sigma):
    image = cast(blobs()[0], "uint8").astype(np.float32)
    params = CannyParams(
        sigma_px=sigma, output="edges", widen_px=0, close_px=0, low_percent=80, high_percent=92
    )
    expected = feature.canny(
        image, sigma, low_threshold=0.8, high_threshold=0.92, use_quantiles=True, mode="reflect"
    )
    codes = segment("canny", image[np.newaxis], params)
    assert expected.sum() > 100
    assert ((codes == 2) == expected)[1:-1, 1:-1].mean() > 0.999


def test_the_gradient_is_that_of_scipy():
    image = blobs()[0]
    expected = np.hypot(ndimage.sobel(image, 0), ndimage.sobel(image, 1))
    np.testing.assert_allclose(gradient_magnitude(image), expected, rtol=1e-9, atol=1e-12)


def test_sobel_lines_cover_the_share_of_pixels_that_is_asked_for():
    image = blobs()[0]
    params = SobelParams(output="edges", widen_px=0, close_px=0, percent=85)
    assert (segment("sobel", image[np.newaxis], params) == 2).mean() == pytest.approx(
        0.15, abs=0.01
    )


def test_areas_cut_by_the_border_are_not_enclosed():
    image = np.zeros((60, 60))
    image[10:30, 10:30] = 1
    image[40:, 40:] = 1
    for name in ("canny", "sobel"):
        enclosed = segment(name, image[np.newaxis], parse_params(name, ["output=enclosed"]))
        assert enclosed[20, 20] == 2
        assert enclosed[55, 55] == 1
        regions = segment(name, image[np.newaxis], parse_params(name, ["output=regions"]))
        assert regions[20, 20] == regions[55, 55] == 2
        assert regions[35, 5] == 1


def test_a_filled_ring_is_what_scipy_fills():
    y, x = np.indices((40, 40))
    radius = np.hypot(y - 20, x - 20)
    ring = (radius > 10) & (radius < 13)
    filled = fill_regions(ring, np.where(radius < 13, 1.0, 0.0), 0.5, "bright", enclosed=True)
    np.testing.assert_array_equal(filled & ~ring, ndimage.binary_fill_holes(ring) & ~ring)


def test_gaps_are_closed_as_scipy_closes_them():
    edges = np.random.default_rng(0).random((50, 60)) > 0.9
    square = np.ones((5, 5), bool)
    padded = ndimage.binary_closing(np.pad(edges, 5), square)[5:-5, 5:-5]
    np.testing.assert_array_equal(close_gaps(edges, 2), padded)
    np.testing.assert_array_equal(widen(edges, 2), ndimage.binary_dilation(edges, square))
    np.testing.assert_array_equal(close_gaps(edges, 0), edges)
    np.testing.assert_array_equal(widen(edges[:3, :4], 9), np.ones((3, 4), bool))


def test_clusters_are_those_of_scikit_learn_ordered_by_brightness():
    random = np.random.default_rng(1)
    image = random.choice([10.0, 80.0, 140.0, 220.0], (64, 64)) + random.normal(0, 3, (64, 64))
    codes = segment("kmeans", image[np.newaxis], parse_params("kmeans", ["sigma_px=0"]))
    fitted = KMeans(4, n_init=5, random_state=3).fit(image.reshape(-1, 1))
    rank = np.argsort(np.argsort(fitted.cluster_centers_[:, 0]))
    np.testing.assert_array_equal(codes, rank[fitted.labels_].reshape(64, 64) + 1)
    dark_first = parse_params("kmeans", ["sigma_px=0", "foreground=dark"])
    np.testing.assert_array_equal(segment("kmeans", image[np.newaxis], dark_first), 5 - codes)


def test_clusters_of_colours_tell_apart_what_intensity_does_not():
    plane = np.zeros((3, 20, 20), np.uint8)
    plane[0, :, :10] = 200
    plane[1, :, 10:] = 200
    colours = segment("kmeans", plane, parse_params("kmeans", ["n_clusters=2", "sigma_px=0"]))
    assert {colours[0, 0], colours[0, 19]} == {1, 2}
    grey = parse_params("kmeans", ["n_clusters=2", "sigma_px=0", "features=intensity"])
    assert (segment("kmeans", plane, grey) == 1).all()


def test_fewer_colours_than_clusters_give_fewer_clusters():
    plane = np.zeros((1, 16, 16), np.uint8)
    plane[0, 4:8] = 255
    codes = segment("kmeans", plane, parse_params("kmeans", ["n_clusters=5", "sigma_px=0"]))
    np.testing.assert_array_equal(codes, (plane[0] > 0) + 1)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_describes_itself_and_its_parameters(name):
    method = METHODS[name]
    assert method.name == name
    assert method.title
    assert method.summary
    assert len(method.classes(method.params())) >= 1
    for key, field in method.params.model_fields.items():
        assert field.description, key


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (["sigma_px"], "key=value"),
        (["radius=2"], "sigma_px"),
        (["sigma_px=-1"], "sigma_px"),
        (["sigma_px=wide"], "sigma_px"),
        (["low_percent=95"], "low_percent"),
    ],
)
def test_a_wrong_parameter_is_told_in_one_sentence(pairs, says):
    with pytest.raises(UserError, match=says) as caught:
        parse_params("canny", pairs)
    assert "\n" not in str(caught.value)


def test_unknown_methods_and_parameters_of_another_method_are_refused():
    plane = np.zeros((1, 8, 8))
    with pytest.raises(UserError, match="otsu, threshold"):
        segment("horoscope", plane)
    with pytest.raises(UserError, match="OtsuParams"):
        segment("otsu", plane, parse_params("canny", []))
