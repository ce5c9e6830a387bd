"""Labels that are read slice by slice mean what those that are read at once mean."""

import gc
import weakref

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Stack,
    annotated_slices,
    code_counts,
    label_plane,
    open_stack,
    read_labels,
    recoded,
    scan_label_files,
    scan_labels,
    write_labels,
)

CLASSES = (LabelClass(name="cell", color="#e69f00"), LabelClass(name="core", color="#56b4e9"))


def assert_same(paths, kind):
    """Compare both ways of reading."""
    together = read_labels(paths, kind)
    ends = np.cumsum([0, *(labels.shape[0] for labels in scan_label_files(paths, kind))])
    for n, scanned in enumerate(scan_label_files(paths, kind)):
        read = together.codes[ends[n] : ends[n + 1]]
        stack = scanned.open()
        planes = [label_plane(stack, i, scanned.name) for i in range(stack.n_planes)]
        codes = np.stack([scanned.codes_of(plane) for plane in planes])
        if scanned.slices is not None:  # the others were not segmented
            codes[np.setdiff1d(np.arange(len(codes)), scanned.slices)] = 0
        np.testing.assert_array_equal(codes, read)
        np.testing.assert_array_equal(scanned.codes[:], read)
        np.testing.assert_array_equal(np.stack(list(scanned.codes)), read)
        assert codes.dtype == scanned.codes.dtype == np.uint8
        assert scanned.shape == scanned.codes.shape == read.shape
        assert (scanned.kind, scanned.classes) == (together.kind, together.classes)
        assert scanned.values == together.values
        assert len(paths) > 1 or scanned.slices == together.slices
        for plane, counts in zip(read, scanned.codes.counts, strict=True):
            expected = np.bincount(plane.ravel(), minlength=len(counts))
            np.testing.assert_array_equal(counts, expected)
        if together.ids is not None:
            np.testing.assert_array_equal(scanned.ids[:], together.ids[ends[n] : ends[n + 1]])


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["annotations", "masks", "objects"]),
    values=st.lists(st.sampled_from([0, 1, 2, 3, 7, 128, 255]), min_size=1, max_size=5),
    dtype=st.sampled_from(["uint8", "int16", "uint16", "int32", "uint32"]),
    seed=st.integers(0, 99),
)
def test_values_mean_the_same(tmp_path_factory, kind, values, dtype, seed):
    folder = tmp_path_factory.mktemp("labels")
    random = np.random.default_rng(seed)
    paths = [folder / f"{name}.tif" for name in "ab"]
    for path in paths:
        labels = random.choice(values, (3, 5, 6)).astype(dtype)
        tifffile.imwrite(path, labels, photometric="minisblack")
    assert_same(paths, kind)


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
@pytest.mark.parametrize("kind", ["annotations", "masks", "objects"])
def test_what_files_say_of_themselves_is_kept(tmp_path, suffix, kind):
    codes = np.random.default_rng(0).integers(1, 4, (4, 9, 8)).astype(np.uint8)
    like = Stack(np.zeros(codes.shape, np.uint8), "TYX", {"Y": 0.2, "X": 0.1})
    path = tmp_path / f"l{suffix}"
    write_labels(path, codes, like=like, kind=kind, classes=CLASSES, slices=[0, 2])
    assert_same([path], kind)
    (scanned,) = scan_label_files([path], kind)
    assert scanned.planes_per_volume == 1
    assert scanned.pixel_size_um == pytest.approx({"Y": 0.2, "X": 0.1})


def test_grey_pictures_in_colour_are_read_and_coloured_ones_refused(tmp_path):
    grey = np.arange(30, dtype=np.uint8).reshape(5, 6) % 2 * 255
    colour = np.stack([grey, grey, grey], -1)
    Image.fromarray(colour).save(tmp_path / "grey.png")
    assert_same([tmp_path / "grey.png"], "masks")
    colour[..., 0] = 3
    Image.fromarray(colour).save(tmp_path / "colour.png")
    with pytest.raises(UserError, match="colour picture"):
        scan_label_files([tmp_path / "colour.png"], "masks")


@pytest.mark.parametrize(
    ("labels", "kind", "says"),
    [
        (np.zeros((5, 6), np.float32), "masks", "whole numbers"),
        (np.full((5, 6), -1, np.int16), "masks", "negative"),
        (np.full((5, 6), -1, np.int16), "objects", "negative"),
        (np.full((5, 6), 2**40, np.int64), "objects", "labels go up to"),
        (np.arange(600, dtype=np.uint16).reshape(20, 30), "masks", "look like objects"),
    ],
)
def test_what_no_labels_are_is_refused(labels, kind, says, tmp_path):
    np_path = tmp_path / "l.tif"
    tifffile.imwrite(np_path, labels, photometric="minisblack")
    with pytest.raises(UserError, match=says):
        scan_label_files([np_path], kind)


@pytest.mark.parametrize(
    ("planes", "foreground"),
    [([0, 0], set()), ([0, 5], {5}), ([5, 5], {5}), ([5, 7], {5, 7}), ([0, 5, 7], {5, 7})],
)
def test_a_mask_is_told_from_ids(tmp_path, planes, foreground):
    labels = np.repeat(planes, 4).reshape(-1, 2, 2).astype(np.uint16)
    tifffile.imwrite(tmp_path / "l.tif", labels, photometric="minisblack")
    (scanned,) = scan_label_files([tmp_path / "l.tif"], "objects")
    assert scanned.foreground == foreground


def test_pixels_are_not_kept_when_they_have_been_looked_through():
    opened = []

    def opener():
        stack = Stack(np.ones((2, 3, 4), np.uint8), "ZYX")
        opened.append(weakref.ref(stack.data))
        return stack

    scanned = scan_labels(["a", "b"], [opener, opener], "masks")
    gc.collect()
    assert len(opened) == 2
    assert all(reference() is None for reference in opened)
    assert scanned[0].shape == (2, 3, 4)


def test_a_file_is_mapped_and_not_read(tmp_path):
    tifffile.imwrite(tmp_path / "l.tif", np.ones((3, 8, 8), np.uint8), photometric="minisblack")
    assert isinstance(open_stack(tmp_path / "l.tif").data, np.memmap)
    (scanned,) = scan_label_files([tmp_path / "l.tif"], "masks")
    assert isinstance(scanned.open().data, np.memmap)


@pytest.mark.parametrize("axes", ["ZYX", "CZYX", "TZYX", "TCZYX", "YX", "TYX"])
def test_slices_that_are_read_together_are_those_read_alone(tmp_path, axes):
    lengths = {"T": 2, "C": 3, "Z": 7, "Y": 6, "X": 5}
    shape = tuple(lengths[axis] for axis in axes)
    array = np.arange(np.prod(shape), dtype=">u2").reshape(shape)
    zarr.create_array(
        tmp_path / "a.zarr", data=array, chunks=(2,) * len(axes), dimension_names=list(axes)
    )
    stack = open_stack(tmp_path / "a.zarr", axes=axes)
    planes = list(stack.planes())
    assert len(planes) == stack.n_planes
    for index, plane in enumerate(planes):
        np.testing.assert_array_equal(plane, stack.plane(index))
        assert plane.dtype == stack.dtype


def test_codes_of_some_slices_and_with_other_numbers_are_known_without_reading():
    values = np.random.default_rng(0).integers(0, 4, (5, 6, 7)).astype(np.uint8)
    values[3] = 0
    (labels,) = scan_labels(["l"], [lambda: Stack(values, "ZYX")], "annotations")
    table = np.zeros(256, np.uint8)
    table[1:4] = 3, 1, 3
    expected = np.where(np.arange(5)[:, None, None] >= 2, table[values], 0)
    lazy = recoded(labels.codes.only([2, 3, 4]), table)
    np.testing.assert_array_equal(lazy[:], expected)
    np.testing.assert_array_equal(recoded(values, table)[2:], expected[2:])
    assert annotated_slices(lazy) == annotated_slices(expected) == [2, 4]
    for code in (1, 2, 3):
        of_code = (expected == code).sum(axis=(1, 2))
        np.testing.assert_array_equal(code_counts(lazy)[:, code], of_code)
        np.testing.assert_array_equal(code_counts(expected)[:, code], of_code)
