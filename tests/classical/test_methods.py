import numpy as np
import pytest
from discs import DTYPES, FOR_DISCS, cast, discs, iou

from napari_unetseg.classical import METHODS, LevelMethod, View, parse_params, segment
from napari_unetseg.errors import UserError

#: Methods that answer classes of an image alone; the others are tested with their family.
ALONE = [name for name in METHODS if isinstance(METHODS[name], LevelMethod)]

#: Methods that answer which pixels are beyond a level, or between edges.
BY_LEVELS = [name for name in METHODS if METHODS[name].family in ("Threshold", "Edges")]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BY_LEVELS)
def test_discs_are_found_in_every_dtype_and_both_polarities(name, dtype):
    image, truth = discs()
    for foreground, picture in (("bright", image), ("dark", 1 - image)):
        pairs = [f"foreground={foreground}", *FOR_DISCS.get(name, [])]
        codes = segment(name, cast(picture, dtype)[np.newaxis], parse_params(name, pairs))
        assert codes.dtype == np.uint8
        assert set(np.unique(codes)) == {1, 2}
        assert iou(codes, truth) > 0.8, foreground


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_clusters_are_discs_and_ground_in_every_dtype(dtype):
    image, truth = discs()
    plane = cast(image, dtype)[np.newaxis]
    assert iou(segment("kmeans", plane, parse_params("kmeans", ["n_clusters=2"])), truth) > 0.8


@pytest.mark.parametrize("name", ALONE)
def test_several_channels_are_taken_and_the_image_is_left_as_it_was(name):
    image, truth = discs()
    plane = np.stack([cast(image, "uint8"), cast(image, "uint8") // 2, cast(image, "uint8")])
    before = plane.copy()
    params = parse_params(name, FOR_DISCS.get(name, []))
    assert iou(segment(name, plane, params), truth) > 0.75
    np.testing.assert_array_equal(plane, before)


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("foreground", ["bright", "dark"])
def test_a_plane_without_contrast_is_all_background(name, foreground):
    codes = segment(
        name, np.full((1, 24, 24), 7, np.uint16), parse_params(name, [f"foreground={foreground}"])
    )
    assert (codes == 1).all()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_describes_itself_and_its_parameters(name):
    method = METHODS[name]
    assert method.name == name
    assert method.title
    assert method.summary
    assert method.good_for
    assert method.family
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
        segment("dance", plane)
    with pytest.raises(UserError, match="AutomaticParams"):
        segment("otsu", plane, parse_params("canny", []))


@pytest.mark.parametrize("name", METHODS)
def test_methods_that_mix_channels_see_nothing_where_their_mean_is_even(name):
    image, truth = discs()
    bright = cast(image, "uint8") // 2
    strokes = np.where(truth, 2, 1).astype(np.uint8)
    strokes[::2] = 0
    view = View(np.stack([bright, 200 - bright]), strokes=strokes)
    method, params = METHODS[name], METHODS[name].params()
    prepared = method.prepare([view], params) if method.prepare_on(params) == "strokes" else None
    answered = method.segment(view, params, prepared)
    if method.mixes_channels:
        assert len(np.unique(answered)) == 1, "the mean is 100 everywhere"
    else:
        assert len(np.unique(answered)) > 1


@pytest.mark.parametrize("name", ["grow", "blob_log", "blob_doh"])
def test_a_percentage_means_the_same_as_its_grey_value(name):
    image, truth = discs()
    strokes = np.zeros(truth.shape, np.uint8)
    strokes[tuple(np.argwhere(truth)[len(np.argwhere(truth)) // 2])] = 2
    view = View(cast(image, "uint16")[np.newaxis], strokes=strokes)
    method, params = METHODS[name], METHODS[name].params()
    given = method.by_grey_value(view, params)
    assert given["grey_value"] > 100
    np.testing.assert_array_equal(
        method.segment(view, params.replace(**given)), method.segment(view, params)
    )
