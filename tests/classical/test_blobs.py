import itertools
import math

import numpy as np
import pytest
from scipy import ndimage
from skimage import feature

from napari_unetseg.classical import (
    METHODS,
    Chain,
    Source,
    View,
    parse_params,
    points_of,
    run_stack,
    run_view,
)
from napari_unetseg.classical.blob_overlap import share_of_smaller, without_overlaps
from napari_unetseg.classical.cosine_space import CosineSpace
from napari_unetseg.classical.mser import ComponentTree
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

SCALES = ("blob_log", "blob_dog", "blob_doh")
NAMES = (*SCALES, "mser")
DISCS = ((40, 40, 6), (40, 100, 10), (100, 60, 14), (110, 150, 18), (160, 40, 8), (60, 170, 12))


def discs(shape=(200, 210), noise=8.0):
    y, x = np.indices(shape)
    image = np.random.default_rng(0).normal(100, noise, shape)
    for cy, cx, r in DISCS:
        image[(y - cy) ** 2 + (x - cx) ** 2 <= r**2] += 100
    return image.astype(np.float32)


def points(name, view, *pairs):
    return METHODS[name].points(view, parse_params(name, pairs))


def nearest(found, centre):
    return found[np.linalg.norm(found[:, : len(centre)] - centre, axis=1).argmin()]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_discs_are_found_with_their_radii_bright_and_dark(name, dtype):
    image = discs()
    for foreground, picture in (("bright", image), ("dark", 300 - image)):
        cast = picture if np.dtype(dtype).kind == "f" else np.clip(picture - 45, 0, 255)
        view = View(cast.astype(dtype)[np.newaxis])
        before = view.pixels.copy()
        found = points(name, view, f"foreground={foreground}")
        assert found.shape == (len(DISCS), 3)
        for cy, cx, r in DISCS:
            y, x, radius = nearest(found, (cy, cx))
            assert math.hypot(y - cy, x - cx) < 0.8
            assert radius == pytest.approx(r, rel=0.06)
        np.testing.assert_array_equal(view.pixels, before)


@pytest.mark.parametrize("name", NAMES)
def test_objects_are_the_points_in_their_order(name):
    view = View(discs()[np.newaxis])
    ids = run_view(Chain.of(name), view)
    assert ids.dtype == np.uint32
    found = points(name, view)
    assert ids.max() == len(found)
    for number, (y, x, radius) in enumerate(found, start=1):
        assert ids[round(y), round(x)] == number
        assert (ids == number).sum() == pytest.approx(math.pi * radius**2, rel=0.05)


@pytest.mark.parametrize("name", ["blob_log", "blob_dog", "mser"])
def test_balls_are_found_on_thick_slices(name):
    z, y, x = np.indices((30, 60, 64))
    volume = np.random.default_rng(1).normal(20, 3, z.shape)
    for cz, cy, cx, r in ((8, 18, 20, 10), (21, 40, 44, 8)):
        volume[((z - cz) * 2) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 <= r**2] += 60
    view = View(volume[np.newaxis], z_px=2.0)
    found = points(name, view, "in_3d=on", "min_radius_px=5")
    assert found.shape == (2, 4)
    for *centre, r in ((8, 18, 20, 10), (21, 40, 44, 8)):
        *where, radius = nearest(found, centre)
        np.testing.assert_allclose(where, centre, atol=0.6)
        assert radius == pytest.approx(r, rel=0.08)
    ids = run_view(Chain.of(name, parse_params(name, ["in_3d=on", "min_radius_px=5"])), view)
    for *centre, r in ((8, 18, 20, 10), (21, 40, 44, 8)):
        size = (ids == ids[tuple(centre)]).sum() * 2
        assert size == pytest.approx(4 / 3 * math.pi * r**3, rel=0.25)


@pytest.mark.parametrize("name", ["blob_log", "blob_dog"])
def test_the_same_spots_as_in_scikit_image(name):
    image = discs()
    found = points(name, View(image[np.newaxis]), "contrast_percent=30")
    if name == "blob_log":
        theirs = feature.blob_log(
            image / 100, min_sigma=3, max_sigma=14, num_sigma=12, threshold=0.3
        )
        theirs[:, 2] *= math.sqrt(2)
    else:
        theirs = feature.blob_dog(image / 100, min_sigma=2, max_sigma=14, threshold=0.3)
        # They call √2 σ the radius; a difference of Gaussians of 1.6 answers most to 1.757 σ.
        theirs[:, 2] *= 1.757
    assert len(found) == len(theirs)
    for y, x, radius in theirs:
        mine = nearest(found, (y, x))
        assert math.hypot(mine[0] - y, mine[1] - x) < 1.5
        # Their scales are those tried; of the difference of Gaussians 1.6 apart.
        assert mine[2] == pytest.approx(radius, rel=0.12 if name == "blob_log" else 0.35)


def test_the_determinant_of_the_hessian_passes_over_lines():
    y, x = np.indices((120, 120))
    image = np.where((y - 30) ** 2 + (x - 30) ** 2 <= 8**2, 100.0, 0.0)
    # A line that fades to its ends, so that the Laplacian has a peak on it.
    image += 100 * np.exp(-((y - 80) ** 2) / 50 - (x - 60) ** 2 / 5000)
    log, doh = (points(name, View(image[np.newaxis])) for name in ("blob_log", "blob_doh"))
    on_line = [found[np.abs(found[:, 0] - 80) < 9] for found in (log, doh)]
    assert len(on_line[0]) >= 1
    assert len(on_line[1]) == 0
    assert len(log) - len(on_line[0]) == len(doh) == 1


@pytest.mark.parametrize("shape", [(61, 50), (9, 40, 42)])
def test_smoothed_images_and_derivatives_are_those_of_scipy(shape):
    image = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    spacing = (2.0, 1.0, 1.0)[-len(shape) :]
    space = CosineSpace(image, spacing)
    sigmas = [4.0 / step for step in spacing]
    gain = np.exp(space.square_frequency(shape) * np.float32(-8))
    expected = ndimage.gaussian_filter(image - image.mean(), sigmas, mode="reflect", truncate=8)
    np.testing.assert_allclose(space.image_of(gain, shape), expected, atol=2e-5)
    grid = space.grid(4.0)
    assert np.prod(grid) < np.prod(shape) / 2
    coarse = space.image_of(np.exp(space.square_frequency(grid) * np.float32(-8)), grid)
    at = space.in_px(np.argwhere(np.ones(grid, bool)).astype(float), grid)
    between = ndimage.map_coordinates(expected, at.T, order=5, mode="reflect")
    np.testing.assert_allclose(coarse.ravel(), between, atol=1e-3)
    if len(shape) == 2:
        mixed = ndimage.gaussian_filter(image, 4, order=(1, 1), mode="reflect", truncate=8)
        np.testing.assert_allclose(space.mixed_derivative_of(gain, shape), mixed, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_radii_stay_within_their_limits_and_contrast_counts(name):
    image = discs()
    found = points(name, View(image[np.newaxis]), "min_radius_px=7", "max_radius_px=13")
    assert len(found) == 3 or name == "mser"  # within a disc that is too large, some may be stable
    assert 7 <= found[:, 2].min() <= found[:, 2].max() <= 13
    with pytest.raises(UserError, match="max_radius_px"):
        parse_params(name, ["min_radius_px=9", "max_radius_px=8"])
    if name != "mser":
        faint = image.copy()
        faint[150:170, 30:50] = 100 + (faint[150:170, 30:50] - 100) * 0.3
        assert len(points(name, View(faint[np.newaxis]), "contrast_percent=60")) == len(DISCS) - 1
        assert len(points(name, View(faint[np.newaxis]), "grey_value=60")) == len(DISCS) - 1
        assert len(points(name, View(faint[np.newaxis]), "grey_value=20")) == len(DISCS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 40), (30, 30)])
def test_tiny_and_constant_images_have_no_blobs(name, shape):
    view = View(np.full((1, *shape), 7, np.uint16))
    assert points(name, view).shape == (0, 3)
    assert not run_view(Chain.of(name), view).any()
    noisy = View(np.random.default_rng(0).normal(size=(1, *shape)))
    assert points(name, noisy).shape[1] == 3


@pytest.mark.parametrize("name", NAMES)
def test_ids_go_on_from_slice_to_slice(name):
    image = discs()
    out = np.zeros((2, *image.shape), np.uint32)
    list(run_stack(Chain.of(name), Source(Stack(np.stack([image, image]), "ZYX")), out=out))
    n = len(DISCS)
    assert np.unique(out[0]).tolist() == list(range(n + 1))
    assert np.unique(out[1]).tolist() == [0, *range(n + 1, 2 * n + 1)]


def test_touching_spots_stay_two():
    y, x = np.indices((80, 80))
    image = 100.0 * sum(((y - 40) ** 2 + (x - cx) ** 2 <= 10**2) for cx in (30, 49))
    found = points("blob_log", View(image[np.newaxis]))
    assert len(found) == 2
    np.testing.assert_allclose(np.sort(found[:, 1]), [30, 49], atol=1.5)


def test_points_of_a_stack_lie_on_its_axes():
    image = discs()
    films = Stack(np.stack([[image, image + 1], [image, 0 * image]]), "TZYX")
    found = points_of(Chain.of("blob_log"), Source(films, [0, 2]))
    assert found.shape == (2 * len(DISCS), 5)
    assert np.unique(found[:, :2], axis=0).tolist() == [[0, 0], [1, 0]]
    (y, x), r = DISCS[1][:2], DISCS[1][2]
    np.testing.assert_allclose(nearest(found[:, 2:], (y, x)), [y, x, r], atol=0.4)
    one = points_of(Chain.of("blob_doh"), Source(Stack(image, "YX")))
    assert one.shape == (len(DISCS), 3)
    z, y, x = np.indices((24, 40, 44))
    ball = 90.0 * ((z - 8) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 7**2)
    chain = Chain.of("blob_dog", parse_params("blob_dog", ["in_3d=on"]))
    source = Source(Stack(np.stack([ball * 0, ball]), "TZYX"), [24 + 8])
    np.testing.assert_allclose(points_of(chain, source), [[1, 8, 20, 20, 7]], atol=0.4)
    with pytest.raises(UserError, match="no points"):
        points_of(Chain.of("otsu"), source)


# ------------------------------------------------------------------- overlap


@pytest.mark.parametrize("ndim", [2, 3])
def test_overlaps_are_those_that_are_counted(ndim):
    random = np.random.default_rng(5)
    sample = random.uniform(-1.1, 1.1, (400_000, ndim))
    sample[:, 0] = random.uniform(-1.1, 3.6, len(sample))
    for r1, r2, d in itertools.product((0.5, 1.0), (0.7, 1.0), (0.0, 0.2, 0.9, 1.4, 2.5)):
        other = sample.copy()
        other[:, 0] -= d
        in_1 = (sample**2).sum(axis=1) < r1**2
        in_2 = (other**2).sum(axis=1) < r2**2
        expected = (in_1 & in_2).sum() / min(in_1.sum(), in_2.sum())
        found = share_of_smaller(np.array([d]), np.array([r1]), np.array([r2]), ndim)
        assert found[0] == pytest.approx(min(expected, 1), abs=0.03)


def test_of_overlapping_blobs_the_earlier_is_kept():
    blobs = np.array([[10, 10, 5.0], [10, 12, 8], [10, 30, 5], [11, 31, 2], [50, 50, 1]])
    kept = without_overlaps(blobs, (1.0, 1.0), 0.3)
    np.testing.assert_array_equal(kept, blobs[[0, 2, 4]])
    np.testing.assert_array_equal(without_overlaps(blobs, (1.0, 1.0), 1.0), blobs)
    np.testing.assert_array_equal(without_overlaps(blobs[:0], (1.0, 1.0), 0.3), blobs[:0])


# ---------------------------------------------------------------------- MSER


def components(image):
    """Return every component of every level as a frozen set of pixels, with its level."""
    found = {}
    for level in np.unique(image):
        areas, n = ndimage.label(image >= level)
        for i in range(1, n + 1):
            found[frozenset(np.flatnonzero(areas == i).tolist())] = int(level)
    return found


def stable_by_definition(image, delta):
    """Return growth of every component, and which are less than their parent's and any child's."""
    levels = components(image)
    growth = {}
    for pixels, level in levels.items():
        if level - delta < image.min():
            growth[pixels] = math.inf
            continue
        areas, _ = ndimage.label(image >= level - delta)
        larger = (areas == areas.ravel()[next(iter(pixels))]).sum()
        growth[pixels] = larger / len(pixels) - 1
    stable = set()
    for pixels, value in growth.items():
        inside = [other for other in levels if other < pixels]
        children = [o for o in inside if not any(o < between < pixels for between in inside)]
        around = [other for other in levels if other > pixels]
        parent = min(around, key=len, default=None)
        if parent is not None and not value < growth[parent]:
            continue
        if all(value <= growth[child] for child in children):
            stable.add(pixels)
    return growth, stable


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(14, 17), (4, 7, 8)])
def test_the_tree_of_components_and_what_is_stable_are_as_defined(seed, shape):
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(random.normal(size=shape), 1)
    image = np.digitize(smooth, np.quantile(smooth, np.linspace(0, 1, 12)[1:-1])).astype(np.uint8)
    tree = ComponentTree.of(image)
    growth, stable = stable_by_definition(image, delta=2)
    sets = [
        frozenset(np.flatnonzero(tree.painted([i]).ravel()).tolist())
        for i in range(len(tree.sizes))
    ]
    assert dict(zip(sets, tree.levels.tolist(), strict=True)) == components(image)
    assert [len(pixels) for pixels in sets] == tree.sizes.tolist()
    grows = tree.growth(2)
    np.testing.assert_allclose(grows, [growth[pixels] for pixels in sets])
    chosen = tree.least_of_branch(grows)
    assert {sets[i] for i in np.flatnonzero(chosen)} == stable
    kept = [sets[i] for i in tree.outermost_first(chosen, grows)]
    assert all(not a & b for a, b in itertools.combinations(kept, 2))
    for pixels in stable - set(kept):
        assert any(pixels & other and growth[other] <= growth[pixels] for other in kept)


def test_stable_regions_have_any_shape_and_brightness():
    y, x = np.indices((120, 120))
    image = np.full((120, 120), 20.0)
    ell = ((y > 20) & (y < 30) & (x > 10) & (x < 50)) | ((y > 20) & (y < 60) & (x > 10) & (x < 20))
    faint = (y - 80) ** 2 + (x - 80) ** 2 < 12**2
    image[ell] += 180
    image[faint] += 30
    image += np.random.default_rng(0).normal(0, 2, image.shape)
    ids = run_view(Chain.of("mser"), View(image[np.newaxis]))
    for truth in (ell, faint):
        number = np.bincount(ids[truth]).argmax()
        assert number > 0
        assert ((ids == number) & truth).sum() / ((ids == number) | truth).sum() > 0.85
