import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import felzenszwalb, slic, watershed

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
from napari_unetseg.classical.channels import steepness, unit_channels
from napari_unetseg.classical.superpixels import claimed, grid_points
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

NAMES = ("slic", "felzenszwalb", "compact_watershed")


def patches(shape=(60, 80), seed=0):
    """A chequered image with noise, and its squares."""
    squares = sum(np.ix_(*(np.arange(n) // 20 for n in shape)))
    random = np.random.default_rng(seed)
    image = np.where(squares % 2, 160, 60) + random.normal(0, 6, shape)
    return np.clip(image, 0, 255).astype(np.uint8), squares % 2 == 1


def run(name, view, *pairs):
    return run_view(Chain.of(name, parse_params(name, pairs)), view)


def split_by_truth(ids, truth):
    """Return how many pixels lie in a piece that is mostly of the other kind."""
    return np.mean(claimed(ids, truth.astype(np.uint8) + 1) != truth.astype(np.uint8) + 1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_every_pixel_lies_in_a_piece_that_keeps_to_edges(name, dtype):
    image, truth = patches()
    scaled = image.astype(dtype) * (90 if dtype != "uint8" else 1)
    if np.dtype(dtype).kind != "u":
        scaled = (scaled - 9000).astype(dtype)
    before = scaled.copy()
    ids = run(name, View(scaled[np.newaxis]), *(["size_px=8"] if name != "felzenszwalb" else []))
    assert ids.dtype == np.uint32
    assert ids.min() == 1
    assert ids.max() >= 12
    assert split_by_truth(ids, truth) < 0.06
    np.testing.assert_array_equal(scaled, before)
    np.testing.assert_array_equal(
        run(name, View(scaled[np.newaxis]), *(["size_px=8"] if name != "felzenszwalb" else [])), ids
    )


@pytest.mark.parametrize("name", NAMES)
def test_colours_cut_where_intensity_would_not(name):
    _, truth = patches()
    colours = np.stack([np.where(truth, 200, 40), np.where(truth, 40, 200), np.full_like(truth, 9)])
    pairs = [] if name == "felzenszwalb" else ["size_px=8"]
    ids = run(name, View(colours.astype(np.uint8)), *pairs)
    assert split_by_truth(ids, truth) < 0.06


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 30)])
def test_tiny_and_constant_images_are_cut(name, shape):
    ids = run(name, View(np.full((1, *shape), 7, np.uint16)))
    assert ids.shape == shape
    assert ids.min() >= 1
    claims = run(
        name, View(np.full((1, *shape), 7.0), strokes=np.zeros(shape, np.uint8)), "claim=on"
    )
    assert not claims.any()


def test_slic_is_that_of_scikit_image():
    image, _ = patches()
    view = View(image[np.newaxis])
    expected = slic(unit_channels(view, 1)[0], 75, 0.2, channel_axis=None)
    np.testing.assert_array_equal(run("slic", view, "size_px=8"), expected)


def test_felzenszwalb_is_that_of_scikit_image():
    image, _ = patches()
    view = View(image[np.newaxis])
    data = unit_channels(view, 0)[0]
    expected = felzenszwalb(data, scale=30, sigma=0, min_size=20)
    found = run("felzenszwalb", view, "scale=30", "sigma_px=0", "min_area_px=20")
    np.testing.assert_array_equal(found, expected + 1)


def test_a_compact_watershed_is_that_of_scikit_image():
    image, _ = patches()
    view = View(image[np.newaxis])
    gradient = steepness(view, 1)
    expected = watershed(gradient, grid_points((60, 80), (8, 8)), compactness=0.5 * gradient.mean())
    np.testing.assert_array_equal(
        run("compact_watershed", view, "size_px=8", "compactness=0.5"), expected
    )


def test_compact_pieces_of_an_even_image_are_squares():
    ids = run("compact_watershed", View(np.zeros((1, 48, 64))), "size_px=16", "compactness=1")
    assert np.bincount(ids.ravel())[1:].tolist() == pytest.approx([256] * 12, abs=70)
    boxes = ndimage.find_objects(ids)
    assert all(max(b.stop - b.start for b in box) <= 19 for box in boxes)


@pytest.mark.parametrize("name", ["slic", "compact_watershed"])
def test_supervoxels_are_as_deep_as_wide_where_slices_are_thick(name):
    _, truth = patches()
    volume = np.repeat(np.where(truth, 160, 60)[np.newaxis], 12, axis=0).astype(np.uint8)
    volume[6:] = 255 - volume[6:]
    thick = run(name, View(volume[np.newaxis], z_px=4.0), "in_3d=on", "size_px=12")
    even = run(name, View(volume[np.newaxis]), "in_3d=on", "size_px=12")
    assert thick.max() > 1.5 * even.max()
    above = np.repeat(truth[np.newaxis], 12, axis=0)
    above[6:] = ~above[6:]
    assert split_by_truth(thick, above) < 0.1


@pytest.mark.parametrize("name", ["slic", "compact_watershed"])
def test_a_volume_of_one_slice_is_cut_as_that_slice_is(name):
    image, _ = patches((40, 56))
    ids = run(name, View(image[np.newaxis, np.newaxis]), "size_px=8", "in_3d=on")
    alone = run(name, View(image[np.newaxis]), "size_px=8")
    assert 0.7 < ids.max() / alone.max() < 1.4
    assert alone.max() > 20


def test_grid_points_stand_in_the_middle():
    assert np.argwhere(grid_points((9, 20), (9.0, 10.0))).tolist() == [[4, 5], [4, 15]]
    assert grid_points((3, 4), (100.0, 100.0)).max() == 1


def test_a_superpixel_goes_to_the_class_that_is_painted_most_in_it():
    ids = np.array([[1, 1, 1, 2, 2, 3]], np.uint32).repeat(4, 0)
    strokes = np.zeros(ids.shape, np.uint8)
    strokes[0, :3] = 3
    strokes[1, 0] = 1
    strokes[2, 3:5] = (2, 5)
    np.testing.assert_array_equal(claimed(ids, strokes)[0], [3, 3, 3, 2, 2, 0])


@pytest.mark.parametrize("name", NAMES)
def test_strokes_claim_superpixels_whole(name):
    image, truth = patches()
    strokes = np.zeros(image.shape, np.uint8)
    strokes[10, 2:78] = truth[10, 2:78] + np.uint8(1)
    pairs = ["claim=on", *(["scale=20"] if name == "felzenszwalb" else ["size_px=10"])]
    chain = Chain.of(name, parse_params(name, pairs))
    assert answers(chain) == "classes"
    assert answers(Chain.of(name)) == "objects"
    source = Source(
        Stack(np.stack([image, image]), "ZYX"), strokes=np.stack([strokes, strokes * 0])
    )
    out = np.zeros((2, *image.shape), np.uint8)
    list(run_stack(chain, source, out=out))
    assert not out[1].any()
    assert (out[0] > 0).mean() > 0.1
    painted = out[0] > 0
    assert (out[0][painted] == truth[painted] + 1).mean() > 0.93
    whole = METHODS[name].cut(View(image[np.newaxis]), chain.method()[1])
    assert all(len(np.unique(out[0][whole == i])) == 1 for i in range(1, whole.max() + 1))
    with pytest.raises(UserError, match="paint some"):
        prepare(chain, [Source(Stack(image, "YX"))])
    assert prepare(Chain.of(name), [Source(Stack(image, "YX"))]) == [None]
