import dask.array
import numpy as np
import pytest
import zarr

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.jobs import ImageRef, create_codes, save_array, save_planes
from napari_unetseg.jobs.pixels import open_codes, open_image


@pytest.mark.parametrize("shape", [(7, 5), (3, 7, 5), (2, 3, 7, 5)])
@pytest.mark.parametrize("wrap", [np.asarray, dask.array.from_array, zarr.array])
def test_saved_pixels_are_the_array_whatever_holds_them(tmp_path, shape, wrap):
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    save_array(wrap(array), tmp_path / "ä b.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "ä b.npy"), array)


def test_an_image_comes_back_with_all_that_it_was(tmp_path):
    data = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    stack = Stack(data, "CZYX", {"Z": 0.3, "Y": 0.1, "X": 0.1}, "cells", None, ("r", "g"))
    save_planes(stack, tmp_path / "i.npy")
    ref = ImageRef(
        "1", str(tmp_path / "i.npy"), "CZYX", dict(stack.pixel_size_um), "cells", ["r", "g"]
    )
    opened = open_image(ref)
    np.testing.assert_array_equal(opened.data, data)
    assert (opened.axes, opened.pixel_size_um, opened.name, opened.channels) == (
        stack.axes,
        stack.pixel_size_um,
        stack.name,
        stack.channels,
    )


def test_codes_begin_unlabelled_and_take_no_space(tmp_path):
    codes = create_codes(tmp_path / "c.npy", (100, 512, 512))
    assert not codes.any()
    blocks = getattr((tmp_path / "c.npy").stat(), "st_blocks", 0)
    assert blocks * 512 < codes.nbytes / 10


def test_what_one_side_writes_the_other_sees(tmp_path):
    ours = create_codes(tmp_path / "c.npy", (3, 4, 5))
    theirs = open_codes(tmp_path / "c.npy", Stack(np.zeros((3, 4, 5)), "ZYX"), "r+")
    theirs[1] = 2
    np.testing.assert_array_equal(ours[:, 0, 0], [0, 2, 0])


def test_replacing_a_file_leaves_who_has_it_mapped_alone(tmp_path):
    before = create_codes(tmp_path / "c.npy", (3, 4, 5))
    before[...] = 7
    create_codes(tmp_path / "c.npy", (1, 1, 1))
    assert (before == 7).all()


def test_codes_of_another_shape_are_refused(tmp_path):
    create_codes(tmp_path / "c.npy", (3, 4, 5))
    with pytest.raises(UserError, match=r"\(3, 4, 5\).*\(3, 4, 6\)"):
        open_codes(tmp_path / "c.npy", Stack(np.zeros((3, 4, 6)), "ZYX"))


@pytest.mark.parametrize("content", [None, b"", b"no array"])
def test_an_image_that_is_not_there_or_damaged_is_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "i.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"i\.npy"):
        open_image(ImageRef("1", str(tmp_path / "i.npy"), "YX"))


def test_an_image_of_other_axes_is_refused(tmp_path):
    np.save(tmp_path / "i.npy", np.zeros((3, 4)))
    with pytest.raises(UserError, match="axes"):
        open_image(ImageRef("1", str(tmp_path / "i.npy"), "ZYX"))


def test_pickled_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "i.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        open_image(ImageRef("1", str(tmp_path / "i.npy"), "YX"))
