import numpy as np
import pytest
from discs import balls, cast, discs, iou
from scipy import ndimage
from skimage import feature, filters, segmentation

from napari_unetseg.classical import METHODS, Chain, Source, View, parse_params, run_stack, segment
from napari_unetseg.classical.areas_between_edges import (
    close_gaps,
    fill_regions,
    flood_regions,
    widen,
)
from napari_unetseg.classical.edges import CannyParams
from napari_unetseg.classical.gradients import (
    FARID_OPERATOR,
    PREWITT_OPERATOR,
    SCHARR_OPERATOR,
    SOBEL_OPERATOR,
    gradient,
    norm,
)
from napari_unetseg.classical.zero_crossings import laplacian_kernel, zero_crossings
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

EDGES = [name for name in METHODS if METHODS[name].family == "Edges"]
GRADIENTS = ["sobel", "scharr", "prewitt", "farid"]
CROSSINGS = ["laplacian", "log", "dog"]
IN_3D = [*GRADIENTS, *CROSSINGS]
OPERATORS = {
    "sobel": SOBEL_OPERATOR,
    "scharr": SCHARR_OPERATOR,
    "prewitt": PREWITT_OPERATOR,
    "farid": FARID_OPERATOR,
}
LINES = ["output=edges", "widen_px=0", "close_px=0"]


def lines(name, image, *pairs):
    """Return the edges that a method finds, as thin as it finds them."""
    return segment(name, image[np.newaxis], parse_params(name, [*LINES, *pairs])) == 2


def response(name, image, *pairs, z_px=1.0):
    method = METHODS[name]
    view = View(image[np.newaxis], z_px)
    return method.response(view, image, parse_params(name, list(pairs)))


# ------------------------------------------------------------------- gradients


@pytest.mark.parametrize("shape", ["slice", "volume"])
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_those_of_scikit_image(name, shape):
    image = discs()[0] if shape == "slice" else balls()[0]
    reference = getattr(filters, name)
    components = gradient(image, OPERATORS[name])
    # scikit-image scales each operator in its own way; of ours a slope of 1 is 1.
    middle = (10,) * image.ndim
    ramp = np.tile(np.arange(20.0), (20, 1) if image.ndim == 2 else (20, 20, 1))
    slope = gradient(ramp, OPERATORS[name])[-1][middle]
    assert slope == pytest.approx(1, rel=0.01)
    scale = slope / reference(ramp, axis=image.ndim - 1)[middle]
    for axis, component in enumerate(components):
        expected = reference(image, axis=axis) * scale
        np.testing.assert_allclose(component, expected, rtol=1e-7, atol=1e-9)
    magnitude = reference(image) * np.sqrt(image.ndim) * scale
    np.testing.assert_allclose(norm(components), magnitude, rtol=1e-7, atol=1e-9)


def test_the_gradient_of_sobel_is_that_of_scipy():
    image = discs()[0]
    expected = np.hypot(ndimage.sobel(image, 0), ndimage.sobel(image, 1))
    np.testing.assert_allclose(8 * norm(gradient(image, SOBEL_OPERATOR)), expected, atol=1e-12)


def test_a_slope_along_z_is_told_per_px_of_a_slice():
    z, y, _ = np.indices((9, 9, 9)).astype(float)
    along_z, along_y, along_x = gradient(10 * z + 3 * y, SOBEL_OPERATOR, (5, 1, 1))
    assert (along_z[4, 4, 4], along_y[4, 4, 4], along_x[4, 4, 4]) == pytest.approx((2, 3, 0))


@pytest.mark.parametrize("name", GRADIENTS)
def test_lines_cover_the_share_of_pixels_that_is_asked_for(name):
    assert lines(name, discs()[0], "percent=85").mean() == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize(
    ("degrees", "at"), [(0, "rows"), (90, "columns"), (45, "up"), (135, "down")]
)
@pytest.mark.parametrize("name", [*GRADIENTS, "canny"])
def test_edges_of_one_direction_are_kept(name, degrees, at):
    y, x = np.indices((40, 40))
    stripes = {"rows": y, "columns": x, "up": y + x, "down": y - x}
    image = np.concatenate([np.sin(along / 3) for along in stripes.values()], axis=1)
    steep = ["low_percent=10", "high_percent=30"] if name == "canny" else ["percent=30"]
    pairs = [*steep, "sigma_px=1", f"direction_deg={degrees}", "within_deg=20"]
    kept = np.split(lines(name, image, *pairs), 4, axis=1)
    inside = {key: part[5:-5, 5:-5].mean() for key, part in zip(stripes, kept, strict=True)}
    assert inside.pop(at) > 0.02
    assert not any(inside.values())


def test_every_direction_is_kept_unless_one_is_asked_for():
    image = discs()[0]
    everything = lines("sobel", image)
    parts = [lines("sobel", image, f"direction_deg={d}", "within_deg=45") for d in (10, 100)]
    np.testing.assert_array_equal(parts[0] | parts[1], everything)
    np.testing.assert_array_equal(lines("sobel", image, "direction_deg=60"), everything)


@pytest.mark.parametrize("sigma", [0, 1, 2.5])
def test_canny_lines_are_those_of_scikit_image(sigma):
    image = cast(discs()[0], "uint8").astype(np.float32)
    params = CannyParams(
        sigma_px=sigma, output="edges", widen_px=0, close_px=0, low_percent=80, high_percent=92
    )
    expected = feature.canny(
        image, sigma, low_threshold=0.8, high_threshold=0.92, use_quantiles=True, mode="reflect"
    )
    codes = segment("canny", image[np.newaxis], params)
    assert expected.sum() > 100
    assert ((codes == 2) == expected)[1:-1, 1:-1].mean() > 0.999


def test_canny_is_refused_thresholds_in_the_wrong_order():
    with pytest.raises(UserError, match="high_percent must not be below low_percent"):
        parse_params("canny", ["low_percent=80", "high_percent=70"])


# -------------------------------------------------------------- zero crossings


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_laplacian_is_that_of_scipy_and_of_all_neighbours(ndim):
    image = discs()[0] if ndim == 2 else balls()[0]
    smooth, nearest = response("laplacian", image, "sigma_px=1")
    np.testing.assert_allclose(smooth, ndimage.gaussian_filter(image, 1), atol=1e-12)
    np.testing.assert_allclose(nearest, ndimage.laplace(smooth), atol=1e-12)
    n = 3**ndim
    everywhere = n * (ndimage.uniform_filter(smooth, 3) - smooth)
    found = response("laplacian", image, "sigma_px=1", "neighbours=8")[1]
    np.testing.assert_allclose(found, everywhere, atol=1e-9)


def test_sections_farther_apart_count_less_in_the_laplacian():
    kernel = laplacian_kernel(3, diagonal=False, z_px=2)
    assert (kernel[0, 1, 1], kernel[1, 0, 1], kernel[1, 1, 1]) == (0.25, 1, -4.5)
    z, y, _ = np.indices((9, 9, 9)).astype(float)
    curved = ndimage.correlate((2 * z) ** 2 + y**2, kernel)
    assert curved[4, 4, 4] == pytest.approx(4)


@pytest.mark.parametrize("ndim", [2, 3])
def test_log_is_that_of_scipy(ndim):
    image = discs()[0] if ndim == 2 else balls()[0]
    smooth, bent = response("log", image, "sigma_px=2")
    np.testing.assert_allclose(smooth, ndimage.gaussian_filter(image, 2), atol=1e-9)
    np.testing.assert_allclose(bent, ndimage.gaussian_laplace(image, 2), atol=1e-9)


def test_log_of_a_volume_of_thick_sections_is_that_of_the_finer_volume():
    z, y, x = np.indices((61, 40, 40)).astype(float)
    fine = np.exp(-((z - 30) ** 2 + (y - 20) ** 2 + (x - 20) ** 2) / 128)
    expected = ndimage.gaussian_laplace(fine, 4)[::2]
    found = response("log", fine[::2], "sigma_px=4", z_px=2.0)[1]
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("ndim", [2, 3])
def test_dog_is_that_of_scikit_image(ndim):
    image = discs()[0] if ndim == 2 else balls()[0]
    expected = -filters.difference_of_gaussians(image, 1.5, 3, mode="reflect")
    found = response("dog", image, "sigma_px=1.5", "ratio=2")[1]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_crossings_lie_between_what_is_above_zero_and_below():
    for ndim in (2, 3):
        middle = np.indices((31,) * ndim) - 15.0
        distance = np.sqrt((middle**2).sum(axis=0))
        steepness = zero_crossings(distance - 9.7)
        np.testing.assert_array_less(np.abs(distance[steepness > 0] - 9.7), 1)
        _, n = ndimage.label(steepness == 0)
        assert n == 2
        assert steepness.max() == pytest.approx(1, abs=0.05)


def test_a_zero_between_two_signs_is_a_crossing_and_a_plain_of_zeros_is_none():
    row = np.array([[0.0, 0, 2, 0, -1, 0, 0, 3, -1, -1]])
    np.testing.assert_array_equal(zero_crossings(row), [[0, 0, 0, 3, 0, 0, 0, 0, 4, 0]])
    np.testing.assert_array_equal(zero_crossings(row.T), zero_crossings(row).T)


@pytest.mark.parametrize("name", CROSSINGS)
def test_steep_crossings_are_kept_and_all_of_them_are_closed(name):
    image = discs()[0]
    every, steep = lines(name, image, "percent=0"), lines(name, image, "percent=80")
    assert steep.sum() == pytest.approx(0.2 * every.sum(), rel=0.1)
    assert (every >= steep).all()
    _, bent = response(name, image)
    areas, n = ndimage.label(~every)
    signs = [np.unique(np.sign(bent[areas == area])).size for area in range(1, n + 1)]
    assert max(signs) == 1


# ------------------------------------------------------------ from lines to areas


@pytest.mark.parametrize("name", EDGES)
def test_areas_cut_by_the_border_are_not_enclosed(name):
    image = np.zeros((60, 60))
    image[10:30, 10:30] = 1
    image[40:, 40:] = 1
    enclosed = segment(name, image[np.newaxis], parse_params(name, ["output=enclosed"]))
    assert enclosed[20, 20] == 2
    assert enclosed[55, 55] == 1
    regions = segment(name, image[np.newaxis], parse_params(name, ["output=regions"]))
    assert regions[20, 20] == regions[55, 55] == 2
    assert regions[35, 5] == 1


@pytest.mark.parametrize("name", EDGES)
def test_a_watershed_needs_no_closed_edges(name):
    image, truth = discs()
    for foreground, picture in (("bright", image), ("dark", 1 - image)):
        params = parse_params(name, ["output=watershed", f"foreground={foreground}"])
        assert iou(segment(name, picture[np.newaxis], params), truth) > 0.75, foreground


def test_the_watershed_is_that_of_scikit_image_on_the_gradient():
    image, truth = discs()
    smooth = ndimage.gaussian_filter(image, 1)
    relief = filters.sobel(smooth)
    basins = segmentation.watershed(relief)
    mean = ndimage.mean(smooth, basins, np.arange(1, basins.max() + 1))
    expected = (mean > 0.5)[basins - 1]
    np.testing.assert_array_equal(flood_regions(relief, smooth, 0.5, "bright"), expected)
    np.testing.assert_array_equal(flood_regions(relief, smooth, 0.5, "dark"), ~expected)
    params = parse_params("sobel", ["output=watershed", "percent=0"])
    codes = segment("sobel", image[np.newaxis], params)
    assert iou(codes, expected) > 0.95
    assert iou(expected + 1, truth) > 0.85


def test_a_filled_ring_is_what_scipy_fills():
    y, x = np.indices((40, 40))
    radius = np.hypot(y - 20, x - 20)
    ring = (radius > 10) & (radius < 13)
    filled = fill_regions(ring, np.where(radius < 13, 1.0, 0.0), 0.5, "bright", enclosed=True)
    np.testing.assert_array_equal(filled & ~ring, ndimage.binary_fill_holes(ring) & ~ring)


def test_a_filled_shell_is_what_scipy_fills_unless_the_border_cuts_it():
    z, y, x = np.indices((24, 24, 24))
    radius = np.sqrt((z - 12) ** 2 + (y - 12) ** 2 + (x - 12) ** 2)
    shell = (radius > 6) & (radius < 9)
    grey = np.where(radius < 9, 1.0, 0.0)
    filled = fill_regions(shell, grey, 0.5, "bright", enclosed=True)
    np.testing.assert_array_equal(filled & ~shell, ndimage.binary_fill_holes(shell) & ~shell)
    assert filled.any()
    assert not fill_regions(shell[12:], grey[12:], 0.5, "bright", enclosed=True).any()


def test_structures_that_are_edges_throughout_are_found_where_edges_are_wide():
    grey = np.zeros((30, 30))
    grey[14:16] = -1.0
    edges = np.zeros((30, 30), bool)
    edges[12:18] = True
    kept = {
        wide: fill_regions(edges, grey, -0.5, "dark", enclosed=False, wide=wide)
        for wide in (False, True)
    }
    assert not kept[False].any()
    np.testing.assert_array_equal(kept[True], grey < 0)


def test_gaps_are_closed_as_scipy_closes_them():
    edges = np.random.default_rng(0).random((50, 60)) > 0.9
    square = np.ones((5, 5), bool)
    padded = ndimage.binary_closing(np.pad(edges, 5), square)[5:-5, 5:-5]
    np.testing.assert_array_equal(close_gaps(edges, 2), padded)
    np.testing.assert_array_equal(widen(edges, 2), ndimage.binary_dilation(edges, square))
    np.testing.assert_array_equal(close_gaps(edges, 0), edges)
    np.testing.assert_array_equal(widen(edges[:3, :4], 9), np.ones((3, 4), bool))


def test_gaps_are_closed_within_slices():
    volume = np.random.default_rng(0).random((4, 30, 20)) > 0.9
    for of_volume, of_slice in ((close_gaps(volume, 2), close_gaps), (widen(volume, 2), widen)):
        np.testing.assert_array_equal(of_volume, [of_slice(plane, 2) for plane in volume])


# -------------------------------------------------------------------- volumes


@pytest.mark.parametrize("output", ["regions", "enclosed", "watershed"])
@pytest.mark.parametrize("name", IN_3D)
def test_balls_are_found_in_3d_whatever_a_step_along_z_is(name, output):
    for z_px in (1.0, 3.0):
        image, truth = balls(z_px)
        stack = Stack(image, "ZYX", {"Z": z_px, "Y": 1.0, "X": 1.0})
        out = np.zeros(image.shape, np.uint8)
        chain = Chain.of(name, parse_params(name, ["in_3d=on", f"output={output}"]))
        list(run_stack(chain, Source(stack), out=out))
        # Crossings of the Laplacian lie inside of a ball's surface, the more the smaller it is.
        assert iou(out, truth) > 0.65, z_px


@pytest.mark.parametrize("name", IN_3D)
def test_a_hollow_ball_is_enclosed_in_3d_and_open_on_no_slice(name):
    z, y, x = np.indices((32, 40, 40))
    radius = np.sqrt((z - 16) ** 2 + (y - 20) ** 2 + (x - 20) ** 2)
    image = np.where(radius < 11, 0.2, 1.0) + np.random.default_rng(0).normal(0, 0.02, z.shape)
    pairs = ["in_3d=on", "output=enclosed", "foreground=dark"]
    codes = segment(name, image[np.newaxis], parse_params(name, pairs))
    assert iou(codes, radius < 11) > 0.8


# -------------------------------------------------------------------- any size


@pytest.mark.parametrize("output", ["regions", "enclosed", "watershed", "edges"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 5), (3, 1, 7), (1, 2, 2)])
@pytest.mark.parametrize("name", EDGES)
def test_images_of_a_few_pixels_are_answered(name, shape, output):
    values = np.arange(np.prod(shape)).reshape(shape)
    for pixels in (values.astype(np.uint8), values * 0.5 - 1):
        codes = segment(name, pixels, parse_params(name, [f"output={output}"]))
        assert codes.shape == shape[1:]
        assert codes.dtype == np.uint8
        assert codes.min() >= 1


@pytest.mark.parametrize("name", IN_3D)
def test_volumes_of_a_few_voxels_are_answered(name):
    for shape in ((1, 1, 1), (2, 3, 4)):
        codes = segment(name, np.arange(np.prod(shape)).reshape((1, *shape)).astype(np.uint16))
        assert codes.shape == shape


@pytest.mark.parametrize("output", ["regions", "enclosed", "watershed", "edges"])
@pytest.mark.parametrize("name", EDGES)
def test_a_plane_without_contrast_has_no_edges(name, output):
    for foreground in ("bright", "dark"):
        params = parse_params(name, [f"output={output}", f"foreground={foreground}"])
        assert (segment(name, np.full((1, 24, 24), 0.1), params) == 1).all()
