"""Which files are meant, which belong together, which slices are chosen."""

from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Stack,
    find_inputs,
    pair_inputs,
    parse_slices,
    stem_of,
    write_image,
)


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return [folder / name for name in names]


def test_a_folder_stands_for_its_images_in_natural_order(tmp_path):
    touch(tmp_path, "z10.tif", "z2.tif", "z1.PNG", "notes.txt", ".hidden.tif")
    assert [path.name for path in find_inputs([tmp_path])] == ["z1.PNG", "z2.tif", "z10.tif"]


def test_a_glob_stands_for_its_matches(tmp_path):
    touch(tmp_path / "a", "z10.tif", "z2.tif")
    touch(tmp_path / "b", "z1.tif", "z1.json")
    found = find_inputs([f"{tmp_path}/*/z*"])
    assert [path.name for path in found] == ["z1.tif", "z2.tif", "z10.tif"]


def test_a_zarr_is_an_image_and_not_a_folder_of_images(tmp_path):
    write_image(tmp_path / "a.zarr", Stack(np.zeros((4, 5), np.uint8), "YX"))
    assert find_inputs([tmp_path / "a.zarr"]) == [tmp_path / "a.zarr"]
    assert find_inputs([tmp_path]) == [tmp_path / "a.zarr"]


def test_an_image_given_twice_is_used_once(tmp_path):
    (path,) = touch(tmp_path, "a.tif")
    assert find_inputs([path, tmp_path, str(path)]) == [path]


def test_brackets_in_a_name_are_not_a_pattern(tmp_path):
    (path,) = touch(tmp_path, "cells [1].tif")
    assert find_inputs([str(path)]) == [path]


def test_what_a_system_keeps_about_a_file_is_no_image(tmp_path):
    image, *_ = touch(tmp_path, "a.tif", "._a.tif", ".DS_Store", "Thumbs.db")
    assert find_inputs([tmp_path]) == find_inputs([tmp_path / "*"]) == [image]
    with pytest.raises(UserError, match="No image matches"):
        find_inputs([tmp_path / "._*"])


@pytest.mark.parametrize("spec", ["none.tif", "*.tif", "empty"])
def test_what_names_nothing_is_said(tmp_path, spec):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no file|No image|holds no images"):
        find_inputs([tmp_path / spec])


def test_images_pair_with_labels_of_their_name(tmp_path):
    images = [Path("a/cell2.ome.tif"), Path("a/cell10.ome.tif")]
    labels = [Path("b/cell10.tif"), Path("b/cell2.png"), Path("b/cell3.png")]
    assert pair_inputs(images, labels) == [(images[0], labels[1]), (images[1], labels[0])]


def test_images_pair_in_natural_order_where_names_differ():
    images = [Path("im10.tif"), Path("im2.tif")]
    labels = [Path("mask_2.tif"), Path("mask_10.tif")]
    assert pair_inputs(images, labels) == [(images[0], labels[1]), (images[1], labels[0])]


def test_counts_that_differ_are_said():
    with pytest.raises(UserError, match="2 images and 1 labels"):
        pair_inputs([Path("a.tif"), Path("b.tif")], [Path("a.tif")])


def test_stems_lose_both_parts_of_a_double_suffix():
    assert [stem_of(Path(n)) for n in ("a.b.ome.tiff", "a.b.tif", "x.OME.ZARR", "plain")] == [
        "a.b", "a.b", "x", "plain",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "slices"),
    [(None, list(range(10))), ("0,7", [0, 7]), ("2-4", [2, 3, 4]), ("7, 0,5-6", [0, 5, 6, 7])],
)
def test_slices_are_numbers_and_ranges(text, slices):
    assert parse_slices(text, 10) == slices


@pytest.mark.parametrize("text", ["", "a", "1,", "-1", "3-", "1.5", "5-2", "²"])
def test_other_texts_are_no_slices(text):
    with pytest.raises(UserError, match=r"which slices|no slice|runs backwards"):
        parse_slices(text, 10)


def test_a_slice_that_is_not_there_is_said():
    with pytest.raises(UserError, match="no slice 10; the image has 10, counted from 0 to 9"):
        parse_slices("0,10", 10)


def test_a_huge_range_is_refused_at_once():
    with pytest.raises(UserError, match="no slice 99999999999; the image has 10"):
        parse_slices("0-99999999999", 10)
