"""What was written of a mapped file is known without reading it."""

from __future__ import annotations

import os

import numpy as np
import pytest

from napari_unetseg.images import let_go, written_planes

SHAPE = (50, 128, 128)


def mapped(path, mode="w+"):
    return np.lib.format.open_memmap(path, mode, np.uint8, SHAPE)


def test_slices_that_were_written_are_among_those_found(tmp_path):
    array = mapped(tmp_path / "a.npy")
    for plane in (7, 30, 49):
        array[plane, 60] = 1
    found = written_planes(array)
    assert {7, 30, 49} <= set(found)
    array.flush()
    again = written_planes(mapped(tmp_path / "a.npy", "r+"))
    assert {7, 30, 49} <= set(again)


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="this system does not tell of holes")
def test_holes_are_not_among_them(tmp_path):
    array = mapped(tmp_path / "a.npy")
    array[30] = 1
    array.flush()
    if (tmp_path / "a.npy").stat().st_blocks * 512 > array.nbytes // 2:
        pytest.skip("this disk has no holes")
    # The header of the file lies before the first slice, and its end is written.
    assert set(written_planes(array)) <= {0, 29, 30, 31, 49}


def test_every_slice_counts_where_nothing_is_known(tmp_path, monkeypatch):
    assert written_planes(np.zeros(SHAPE, np.uint8)) == list(range(50))
    array = mapped(tmp_path / "a.npy")
    assert written_planes(array[10:]) == list(range(40))
    monkeypatch.delattr(os, "SEEK_DATA", raising=False)
    assert written_planes(array) == list(range(50))


def test_nothing_is_lost_of_what_is_let_go(tmp_path):
    array = mapped(tmp_path / "a.npy")
    array[3] = 9
    let_go(array)
    assert (array[3] == 9).all()
    private = np.load(tmp_path / "a.npy", mmap_mode="c")
    private[4] = 5
    let_go(private)
    assert (private[4] == 5).all()
    let_go(np.zeros(4))
