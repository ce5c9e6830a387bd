"""Arrays that are read in chunks read each chunk once for all slices in it."""

import contextlib
import gc
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, lazy, open_stack
from napari_unetseg.images.recent import RecentChunks


@pytest.fixture
def recent(monkeypatch):
    monkeypatch.setattr(lazy, "RECENT", RecentChunks(1 << 20))
    return lazy.RECENT


def counted(data, chunk):
    """Return a lazy array of `data`, and where it was read."""
    read = []

    def block(where):
        read.append(tuple(span.start for span in where))
        return data[where].copy()

    return lazy.lazy_array(Path("a.h5"), block, data.shape, chunk, data.dtype), read


def test_slices_of_one_chunk_are_read_once(recent):
    data = np.arange(16 * 20 * 30).reshape(16, 20, 30)
    array, read = counted(data, (8, 16, 16))
    for index in range(16):
        np.testing.assert_array_equal(np.asarray(array[index]), data[index])
    assert len(read) == len(set(read)) == 2 * 2 * 2


def test_no_more_is_kept_than_there_is_room_for_and_what_was_used_last_stays(recent):
    recent.most_bytes = 3 * 400
    data = np.arange(10 * 100, dtype=np.int32).reshape(10, 10, 10)
    array, read = counted(data, (1, 10, 10))
    for index in (0, 1, 2, 0, 3, 0, 1):
        np.testing.assert_array_equal(np.asarray(array[index]), data[index])
    assert [start[0] for start in read] == [0, 1, 2, 3, 1]
    assert recent._n_bytes == 3 * 400


def test_what_was_read_cannot_be_changed_by_who_looks_at_it(recent):
    array, _ = counted(np.zeros((2, 10, 10)), (1, 10, 10))
    for where in (np.s_[0], np.s_[:1], np.s_[:]):
        pixels = np.asarray(array[where])
        with contextlib.suppress(ValueError):  # where it is no copy
            pixels += 1
        assert not np.asarray(array).any()


def test_nothing_is_kept_of_an_array_that_nobody_uses(recent):
    array, _ = counted(np.zeros((2, 10, 10)), (1, 10, 10))
    np.asarray(array[0])
    assert recent._n_bytes
    del array
    gc.collect()
    assert recent._n_bytes == 0
    assert not recent._kept


def test_a_shape_that_only_a_damaged_header_has_is_one_sentence():
    with pytest.raises(UserError, match=r"a\.h5 cannot be read as H5"):
        lazy.lazy_array(Path("a.h5"), lambda _: np.zeros(1), (1 << 40, 10, 10), (1, 10, 10), "u1")


class Full:
    """What an array answers whose slices memory has no room for."""

    shape, dtype = (2, 1 << 24, 1 << 24), np.dtype("u1")

    def __getitem__(self, where):
        raise MemoryError


def test_a_slice_for_which_there_is_no_memory_is_one_sentence():
    with pytest.raises(UserError, match="slices of 16777216 × 16777216 px, for which there is not"):
        Stack(Full(), "ZYX").plane(1)


def damaged(path):
    """Write eight slices, two by two in chunks where the format has them; slice 5 is damaged."""
    pixels = np.random.default_rng(0).integers(0, 255, (8, 64, 64)).astype(np.uint8)
    if path.suffix == ".zarr":
        array = zarr.create_array(path, data=pixels, chunks=(2, 64, 64), overwrite=True)
        assert array.compressors
        (path / "c" / "2" / "0" / "0").write_bytes(b"damaged" * 99)
        return path, 4  # the first of its chunk
    if path.suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file.create_dataset("raw", data=pixels, chunks=(1, 64, 64), compression="gzip")
            chunk = file["raw"].id.get_chunk_info_by_coord((5, 0, 0))
        at, size = chunk.byte_offset, chunk.size
    else:
        tifffile.imwrite(path, pixels, compression="zlib", photometric="minisblack")
        with tifffile.TiffFile(path) as tif:
            at, size = tif.pages[5].dataoffsets[0], tif.pages[5].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[at : at + size] = b"x" * size
    path.write_bytes(content)
    return path, 5


@pytest.mark.parametrize("name", ["a.zarr", "a.h5", "a.tif", "large.tif"])
def test_the_slice_that_is_damaged_is_named(tmp_path, name, monkeypatch):
    if name == "large.tif":
        monkeypatch.setattr("napari_unetseg.images.tiff.READ_AT_ONCE_BYTES", 0)
    path, index = damaged(tmp_path / name)
    kind = path.suffix[1:].upper()
    with pytest.raises(UserError, match=rf"{name} cannot be read as {kind} in slice {index} \("):
        list(open_stack(path).planes())
    with pytest.raises(UserError, match="in slice 5 "):
        open_stack(path).plane(5)


def test_a_damaged_image_of_one_slice_is_told_without_its_number(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64), np.uint8), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        at = tif.pages[0].dataoffsets[0]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[at : at + 9] = b"x" * 9
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.tif cannot be read as TIF \("):
        open_stack(tmp_path / "a.tif").plane(0)
