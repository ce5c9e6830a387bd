"""Arrays that are read in chunks read each chunk once for all slices in it."""

import contextlib
import gc
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, lazy
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
