"""Labels files become codes, exactly, whatever values they use."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Stack,
    classes_present,
    codes_to_masks,
    open_stack,
    read_labels,
    saved_kind,
    scan_label_files,
    write_labels,
)
from napari_unetseg.images.label_values import map_annotations, map_masks, values_in

CLASSES = (LabelClass(name="membrane", color="#e69f00"), LabelClass(name="mitö", color="#56b4e9"))
IMAGE = Stack(np.zeros((3, 20, 30), np.uint8), "ZYX", {"Z": 0.05, "Y": 0.0046, "X": 0.0046})


def save(path, values):
    tifffile.imwrite(path, np.asarray(values), photometric="minisblack")
    return path


def planes(*values, dtype="uint8", shape=(3, 20, 30)):
    """Return labels that contain each of `values`."""
    labels = np.resize(np.array(values, dtype), shape)
    return labels.reshape(shape)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_masks_of_every_integer_type_become_codes(tmp_path, dtype):
    masks = planes(0, 1, dtype=dtype)
    labels = read_labels(save(tmp_path / "m.tif", masks), "masks", like=IMAGE)
    np.testing.assert_array_equal(labels.codes, masks.astype(np.uint8) + 1)
    assert labels.codes.dtype == np.uint8
    assert (labels.values, len(labels.classes)) == ({}, 1)


def test_annotations_are_codes_already(tmp_path):
    codes = planes(0, 1, 2, 3)
    labels = read_labels(save(tmp_path / "a.tif", codes), "annotations", like=IMAGE)
    np.testing.assert_array_equal(labels.codes, codes)
    assert (labels.values, len(labels.classes)) == ({}, 2)


@pytest.mark.parametrize(
    ("values", "recorded"),
    [
        ((0, 255), {"255": 1}),
        ((0, 128, 255), {"128": 1, "255": 2}),
        ((0, 1, 3), {"1": 1, "3": 2}),
        ((5, 9), {"5": 1, "9": 2}),
        ((0, 100000), {"100000": 1}),
        ((1, 2), {}),
    ],
)
def test_other_values_of_masks_are_mapped_in_ascending_order(tmp_path, values, recorded):
    masks = planes(*values, dtype="uint32")
    labels = read_labels(save(tmp_path / "m.tif", masks), "masks")
    assert labels.values == recorded
    for value in values:
        k = recorded.get(str(value), value)
        assert set(labels.codes[masks == value]) == {k + 1}


def test_gapped_annotations_keep_unlabelled_and_background(tmp_path):
    codes = planes(0, 1, 200, 7, dtype="uint16")
    labels = read_labels(save(tmp_path / "a.tif", codes), "annotations")
    assert labels.values == {"7": 1, "200": 2}
    for value, code in {0: 0, 1: 1, 7: 2, 200: 3}.items():
        assert set(labels.codes[codes == value]) == {code}


def test_a_value_is_the_same_class_in_every_file(tmp_path):
    first = save(tmp_path / "1.tif", planes(0, 255))
    second = save(tmp_path / "2.tif", planes(0, 128, 255))
    one, two = scan_label_files([first, second], "masks")
    assert one.values == two.values == {"128": 1, "255": 2}
    assert classes_present(one.codes[:]) == [0, 2]


def test_several_files_are_the_slices_of_one_image(tmp_path):
    paths = [save(tmp_path / f"{i}.tif", planes(0, i + 1, shape=(20, 30))) for i in range(3)]
    labels = read_labels(paths, "masks", like=IMAGE)
    assert labels.codes.shape == (3, 20, 30)
    assert [int(plane.max()) for plane in labels.codes] == [2, 3, 4]


def test_a_folder_of_slices_is_one_labels_file(tmp_path):
    for index in (0, 2, 10):
        Image.fromarray(planes(0, 255, shape=(20, 30))).save(tmp_path / f"z{index}.png")
    labels = read_labels(tmp_path, "masks", like=IMAGE)
    assert (labels.codes.shape, labels.values) == ((3, 20, 30), {"255": 1})


def test_objects_become_background_and_object_and_keep_their_ids(tmp_path):
    ids = planes(0, 7, 400000, dtype="int32")
    labels = read_labels(save(tmp_path / "o.tif", ids), "objects", like=IMAGE)
    np.testing.assert_array_equal(labels.codes, np.where(ids > 0, 2, 1))
    np.testing.assert_array_equal(labels.ids, ids)
    assert labels.ids.dtype == np.uint32
    assert [c.name for c in labels.classes] == ["object"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", ["annotations", "masks", "objects"])
def test_float_labels_are_refused(tmp_path, dtype, kind):
    path = save(tmp_path / "f.tif", planes(0, 1, dtype=dtype))
    with pytest.raises(UserError, match="whole numbers"):
        read_labels(path, kind)


def test_negative_labels_are_refused(tmp_path):
    path = save(tmp_path / "n.tif", planes(-1, 0, 1, dtype="int16"))
    for kind in ("annotations", "masks", "objects"):
        with pytest.raises(UserError, match="negative"):
            read_labels(path, kind)


def test_more_classes_than_there_can_be_look_like_objects(tmp_path):
    path = save(tmp_path / "many.tif", np.arange(600, dtype=np.uint16).reshape(20, 30))
    with pytest.raises(UserError, match="look like objects"):
        read_labels(path, "masks")
    assert read_labels(path, "objects").ids.max() == 599


def test_254_classes_are_not_too_many(tmp_path):
    masks = (np.arange(600, dtype=np.uint16) % 255).reshape(20, 30)
    labels = read_labels(save(tmp_path / "many.tif", masks), "masks")
    assert len(labels.classes) == 254
    np.testing.assert_array_equal(labels.codes[0], masks + 1)


@pytest.mark.parametrize("shape", [(3, 20, 31), (2, 20, 30), (20, 30)])
def test_labels_of_another_shape_name_both(tmp_path, shape):
    path = save(tmp_path / "m.tif", planes(0, 1, shape=shape))
    with pytest.raises(UserError, match=r"m\.tif has .*3 slices of 20 × 30 px"):
        read_labels(path, "masks", like=IMAGE)


def test_colour_labels_are_refused_and_grey_ones_in_colour_are_not(tmp_path):
    grey = planes(0, 255, shape=(20, 30))
    colour = np.stack([grey, grey, grey], -1)
    Image.fromarray(colour).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(
        read_labels(tmp_path / "grey.png", "masks").codes[0], np.where(grey > 0, 2, 1)
    )
    colour[..., 0] = 3
    Image.fromarray(colour).save(tmp_path / "colour.png")
    with pytest.raises(UserError, match="colour picture"):
        read_labels(tmp_path / "colour.png", "masks")


def test_slices_saved_as_channels_are_slices_of_labels(tmp_path):
    masks = planes(0, 1)
    tifffile.imwrite(tmp_path / "m.tif", masks, imagej=True)
    assert open_stack(tmp_path / "m.tif").axes == "CYX"
    labels = read_labels(tmp_path / "m.tif", "masks", like=IMAGE)
    np.testing.assert_array_equal(labels.codes, masks + 1)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".zarr"])
@pytest.mark.parametrize("kind", ["annotations", "masks"])
def test_classes_colours_and_scale_survive_a_round_trip(tmp_path, suffix, kind):
    codes = planes(0, 1, 2) if kind == "annotations" else planes(1, 2)
    path = tmp_path / f"labels{suffix}"
    write_labels(path, codes, like=IMAGE, kind=kind, classes=CLASSES)
    labels = read_labels(path, kind, like=IMAGE)
    np.testing.assert_array_equal(labels.codes, codes)
    assert (labels.classes, labels.values) == (CLASSES, {})
    stack = open_stack(path)
    assert (stack.axes, stack.pixel_size_um) == ("ZYX", IMAGE.pixel_size_um)
    assert saved_kind(stack) == kind


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_a_class_that_is_nowhere_keeps_the_others_in_place(tmp_path, suffix):
    codes = planes(1, 3)  # class 2 alone
    write_labels(tmp_path / f"m{suffix}", codes, like=IMAGE, kind="masks", classes=CLASSES)
    labels = read_labels(tmp_path / f"m{suffix}", "masks")
    np.testing.assert_array_equal(labels.codes, codes)
    assert (labels.classes, labels.values) == (CLASSES, {})


def test_files_hold_what_their_kind_says(tmp_path):
    codes = planes(0, 1, 2, 3)
    for kind, expected in {"annotations": codes, "masks": [0, 0, 1, 2]}.items():
        write_labels(tmp_path / f"{kind}.tif", codes, like=IMAGE, kind=kind, classes=CLASSES)
        written = tifffile.imread(tmp_path / f"{kind}.tif")
        wanted = np.asarray(expected)[codes] if kind == "masks" else codes
        np.testing.assert_array_equal(written, wanted)
        assert written.dtype == np.uint8


def test_ids_survive_a_round_trip(tmp_path):
    ids = planes(0, 1, 2**32 - 1, dtype="uint32")
    write_labels(tmp_path / "o.tif", ids, like=IMAGE, kind="objects", classes=CLASSES[:1])
    np.testing.assert_array_equal(read_labels(tmp_path / "o.tif", "objects").ids, ids)


def test_a_file_that_knows_its_kind_is_not_taken_for_another(tmp_path):
    codes = planes(0, 1, 2)
    write_labels(tmp_path / "a.tif", codes, like=IMAGE, kind="annotations", classes=CLASSES)
    with pytest.raises(UserError, match="saved as annotations, not as masks"):
        read_labels(tmp_path / "a.tif", "masks")
    write_labels(tmp_path / "m.tif", codes, like=IMAGE, kind="masks", classes=CLASSES)
    assert read_labels(tmp_path / "m.tif", "objects").ids.max() == 1


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match="annotations, masks, objects"):
        read_labels(tmp_path / "m.tif", "mask")


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 70000), min_size=1, max_size=50))
def test_maps_keep_the_order_of_values_and_lose_none(values):
    for mapping in (map_masks(values), map_annotations(values)):
        pairs = sorted(mapping.codes.items())
        assert [value for value, _ in pairs] == sorted(values)
        codes = [code for _, code in pairs]
        assert codes == sorted(set(codes))
        array = np.array(sorted(values), np.int64)
        np.testing.assert_array_equal(mapping.apply(array), codes)


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(-100, 2**40), max_size=20))
def test_values_are_those_of_numpy_unique(values):
    array = np.array(sorted(values) * 2, np.int64)
    assert values_in(array) == set(np.unique(array).tolist())


def test_codes_become_masks_and_unlabelled_becomes_background():
    np.testing.assert_array_equal(
        codes_to_masks(np.array([0, 1, 2, 255], np.uint8)), [0, 0, 1, 254]
    )


def test_classes_present_leaves_out_what_is_unlabelled():
    assert classes_present(np.array([[0, 3], [1, 3]], np.uint8)) == [0, 2]
