"""Steps after a method, against SciPy and scikit-image by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import morphology
from skimage.segmentation import watershed

from napari_unetseg.classical import (
    REFINEMENTS,
    Chain,
    Source,
    View,
    parse_step,
    run_stack,
    splitting,
    threads,
)
from napari_unetseg.classical.shapes import closed, opened, within
from napari_unetseg.classical.splitting import SPLIT
from napari_unetseg.images import Stack


def speckled(shape=(40, 60), seed=0, share=0.5, sigma=1.5):
    """A mask of ragged pieces with holes."""
    random = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(random.normal(0, 1, shape), sigma)
    return values > np.quantile(values, 1 - share)


def codes_of(mask):
    return np.where(mask, 2, 1).astype(np.uint8)


def ids_of(mask):
    return ndimage.label(mask)[0].astype(np.uint32)


def apply(step, labels, z_px=1.0):
    settings = parse_step(step)
    before = labels.copy()
    view = View(np.zeros((1, *labels.shape), np.uint8), z_px)
    found = REFINEMENTS[settings.step].apply(labels, view, settings.checked())
    np.testing.assert_array_equal(labels, before)
    assert found.shape == labels.shape
    return found


SHAPES = ((1, 1), (3, 5), (40, 60), (7, 20, 24))


@pytest.mark.parametrize("name", [name for name in REFINEMENTS if name != "crf"])
@pytest.mark.parametrize("shape", SHAPES)
def test_labels_of_any_size_are_answered_in_their_kind(name, shape):
    mask = speckled(shape)
    for labels in (
        codes_of(mask),
        ids_of(mask),
        np.ones(shape, np.uint8),
        np.zeros(shape, "uint32"),
    ):
        found = apply(name, labels)
        expected = np.uint32 if name == "split" else labels.dtype
        assert found.dtype == expected
        assert set(np.unique(found > 0)) <= {np.False_, np.True_}


@pytest.mark.parametrize("name", [name for name in REFINEMENTS if name != "crf"])
def test_where_nothing_is_said_nothing_is(name):
    labels = codes_of(speckled())
    labels[:, 10:20] = 0
    found = apply(name, labels)
    assert (found[labels == 0] == 0).all()
    if name != "split":
        assert (found[labels > 0] > 0).all()


@pytest.mark.parametrize("name", [name for name in REFINEMENTS if name != "crf"])
def test_whole_and_empty_masks(name):
    full = np.full((12, 15), 2, np.uint8)
    found = apply(name, full)
    assert (found == (1 if name == "split" else 2)).all()
    empty = np.ones((12, 15), np.uint8)
    assert (apply(name, empty) == (0 if name == "split" else 1)).all()
    assert (apply(name, np.zeros((12, 15), np.uint8)) == 0).all()


@pytest.mark.parametrize("name", ["fill_holes", "remove_small", "open", "close", "smooth"])
def test_ids_of_any_size_are_kept(name):
    ids = np.zeros((30, 30), np.uint32)
    ids[2:12, 2:12], ids[15:28, 15:28] = 4_000_000_000, 7
    assert set(np.unique(apply(name, ids))) == {0, 7, 4_000_000_000}


# --------------------------------------------------------------------- holes


@pytest.mark.parametrize(("shape", "share"), [((40, 60), 0.6), ((9, 20, 24), 0.85)])
def test_holes_are_those_of_scipy(shape, share):
    mask = speckled(shape, share=share)
    expected = ndimage.binary_fill_holes(mask)
    assert expected.sum() > mask.sum()
    np.testing.assert_array_equal(apply("fill_holes:max_area_px=0", codes_of(mask)) == 2, expected)


def test_holes_that_are_large_stay():
    mask = speckled(share=0.65)
    for area in (1, 3, 10):
        # scikit-image's threshold is a largest size as well.
        expected = morphology.remove_small_holes(mask, max_size=area, connectivity=1)
        border = np.ones_like(mask)
        border[1:-1, 1:-1] = False
        open_ = morphology.reconstruction(
            border & ~mask, ~mask, footprint=np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
        )
        expected &= mask | (open_ == 0)
        found = apply(f"fill_holes:max_area_px={area}", codes_of(mask)) == 2
        np.testing.assert_array_equal(found, expected)


def rings():
    """A class within a class, each with a hole."""
    y, x = np.indices((60, 60)) - 30
    r = np.hypot(y, x)
    codes = np.ones((60, 60), np.uint8)
    codes[r < 25], codes[r < 18] = 3, 1
    codes[r < 12], codes[r < 5] = 2, 1
    return codes, r


@pytest.mark.parametrize("swap", [False, True])
def test_a_hole_goes_to_the_innermost_of_the_classes_around_it(swap):
    codes, r = rings()
    inner, outer = (3, 2) if swap else (2, 3)
    if swap:
        codes = np.array([0, 1, 3, 2], np.uint8)[codes]
    found = apply("fill_holes:max_area_px=0", codes)
    assert (found[r < 12] == inner).all()
    assert (found[(r > 12.5) & (r < 24)] == outer).all()
    assert (found[r > 26] == 1).all()


def test_a_gap_between_objects_is_no_hole_of_one_of_them():
    ids = np.zeros((20, 20), np.uint32)
    ids[2:18, 2:10], ids[2:18, 10:18] = 1, 2
    ids[8:12, 9:11] = 0
    ids[4:6, 4:6] = 0
    found = apply("fill_holes", ids)
    assert (found[8:12, 9:11] == 0).all()
    assert (found[4:6, 4:6] == 1).all()


def test_a_hole_in_a_slice_is_open_in_3d_where_it_goes_on_to_the_last_slice():
    codes = np.full((5, 9, 9), 2, np.uint8)
    codes[2:, 4, 4] = 1
    assert (apply("fill_holes:max_area_px=0", codes) == codes).all()
    codes[4, 4, 4] = 2
    assert (apply("fill_holes:max_area_px=0", codes) == 2).all()


# --------------------------------------------------------------------- sizes


@pytest.mark.parametrize("shape", [(40, 60), (9, 20, 24)])
@pytest.mark.parametrize("area", [0, 2, 10, 50])
def test_small_pieces_are_those_of_scikit_image(shape, area):
    mask = speckled(shape, share=0.3)
    sizes = {"max_size": area - 1} if area else {"max_size": 0}
    expected = morphology.remove_small_objects(mask, **sizes, connectivity=mask.ndim)
    found = apply(f"remove_small:min_area_px={area}", codes_of(mask))
    np.testing.assert_array_equal(found == 2, expected)


def test_pieces_of_each_class_and_whole_objects_are_counted():
    codes = np.ones((10, 20), np.uint8)
    codes[1:4, 1:4], codes[1:4, 4:6] = 2, 3
    found = apply("remove_small:min_area_px=7", codes)
    assert (found == 2).sum() == 9
    assert not (found == 3).any()
    ids = np.zeros((10, 20), np.uint32)
    ids[1:3, 1:3] = ids[6:8, 6:8] = 5
    ids[1:3, 10:13] = 9
    assert set(np.unique(apply("remove_small:min_area_px=8", ids))) == {0, 5}


def test_the_largest_of_each_class_stay():
    codes = np.ones((20, 40), np.uint8)
    codes[1:5, 1:5], codes[1:4, 10:13], codes[1:3, 20:22] = 2, 2, 2
    codes[10:14, 1:3], codes[10:15, 10:15] = 3, 3
    found = apply("keep_largest", codes)
    assert (found == 2).sum() == 16
    assert (found == 3).sum() == 25
    two = apply("keep_largest:n=2", codes)
    assert (two == 2).sum() == 25
    assert (two == 3).sum() == 33
    ids = np.where(codes == 2, ndimage.label(codes == 2)[0] * 10, 0).astype(np.uint32)
    assert set(np.unique(apply("keep_largest:n=2", ids))) == {0, 10, 20}


def test_of_pieces_as_large_the_first_stays():
    codes = np.ones((6, 12), np.uint8)
    codes[3:5, 1:3], codes[1:3, 8:10] = 2, 2
    found = apply("keep_largest", codes)
    assert (found[1:3, 8:10] == 2).all()
    assert (found == 2).sum() == 4


@pytest.mark.parametrize("value", [2, 7])
def test_a_single_pixel_is_removed_too(value):
    """There codes are larger than the image has pixels."""
    assert apply("remove_small:min_area_px=2", np.full((1, 1), value, np.uint8)) == 1


# ------------------------------------------------------------------- shapes


def grown(mask, radius, steps=None):
    """Pixels by their distance; SciPy finds one also where there is nothing to be near to."""
    return mask if not mask.any() else ndimage.distance_transform_edt(~mask, steps) <= radius + 1e-9


def opening(mask, radius):
    return grown(~grown(~mask, radius), radius)


def closing(mask, radius):
    return ~grown(~grown(mask, radius), radius)


@pytest.mark.parametrize("radius", [0.0, 1.0, 1.5, 3.0, 7.3, 30.0])
@pytest.mark.parametrize(
    ("shape", "z_px"), [((40, 60), 1.0), ((9, 20, 24), 1.0), ((9, 20, 24), 2.5)]
)
def test_growing_shrinking_opening_and_closing_are_those_by_distance(radius, shape, z_px):
    mask = speckled(shape, share=0.1, sigma=1)
    steps = [z_px, 1, 1][-len(shape) :]
    radii = View(np.zeros((1, *shape)), z_px).per_axis(radius)
    np.testing.assert_array_equal(within(mask, radii), grown(mask, radius, steps))
    if z_px == 1:
        thick = speckled(shape, share=0.7)
        np.testing.assert_array_equal(opened(thick, radii), opening(thick, radius))
        np.testing.assert_array_equal(closed(mask, radii), closing(mask, radius))


@pytest.mark.parametrize("step", ["open", "close"])
def test_classes_and_objects_are_opened_and_closed_by_themselves(step):
    mask = speckled(share=0.5)
    change = {"open": opening, "close": closing}[step]
    found = apply(f"{step}:radius_px=2", codes_of(mask))
    np.testing.assert_array_equal(found == 2, change(mask, 2))
    ids = ids_of(mask)
    by_id = apply(f"{step}:radius_px=2", ids)
    for number in range(1, ids.max() + 1):
        alone = change(ids == number, 2)
        if step == "open":
            np.testing.assert_array_equal(by_id == number, alone)
        else:
            assert not ((by_id == number) & ~alone).any()
            assert (by_id[ids == number] == number).all()
            assert (by_id[alone] > 0).all()


def test_closing_takes_nothing_of_another_class():
    codes = np.ones((11, 21), np.uint8)
    codes[1:10, 2:9], codes[1:10, 12:19], codes[1:10, 10] = 2, 2, 3
    found = apply("close:radius_px=3", codes)
    assert (found[codes == 3] == 3).all()
    assert (found[4:7, 9] == 2).all()


# ----------------------------------------------------------------- smoothing


def test_smoothing_gives_what_weighs_most_around():
    random = np.random.default_rng(0)
    codes = random.integers(1, 5, (30, 40)).astype(np.uint8)
    shares = [
        ndimage.gaussian_filter((codes == code).astype(float), 2, mode="nearest", truncate=3)
        for code in range(1, 5)
    ]
    expected = np.argmax(shares, axis=0) + 1
    clear = np.diff(np.sort(shares, axis=0)[-2:], axis=0)[0] > 1e-5
    found = apply("smooth:sigma_px=2", codes)
    np.testing.assert_array_equal(found[clear], expected[clear])
    ids = (codes - 1).astype(np.uint32) * 1000
    np.testing.assert_array_equal(
        apply("smooth:sigma_px=2", ids)[clear], (expected[clear] - 1) * 1000
    )
    np.testing.assert_array_equal(apply("smooth:sigma_px=0", codes), codes)


def test_smoothing_follows_the_shape_of_voxels():
    codes = codes_of(speckled((9, 20, 24)))
    share = ndimage.gaussian_filter(
        (codes == 2).astype(np.float32), (0.5, 2, 2), mode="nearest", truncate=3
    )
    found = apply("smooth:sigma_px=2", codes, z_px=4.0)
    clear = np.abs(share - 0.5) > 1e-5
    np.testing.assert_array_equal((found == 2)[clear], (share > 0.5)[clear])


# ------------------------------------------------------------------ splitting


def balls(shape, middles, radius, z_px=1.0):
    mask = np.zeros(shape, bool)
    steps = np.array([z_px, 1, 1][-len(shape) :])
    for middle in middles:
        apart = (np.stack(np.indices(shape), -1) - middle) * steps
        mask |= (apart**2).sum(-1) <= radius**2
    return mask


def test_discs_that_touch_become_objects():
    middles = np.array([(20, 20), (20, 38), (36, 29), (70, 70)])
    codes = codes_of(balls((90, 90), middles, 10))
    ids = apply("split", codes)
    assert ids.dtype == np.uint32
    assert set(np.unique(ids)) == {0, 1, 2, 3, 4}
    assert ((ids > 0) == (codes == 2)).all()
    assert len({ids[tuple(middle)] for middle in middles}) == 4
    assert (apply("split:min_distance_px=40", codes) > 0).sum() == (codes == 2).sum()
    assert apply("split:min_distance_px=40", codes).max() == 2


def test_balls_that_touch_in_flat_voxels_become_objects():
    middles = np.array([(6, 20, 20), (6, 20, 37), (12, 20, 28)])
    codes = codes_of(balls((19, 40, 58), middles, 10, z_px=3.0))
    ids = apply("split", codes, z_px=3.0)
    assert len({ids[tuple(middle)] for middle in middles} - {0}) == 3
    assert ids.max() == 3


def test_pieces_of_different_classes_or_ids_stay_apart():
    codes = np.ones((30, 60), np.uint8)
    codes[5:25, 5:30], codes[5:25, 30:33] = 2, 3
    ids = apply("split", codes)
    assert not set(np.unique(ids[codes == 2])) & set(np.unique(ids[codes == 3]))
    assert (ids[codes > 1] > 0).all()
    again = apply("split", np.where(codes > 1, codes, 0).astype(np.uint32))
    np.testing.assert_array_equal(again > 0, ids > 0)
    assert not set(np.unique(again[codes == 2])) & set(np.unique(again[codes == 3]))


def test_an_even_bar_is_one_object():
    for angle in (0, 90):
        codes = codes_of(ndimage.rotate(np.pad(np.ones((9, 80)), 30), angle, order=0) > 0)
        assert apply("split", codes).max() == 1


# --------------------------------------------------------------------- chains


def test_a_stack_of_masks_is_refined_slice_by_slice_or_as_a_volume():
    codes = np.ones((3, 20, 20), np.uint8)
    codes[1, 5:15, 5:15], codes[1, 8:12, 8:12] = 2, 1
    stack = Stack(np.zeros((3, 20, 20), np.uint8), "ZYX", {"Z": 1.0, "Y": 1.0, "X": 1.0})
    for in_3d, filled in (("off", 100), ("on", 84)):
        chain = Chain(steps=(parse_step(f"fill_holes:in_3d={in_3d},max_area_px=0"),))
        out = np.zeros_like(codes)
        for _ in run_stack(chain, Source(stack, labels=codes), out=out):
            pass
        assert (out == 2).sum() == filled


@pytest.mark.parametrize("steps", [("remove_small",), ("remove_small", "fill_holes:in_3d=on")])
def test_objects_that_go_through_slices_stay_what_they_are(steps):
    ids = np.zeros((3, 20, 20), np.uint32)
    ids[:, 2:14, 2:14], ids[1, 17, 17] = 9, 4
    stack = Stack(np.zeros((3, 20, 20), np.uint8), "ZYX", {"Z": 1.0, "Y": 1.0, "X": 1.0})
    chain = Chain(steps=tuple(parse_step(step) for step in steps))
    out = np.zeros_like(ids)
    for _ in run_stack(chain, Source(stack, labels=ids), out=out):
        pass
    np.testing.assert_array_equal(out, np.where(ids == 9, 9, 0))


def test_objects_of_a_volume_are_refined_slice_by_slice_without_falling_apart():
    pixels = np.zeros((4, 40, 40), np.uint8)
    pixels[:, 5:15, 5:15] = pixels[:, 25:35, 25:35] = 200
    stack = Stack(pixels, "ZYX", {"Z": 1.0, "Y": 1.0, "X": 1.0})
    steps = ("otsu:sigma_px=0", "split:in_3d=on", "smooth")
    chain = Chain(steps=tuple(parse_step(step) for step in steps))
    out = np.zeros(pixels.shape, np.uint32)
    for _ in run_stack(chain, Source(stack), out=out):
        pass
    assert set(np.unique(out)) == {0, 1, 2}
    assert (out[:, 10, 10] == out[0, 10, 10]).all()
    by_slice = Chain(steps=(parse_step(steps[0]), parse_step("split"), parse_step("smooth")))
    for _ in run_stack(by_slice, Source(stack), out=out):
        pass
    assert out.max() == 8


def test_what_touches_at_a_corner_alone_stays_with_its_object():
    labels = np.ones((9, 9), np.uint8)
    labels[1:5, 1:5] = 2
    labels[5, 5] = labels[6, 6] = 2
    ids = SPLIT.apply(labels, View(np.zeros((1, 9, 9))), SPLIT.params())
    np.testing.assert_array_equal(ids, (labels == 2).astype(np.uint32))


def test_bands_and_pieces_flooded_apart_are_a_watershed_of_the_whole(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 2)
    monkeypatch.setattr(splitting, "cores", lambda: 2)
    monkeypatch.setattr(splitting, "_SEEN_PX", 20)
    random = np.random.default_rng(0)
    shape = ndimage.gaussian_filter(random.normal(size=(160, 120)), 4) > 0
    view = View(np.zeros((1, *shape.shape)))
    for mask in (shape, np.pad(np.ones((100, 60), bool), 30)):  # deeper than a band sees
        view = View(np.zeros((1, *mask.shape)))
        depth = splitting.depth_in(mask, view, 1.5)
        whole = ndimage.gaussian_filter(
            ndimage.distance_transform_edt(mask).astype(np.float32), 1.5, mode="nearest"
        )
        np.testing.assert_array_equal(depth, whole.round(2))
        seeds = splitting.seeds_in(mask, depth, (6.0, 6.0))
        expected = watershed(-depth, seeds, mask=mask)
        found = splitting.flooded(depth, seeds, mask)
        np.testing.assert_array_equal(found[expected > 0], expected[expected > 0])
