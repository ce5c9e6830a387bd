import importlib

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import (
    expand_labels,
    flood,
    morphological_chan_vese,
    morphsnakes,
    random_walker,
    watershed,
)

from napari_unetseg.classical import (
    METHODS,
    Chain,
    Source,
    View,
    answers,
    parse_params,
    prepare,
    run_stack,
    run_view,
)
from napari_unetseg.classical.chan_vese import evolve
from napari_unetseg.classical.channels import grey_range, steepness, unit_channels, unit_range
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

SEEDED = ("grow", "watershed", "random_walker")
DTYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")
DISCS = ((20, 20, 9), (60, 50, 13), (30, 60, 7))


def discs(shape=(96, 80), dtype="float32", noise=0.04):
    """Bright discs on a dark ground, where they are, and a click in each and beside them."""
    truth, strokes = np.zeros(shape, bool), np.zeros(shape, np.uint8)
    y, x = np.indices(shape)
    for cy, cx, r in DISCS:
        truth |= (y - cy) ** 2 + (x - cx) ** 2 < r**2
        strokes[cy - 1 : cy + 2, cx - 1 : cx + 2] = 2
    strokes[80:83, 10:13] = strokes[5:8, 60:63] = 1
    image = 0.25 + 0.5 * truth + np.random.default_rng(0).normal(0, noise, shape)
    if np.dtype(dtype).kind == "f":
        return (image * 1000 - 300).astype(dtype), truth, strokes
    return (image * min(np.iinfo(dtype).max, 10**6)).astype(dtype), truth, strokes


def balls(z_px=2.0):
    """A bright ball, on slices as thick as `z_px` pixels, and a click on one slice of it."""
    z, y, x = np.indices((12, 40, 44))
    truth = ((z - 6) * z_px) ** 2 + (y - 20) ** 2 + (x - 22) ** 2 < 9**2
    strokes = np.zeros(truth.shape, np.uint8)
    strokes[6, 19:22, 21:24] = 2
    strokes[6, 2:5, 2:5] = 1
    image = 50 + 100 * truth + np.random.default_rng(1).normal(0, 5, truth.shape)
    return image.astype(np.float32), truth, strokes


def run(name, view, *pairs):
    return run_view(Chain.of(name, parse_params(name, pairs)), view)


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*SEEDED, "chan_vese"])
def test_clicked_discs_are_found_in_every_dtype(name, dtype):
    image, truth, strokes = discs(dtype=dtype)
    before, painted = image.copy(), strokes.copy()
    codes = run(name, View(image[np.newaxis], strokes=strokes))
    assert codes.dtype == np.uint8
    assert set(np.unique(codes)) == {1, 2}
    assert iou(codes == 2, truth) > 0.8
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(strokes, painted)


@pytest.mark.parametrize("name", [*SEEDED, "chan_vese"])
def test_colours_are_told_apart_that_are_equally_bright(name):
    _, truth, strokes = discs()
    colours = np.stack([np.where(truth, 200, 40), np.where(truth, 40, 200), np.full_like(truth, 9)])
    noisy = colours + np.random.default_rng(0).normal(0, 6, colours.shape)
    codes = run(name, View(np.clip(noisy, 0, 255).astype(np.uint8), strokes=strokes))
    assert iou(codes == 2, truth) > 0.8


@pytest.mark.parametrize("name", [*SEEDED, "chan_vese"])
def test_volumes_grow_through_slices_without_strokes(name):
    image, truth, strokes = balls()
    codes = run(name, View(image[np.newaxis], z_px=2.0, strokes=strokes), "in_3d=on")
    assert iou(codes == 2, truth) > 0.75


@pytest.mark.parametrize("name", SEEDED)
def test_slices_without_strokes_stay_unanswered_unless_the_stack_is_one_volume(name):
    image, _, strokes = balls()
    source = Source(Stack(image, "ZYX"), strokes=strokes)
    for pairs, expected in (((), [6]), (("in_3d=on",), list(range(12)))):
        out = np.zeros(image.shape, np.uint8)
        list(run_stack(Chain.of(name, parse_params(name, pairs)), source, out=out))
        assert [z for z in range(12) if out[z].any()] == expected
    none = Source(Stack(image, "ZYX"), strokes=np.zeros_like(strokes))
    with pytest.raises(UserError, match="paint some"):
        prepare(Chain.of(name), [none])


@pytest.mark.parametrize("name", SEEDED)
def test_what_is_painted_stays_and_several_classes_compete(name):
    image = np.repeat(np.array([20.0, 120, 220, 60], np.float32), 15)[None].repeat(30, 0)
    strokes = np.zeros(image.shape, np.uint8)
    for k, column in enumerate((5, 20, 35, 50)):
        strokes[10:20, column : column + 3] = (1, 2, 3, 6)[k]
    codes = run(name, View(image[np.newaxis], strokes=strokes))
    np.testing.assert_array_equal(codes[strokes > 0], strokes[strokes > 0])
    for k, code in enumerate((1, 2, 3, 6)):
        assert (codes[:, 15 * k + 3 : 15 * k + 12] == code).all()


@pytest.mark.parametrize("name", [*SEEDED, "chan_vese"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 40)])
@pytest.mark.parametrize("value", [0, 7])
def test_tiny_and_constant_images_are_answered(name, shape, value):
    strokes = np.zeros(shape, np.uint8)
    strokes[0, 0] = 2
    codes = run(name, View(np.full((1, *shape), value, np.uint16), strokes=strokes))
    assert codes.shape == shape
    assert codes[0, 0] == 2
    unpainted = run(name, View(np.zeros((1, *shape)), strokes=strokes * 0))
    assert (unpainted == (1 if name == "chan_vese" else 0)).all()


# ------------------------------------------------------------------- growing


def test_an_absolute_tolerance_floods_as_scikit_image_does():
    image = discs()[0]
    strokes = np.zeros(image.shape, np.uint8)
    strokes[60:63, 50:53] = 2
    view = View(image[np.newaxis], strokes=strokes)
    found = run("grow", view, "tolerance=absolute", "grey_value=110", "sigma_px=0") == 2
    # Its flood starts from one pixel and its value: give that the mean, and join the stroke.
    flat = image.copy()
    flat[strokes > 0] = image[strokes > 0].mean()
    expected = flood(flat, (61, 51), connectivity=1, tolerance=110)
    np.testing.assert_array_equal(found, expected)
    assert 300 < found.sum() < 600


def test_an_absolute_tolerance_in_percent_is_one_of_the_range():
    image = np.tile(np.arange(0, 101, dtype=np.float32), (20, 1))
    strokes = np.zeros(image.shape, np.uint8)
    strokes[:, 50] = 2
    low, high = grey_range(image)
    assert (low, high) == (0, 100)
    codes = run("grow", View(image[np.newaxis], strokes=strokes), "percent=10", "sigma_px=0")
    assert np.flatnonzero(codes[3] == 2).tolist() == list(range(40, 61))


def test_an_adaptive_tolerance_is_that_of_confidence_connected_growing():
    image, _, _ = discs(noise=0.02)
    strokes = np.zeros(image.shape, np.uint8)
    strokes[58:63, 48:53] = 2
    area = strokes > 0
    for _ in range(3):
        own = image[area].astype(float)
        near = np.abs(image - own.mean()) <= 2.5 * own.std()
        areas, _ = ndimage.label(near | (strokes > 0))
        area = areas == areas[60, 50]
    pairs = ("tolerance=adaptive", "deviations=2.5", "rounds=3", "sigma_px=0")
    found = run("grow", View(image[np.newaxis], strokes=strokes), *pairs) == 2
    np.testing.assert_array_equal(found, area)
    assert found.sum() > 400


def test_areas_that_run_far_are_the_same_as_if_looked_for_everywhere():
    random = np.random.default_rng(3)
    image = ndimage.gaussian_filter(random.normal(size=(700, 500)), 6).astype(np.float32)
    strokes = np.zeros(image.shape, np.uint8)
    at = np.unravel_index(image.argmax(), image.shape)
    strokes[at] = 2
    codes = run("grow", View(image[np.newaxis], strokes=strokes), "percent=70", "sigma_px=0")
    low, high = grey_range(image)
    y, x = at
    start = image[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].mean()
    near = np.abs(image - image[at]) <= 0.7 * (high - low)
    areas, _ = ndimage.label(near)
    grown = areas == areas[at]
    assert start == pytest.approx(image[at], rel=0.05)
    assert iou(codes == 2, grown) > 0.9
    assert np.ptp(np.nonzero(grown)[0]) > 300


# ------------------------------------------------------------------ watershed


def test_a_watershed_is_that_of_scikit_image():
    image, _, strokes = discs()
    smooth = ndimage.gaussian_filter(unit_range(image), 1.5)
    gradient = np.hypot(*np.gradient(smooth))
    expected = watershed(gradient, strokes.astype(np.int32))
    found = run("watershed", View(image[np.newaxis], strokes=strokes))
    assert (found == expected).mean() > 0.995


def test_each_stroke_of_a_class_becomes_an_object():
    image, truth, strokes = discs()
    strokes[28:33, 58:63] = 0
    strokes[28:33, 58:63][1:4, 1:4] = 3
    chain = Chain.of("watershed", parse_params("watershed", ["answer=objects"]))
    assert answers(chain) == "objects"
    assert answers(Chain.of("watershed")) == "classes"
    found = run_view(chain, View(image[np.newaxis], strokes=strokes))
    assert found.dtype == np.uint32
    assert found.max() == 3
    labels, _ = ndimage.label(truth)
    for cy, cx, _ in DISCS:
        assert iou(found == found[cy, cx], labels == labels[cy, cx]) > 0.8
    assert found[81, 11] == 0
    out = np.zeros((2, *image.shape), np.uint32)
    both = Source(Stack(np.stack([image, image]), "ZYX"), strokes=np.stack([strokes, strokes]))
    list(run_stack(chain, both, out=out))
    assert np.unique(out[1]).tolist() == [0, 4, 5, 6]


@pytest.mark.parametrize("name", ["watershed", "random_walker"])
def test_a_class_alone_does_not_flood_the_image(name):
    image, _, strokes = discs()
    alone = np.where(strokes == 2, strokes, 0)
    codes = run(name, View(image[np.newaxis], strokes=alone))
    np.testing.assert_array_equal(codes, alone)
    assert codes is not alone
    one = Source(Stack(image[np.newaxis], "ZYX"), strokes=alone[np.newaxis])
    with pytest.raises(UserError, match="paint some of another class, or background, too"):
        prepare(Chain.of(name), [one])
    both = Source(Stack(image[np.newaxis], "ZYX"), strokes=strokes[np.newaxis])
    prepare(Chain.of(name), [one, both])


def test_strokes_of_one_class_are_enough_for_objects():
    image, _, strokes = discs()
    alone = np.where(strokes == 2, strokes, 0)[np.newaxis]
    chain = Chain.of("watershed", parse_params("watershed", ["answer=objects"]))
    prepare(chain, [Source(Stack(image[np.newaxis], "ZYX"), strokes=alone)])


def test_steepness_counts_thick_slices():
    ramp = np.arange(8, dtype=np.float32)[:, None, None] + np.zeros((8, 9, 9), np.float32)
    even = steepness(View(ramp[np.newaxis]), 0)
    thick = steepness(View(ramp[np.newaxis], z_px=4.0), 0)
    np.testing.assert_allclose(thick[3:5], even[3:5] / 4, rtol=1e-5)
    np.testing.assert_allclose(even[3:5], 1 / 7, rtol=1e-5)


# -------------------------------------------------------------- random walker


@pytest.mark.parametrize("in_3d", [False, True])
@pytest.mark.parametrize("beta", [130, 1000])
def test_random_walks_end_as_probably_as_in_scikit_image(in_3d, beta):
    image, _, strokes = balls() if in_3d else discs()
    strokes[..., 1:3, 35:38] = 4
    spacing = (2.0, 1, 1) if in_3d else (1, 1)
    view = View(image[np.newaxis], z_px=2.0, strokes=strokes)
    params = parse_params("random_walker", [f"beta={beta}"])
    found = METHODS["random_walker"].probabilities(view, params)
    data = unit_channels(view, 0)[0].astype(float)
    expected = random_walker(
        data, strokes, beta=beta, mode="bf", return_full_prob=True, spacing=spacing
    )
    assert found.shape == (4, *image.shape)
    assert np.abs(found[[0, 1, 3]] - expected).mean() < 0.003
    assert (np.abs(found[[0, 1, 3]] - expected) > 0.03).mean() < 0.01
    assert (found[2] == 0).all()
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-5)
    codes = run("random_walker", view, f"beta={beta}")
    named = np.array([1, 2, 4], np.uint8)[expected.argmax(axis=0)]
    assert (codes == named).mean() > 0.995


@pytest.mark.parametrize("beta", [10, 130, 1000])
def test_random_walks_come_to_an_end_where_a_disc_is_all_but_cut_off(beta):
    y, x = np.indices((96, 128))
    disc = ((y - 48) ** 2 + (x - 20) ** 2 < 100) | ((y - 48) ** 2 + (x - 48) ** 2 < 100)
    noise = np.random.default_rng(0).normal(0, 5, disc.shape)
    image = np.clip(np.where(disc, 200, 40) + noise, 0, 255).astype(np.uint8)
    painted = (y // 32 + x // 32) % 2 == 0
    strokes = np.where(painted, 1 + disc, 0).astype(np.uint8)
    view = View(image[np.newaxis], strokes=strokes)
    codes = run("random_walker", view, f"beta={beta}", "sigma_px=0")
    assert (codes == 1 + disc)[painted].all()
    assert (codes == 1 + disc)[~disc].mean() > 0.99


def test_random_walks_on_an_even_image_reach_the_nearest_stroke():
    strokes = np.zeros((30, 31), np.uint8)
    strokes[15, 3], strokes[15, 27] = 1, 2
    codes = run("random_walker", View(np.full((1, 30, 31), 5, np.uint8), strokes=strokes))
    nearest = expand_labels(strokes, 60)
    assert (codes == nearest)[:, [*range(14), *range(17, 31)]].all()


# ---------------------------------------------------------------- Chan–Vese


@pytest.mark.parametrize("shape", [(50, 61), (6, 20, 22), (2, 30)])
@pytest.mark.parametrize(("n_steps", "smoothing"), [(1, 0), (5, 1), (12, 3), (61, 1), (60, 2)])
def test_the_outline_moves_as_in_scikit_image(shape, n_steps, smoothing):
    random = np.random.default_rng(n_steps)
    image = ndimage.gaussian_filter(random.random(shape), 1.5).astype(np.float32)
    start = np.indices(shape).sum(axis=0) % 7 < 3
    # Its smoothing alternates from one call to the next.
    importlib.reload(morphsnakes)
    expected = morphsnakes.morphological_chan_vese(
        image.astype(float), n_steps, start.astype(np.int8), smoothing=smoothing
    )
    found = evolve(image[np.newaxis], start, n_steps, smoothing)
    np.testing.assert_array_equal(found, expected.astype(bool))


def test_an_outline_without_strokes_starts_everywhere_and_knows_bright_from_dark():
    image, truth, _ = discs()
    unlabelled = View(image[np.newaxis])
    assert iou(run("chan_vese", unlabelled) == 2, truth) > 0.8
    dark = View(-image[np.newaxis])
    assert iou(run("chan_vese", dark, "foreground=dark") == 2, truth) > 0.8
    expected = morphological_chan_vese(unit_channels(unlabelled, 1)[0].astype(float), 60)
    same = expected.astype(bool) == (run("chan_vese", unlabelled) == 2)
    assert same.mean() > 0.99 or same.mean() < 0.01


def test_an_outline_from_strokes_stays_with_what_they_touch():
    image, truth, strokes = discs()
    strokes[30 - 2 : 30 + 3, 60 - 2 : 60 + 3] = 0
    codes = run("chan_vese", View(image[np.newaxis], strokes=strokes), "n_steps=15")
    labels, _ = ndimage.label(truth)
    assert not (codes[labels == labels[30, 60]] == 2).any()
    assert iou(codes == 2, truth & (labels != labels[30, 60])) > 0.8


# --------------------------------------------------------------------- range


def test_the_range_of_grey_values_leaves_out_hot_pixels_but_not_small_spots():
    image = np.random.default_rng(0).normal(100, 1, (256, 256)).astype(np.float32)
    image[40:47, 40:47] = 900
    image[3, 3], image[9, 200] = 60000, -500
    low, high = grey_range(image)
    assert 90 < low < 100
    assert high == 900
    assert grey_range(np.full((4, 4), 3.0)) == (3, 3)
    shares = unit_range(image)
    assert shares.min() == 0
    assert shares.max() == 1
