import numpy as np
import pytest
from scipy import ndimage
from skimage.color import label2rgb
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from napari_unetseg.classical import Chain, Source, View, parse_params, run_stack, segment
from napari_unetseg.classical.clustering import KMEANS, MIXTURE, KMeansParams
from napari_unetseg.classical.quantising import quantised
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

METHODS = {"kmeans": KMEANS, "mixture": MIXTURE}
COLOURS = [[200, 10, 30], [20, 180, 40], [15, 25, 250], [240, 240, 30]]


def greys(values, shape=(64, 64), noise=3.0, seed=1):
    """An image of a few grey values or colours, and which of them each pixel is."""
    random = np.random.default_rng(seed)
    which = random.integers(len(values), size=shape)
    image = np.moveaxis(np.array(values, float).reshape(len(values), -1)[which], -1, 0)
    return image + random.normal(0, noise, image.shape), which


def params(name, **values):
    return parse_params(name, [f"{key}={value}" for key, value in values.items()])


def ranks(centres):
    """The place of each centre in order of brightness."""
    return np.argsort(np.argsort(centres.mean(axis=1)))


def test_clusters_are_those_of_scikit_learn_ordered_by_brightness():
    image, _ = greys([10, 80, 140, 220])
    codes = segment("kmeans", image, params("kmeans", sigma_px=0))
    fitted = KMeans(4, n_init=5, random_state=3).fit(image.reshape(-1, 1))
    expected = ranks(fitted.cluster_centers_)[fitted.labels_].reshape(64, 64) + 1
    np.testing.assert_array_equal(codes, expected)


def test_clusters_of_colours_are_those_of_scikit_learn():
    image, _ = greys(COLOURS, noise=9.0)
    codes = segment("kmeans", image, params("kmeans", sigma_px=0))
    fitted = KMeans(4, n_init=5, random_state=3).fit(image.reshape(3, -1).T)
    expected = ranks(fitted.cluster_centers_)[fitted.labels_].reshape(64, 64) + 1
    np.testing.assert_array_equal(codes, expected)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("values", [[10, 80, 140, 220], COLOURS])
def test_a_dark_foreground_reverses_the_order(name, values):
    image, _ = greys(values)
    bright = segment(name, image, params(name, sigma_px=0, n_clusters=4))
    dark = segment(name, image, params(name, sigma_px=0, n_clusters=4, foreground="dark"))
    assert set(np.unique(bright)) == {1, 2, 3, 4}
    np.testing.assert_array_equal(dark, 5 - bright)


@pytest.mark.parametrize("name", METHODS)
def test_clusters_mean_the_same_on_every_slice_whatever_the_seed(name):
    for seed in range(4):
        image, which = greys([20, 90, 200], seed=seed)
        found = segment(name, image, params(name, sigma_px=0, n_clusters=3, seed=seed))
        np.testing.assert_array_equal(found, which + 1)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
def test_every_type_of_pixel_is_taken_and_left_as_it_was(name, dtype):
    image, which = greys([20, 90, 200])
    offset = -150 if np.dtype(dtype).kind in "if" else 0
    image = (image + offset).clip(np.iinfo("int16").min, 255 if dtype == "uint8" else None)
    image = image.astype(dtype)
    before = image.copy()
    codes = segment(name, image, params(name, sigma_px=0, n_clusters=3))
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, which + 1)
    np.testing.assert_array_equal(image, before)


def test_colours_tell_apart_what_intensity_does_not():
    plane = np.zeros((3, 20, 20), np.uint8)
    plane[0, :, :10] = 200
    plane[1, :, 10:] = 200
    for name in METHODS:
        colours = segment(name, plane, params(name, n_clusters=2, sigma_px=0))
        assert {colours[0, 0], colours[0, 19]} == {1, 2}
        grey = params(name, n_clusters=2, sigma_px=0, features="intensity")
        assert (segment(name, plane, grey) == 1).all()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("extra", [{}, {"local_px": 2}, {"position_weight": 1}])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 5), (3, 3, 5), (2, 1, 7), (1, 2, 1, 3)])
def test_tiny_and_even_images_are_one_cluster(name, extra, shape):
    found = segment(name, np.full(shape, 7, np.uint8), params(name, n_clusters=16, **extra))
    assert found.shape == shape[1:]
    if "position_weight" not in extra:
        assert (found == 1).all()


@pytest.mark.parametrize("name", METHODS)
def test_fewer_values_than_clusters_give_fewer_clusters(name):
    plane = np.zeros((1, 16, 16), np.uint8)
    plane[0, 4:8] = 120
    plane[0, 12:] = 255
    codes = segment(name, plane, params(name, n_clusters=5, sigma_px=0))
    np.testing.assert_array_equal(codes, np.searchsorted([0, 120, 255], plane[0]) + 1)


@pytest.mark.parametrize("name", METHODS)
def test_there_are_at_most_sixteen_clusters(name):
    values = list(range(10, 250, 15))
    image, which = greys(values, noise=0.1)
    codes = segment(name, image, params(name, n_clusters=16, sigma_px=0))
    # Lloyd's algorithm may share two of the values and split another: most are told apart.
    assert adjusted_rand_score(which.ravel(), codes.ravel()) > 0.85
    assert len(METHODS[name].classes(params(name, n_clusters=16))) == 15
    with pytest.raises(UserError, match="n_clusters"):
        params(name, n_clusters=17)


@pytest.mark.parametrize("name", METHODS)
def test_surroundings_tell_mottled_from_even_ground(name):
    random = np.random.default_rng(0)
    image = 100 + random.normal(0, 1, (80, 80)) * np.where(np.arange(80) < 40, 2, 25)
    plain = segment(name, image[np.newaxis], params(name, n_clusters=2, sigma_px=4))
    local = segment(name, image[np.newaxis], params(name, n_clusters=2, sigma_px=4, local_px=4))
    truth = np.broadcast_to(np.arange(80) < 40, image.shape).ravel()
    assert adjusted_rand_score(truth, local.ravel()) > 0.4
    assert adjusted_rand_score(truth, plain.ravel()) < 0.2


@pytest.mark.parametrize("shape", [(30, 36), (7, 20, 24)])
def test_surroundings_are_those_of_scipy(shape):
    volume = np.random.default_rng(0).normal(1000, 30, shape)
    z_px = 2.0
    sigmas = (3 / z_px, 3, 3)[-len(shape) :] if len(shape) == 3 else (3, 3)
    steps = (1 / z_px, 1, 1) if len(shape) == 3 else (1, 1)
    found = KMEANS.features(
        View(volume[np.newaxis], z_px), KMeansParams(sigma_px=0, local_px=3, in_3d=True)
    )
    mean = ndimage.gaussian_filter(volume, sigmas)
    slopes = [np.gradient(mean, axis=axis) * 3 * step for axis, step in enumerate(steps)]
    variance = ndimage.gaussian_filter(volume**2, sigmas) - mean**2
    inner = (slice(1, -1),) * len(shape)
    np.testing.assert_allclose(found[0], volume)
    np.testing.assert_allclose(found[1], mean)
    np.testing.assert_allclose(found[2][inner], np.sqrt(sum(s**2 for s in slopes))[inner])
    np.testing.assert_allclose(found[3], np.sqrt(variance), rtol=1e-5)


def test_where_pixels_lie_makes_groups_that_hang_together():
    image = np.random.default_rng(0).normal(100, 10, (40, 80))
    image[:, 40:] += 1
    weighted = params("kmeans", n_clusters=2, sigma_px=0, position_weight=5)
    codes = segment("kmeans", image[np.newaxis], weighted)
    assert all(ndimage.label(codes == code)[1] == 1 for code in (1, 2))
    by_hand = np.stack([image, *(np.indices(image.shape) / 80 * 5 * image.std() * 12**0.5)])
    fitted = KMeans(2, n_init=5, random_state=0).fit(by_hand.reshape(3, -1).T)
    assert adjusted_rand_score(fitted.labels_, codes.ravel()) > 0.99


def test_along_z_lengths_are_those_of_the_voxels():
    volume = np.random.default_rng(0).random((9, 20, 24)).astype(np.float32)
    view = View(volume[np.newaxis], z_px=4.0)
    found = KMEANS.features(view, KMeansParams(sigma_px=2, position_weight=1, in_3d=True))
    np.testing.assert_allclose(found[0], ndimage.gaussian_filter(volume, (0.5, 2, 2)), rtol=1e-5)
    longest = 9 * 4
    assert found[1, 8, 0, 0] == pytest.approx(8 * 4 / longest)
    assert found[3, 0, 0, 23] == pytest.approx(23 / longest)


@pytest.mark.parametrize("name", METHODS)
def test_neighbouring_slices_help_where_one_is_too_noisy(name):
    truth = np.zeros((12, 40, 40), bool)
    truth[:, 10:30, 10:30] = True
    random = np.random.default_rng(0)
    image = (100 + 60 * truth + random.normal(0, 60, truth.shape)).clip(0).astype(np.uint16)
    wrong = {}
    for in_3d in (False, True):
        out = np.zeros(truth.shape, np.uint8)
        chain = Chain.of(name, params(name, n_clusters=2, sigma_px=1.5, in_3d=in_3d))
        list(run_stack(chain, Source(Stack(image, "ZYX")), out=out))
        wrong[in_3d] = ((out == 2) != truth).mean()
    assert wrong[True] < 0.06
    assert wrong[True] < 0.8 * wrong[False]


@pytest.mark.parametrize("name", METHODS)
def test_a_stack_may_share_its_clusters(name):
    image = np.concatenate([greys([20, 90, 200], seed=seed)[0] for seed in range(3)])
    image[2] = 90
    out = np.zeros(image.shape, np.uint8)
    chain = Chain.of(name, params(name, n_clusters=3, sigma_px=0, per_slice=False))
    list(run_stack(chain, Source(Stack(image.astype(np.float32), "ZYX")), out=out))
    assert (out[2] == 2).all()
    np.testing.assert_array_equal(out[0], greys([20, 90, 200], seed=0)[1] + 1)


# ------------------------------------------------------------------ mixtures


@pytest.mark.parametrize("extra", [{}, {"local_px": 2}])
@pytest.mark.parametrize("values", [[10, 80, 140, 220], COLOURS])
def test_a_pixel_is_as_probable_as_scikit_learn_says(values, extra):
    """The Gaussians that were found, told to scikit-learn."""
    image, _ = greys(values, noise=20.0)
    chosen = params("mixture", sigma_px=0, n_clusters=4, **extra)
    view = View(image)
    features = MIXTURE.features(view, chosen)
    levels = MIXTURE.measure([features], chosen)
    n = len(features)
    whiten = levels[1:, n + 1 :].reshape(-1, n, n)
    # Heights hold the weight and the determinant, but for a constant of all Gaussians.
    logs = levels[1:, n] - np.log(np.abs(np.linalg.det(whiten)))
    known = GaussianMixture(4)
    known.weights_ = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
    known.means_, known.precisions_cholesky_ = levels[1:, :n], whiten
    flat = (features.reshape(n, -1) * levels[0, :n, np.newaxis]).T
    expected = known.predict_proba(flat)
    found = MIXTURE.probabilities(view, chosen)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.reshape(4, -1).T, expected, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    codes = segment("mixture", image, chosen)
    np.testing.assert_array_equal(codes, found.argmax(axis=0) + 1)


def test_the_gaussians_are_those_of_scikit_learn():
    image, _ = greys([40, 90, 200], noise=12.0, shape=(200, 200))
    chosen = params("mixture", sigma_px=0, n_clusters=3)
    levels = MIXTURE.measure([image], chosen)[1:]
    fitted = GaussianMixture(3, n_init=3, random_state=5).fit(image.reshape(-1, 1))
    order = np.argsort(fitted.means_[:, 0])
    np.testing.assert_allclose(levels[:, 0], fitted.means_[order, 0], atol=0.5)
    widths = fitted.covariances_[order, 0, 0] ** 0.5
    np.testing.assert_allclose(1 / levels[:, 2], widths, rtol=0.03)


def test_a_mixture_knows_that_a_wide_group_reaches_beyond_a_narrow_one():
    random = np.random.default_rng(0)
    truth = random.random((128, 128)) < 0.5
    image = np.where(truth, random.normal(115, 2, truth.shape), random.normal(100, 20, truth.shape))
    codes = segment("mixture", image[np.newaxis], params("mixture", sigma_px=0, n_clusters=2))
    assert codes[image > 150].max() == 1
    assert ((codes == 2) == truth).mean() > 0.8
    kmeans = segment("kmeans", image[np.newaxis], params("kmeans", sigma_px=0, n_clusters=2))
    assert ((kmeans == 2) == truth).mean() < ((codes == 2) == truth).mean()


# ---------------------------------------------------------------- quantising


def test_an_image_of_few_colours_is_that_of_scikit_image():
    image, _ = greys(COLOURS, noise=9.0)
    labels = segment("kmeans", image, params("kmeans", sigma_px=0))
    expected = label2rgb(labels, np.moveaxis(image, 0, -1), kind="avg", bg_label=0)
    np.testing.assert_allclose(quantised(labels, image), np.moveaxis(expected, -1, 0))


def test_each_pixel_is_painted_with_the_centre_of_its_cluster():
    image, _ = greys([10, 80, 140, 220])
    fitted = KMeans(4, n_init=5, tol=0, random_state=3).fit(image.reshape(-1, 1))
    labels = segment("kmeans", image, params("kmeans", sigma_px=0))
    expected = fitted.cluster_centers_[fitted.labels_].reshape(image.shape)
    np.testing.assert_allclose(quantised(labels, image), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_an_image_of_few_colours_has_the_type_of_the_image(dtype):
    image = greys([20, 200], shape=(4, 10, 12))[0].astype(dtype)
    labels = (image[0] > 100).astype(np.uint32) * 7
    found = quantised(labels, image)
    assert found.dtype == image.dtype
    assert found.shape == image.shape
    assert len(np.unique(found)) == 2
    assert abs(float(found[0][labels == 7].mean()) - image[0][labels == 7].mean()) <= 0.5
