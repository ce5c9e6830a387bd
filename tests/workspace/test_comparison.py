"""Where two segmentations differ, against a plain count."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import Workspace
from napari_unetseg.workspace.comparison import WAS, differences, layer_codes


def test_every_pixel_that_differs_is_counted_once_and_labelled():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, (2, 40, 50)).astype(np.uint8)
    found, labels = differences(first, second)
    both = (first > 0) & (second > 0)
    assert found.n_px == 2000
    assert found.n_known_px == both.sum()
    assert np.array_equal(labels != 0, both & (first != second))
    assert {(c.first, c.second): c.n_px for c in found.changes} == {
        (a, b): n
        for a in range(1, 5)
        for b in range(1, 5)
        if a != b and (n := int(((first == a) & (second == b)).sum()))
    }
    sizes = [change.n_px for change in found.changes]
    assert sizes == sorted(sizes, reverse=True)
    assert found.n_different_px == sum(sizes)


def test_what_came_and_what_went_are_told_apart():
    background, cell, wall = np.ones((9, 9), np.uint8), 2, 3
    assert (differences(background, np.full_like(background, cell))[1] == cell).all()
    assert (differences(np.full_like(background, cell), background)[1] == WAS + cell).all()
    other = differences(np.full_like(background, cell), np.full_like(background, wall))[1]
    assert set(np.unique(other)) == {wall, WAS + cell}, "stripes of both"


def test_equal_slices_and_slices_of_which_nothing_is_known_do_not_differ():
    codes = np.full((4, 4), 2, np.uint8)
    found, labels = differences(codes, codes)
    assert (found.n_known_px, found.changes, labels.any()) == (16, (), False)
    found, labels = differences(codes, np.zeros_like(codes))
    assert (found.n_known_px, found.changes, labels.any()) == (0, (), False)


def test_the_last_of_very_many_classes_keep_within_the_labels():
    first, second = np.full((2, 2), 255, np.uint8), np.full((2, 2), 1, np.uint8)
    assert (differences(first, second)[1] == 255).all()
    assert (differences(second, first)[1] == WAS - 1).all()


def test_labels_of_others_are_read_slice_by_slice_and_refused_where_they_do_not_fit(tmp_path):
    workspace = Workspace(Session(tmp_path))
    entry = workspace.add_image(Stack(np.zeros((2, 3, 4, 5), np.uint8), "TZYX", name="cells"))
    masks = np.zeros((2, 3, 4, 5), np.int32)
    masks[1, 0] = 2
    assert (layer_codes(masks, entry, 3, "masks", 2, "truth") == 3).all()
    assert (layer_codes(masks, entry, 2, "masks", 2, "truth") == 1).all()
    assert (layer_codes(masks, entry, 3, "annotations", 2, "truth") == 2).all()
    with pytest.raises(UserError, match=r"truth has shape \(4, 5\)"):
        layer_codes(masks[0, 0], entry, 3, "masks", 2, "truth")
    with pytest.raises(UserError, match="values up to 2"):
        layer_codes(masks + 7, entry, 3, "masks", 2, "truth")
    workspace.close()
