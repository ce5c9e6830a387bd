"""Labels to look at: the same, whether they are in memory or read where they are looked at."""

from __future__ import annotations

from dataclasses import replace

import dask.array
import numpy as np
import pytest

from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Stack,
    codes_to_show,
    open_label_stack,
    read_labels,
    scan_label_files,
    shown_labels,
    values_to_show,
    write_labels,
)

CLASSES = [LabelClass(name=name, color="#ff0000") for name in ("cell", "nucleus")]
IMAGE = Stack(np.zeros((2, 3, 8, 9), np.uint8), "TZYX", name="cells")
CODES = np.random.default_rng(0).integers(0, 4, (6, 8, 9)).astype(np.uint8)


def segmented(path, kind="masks", slices=(1, 4)):
    write_labels(path, CODES, like=IMAGE, kind=kind, classes=CLASSES, slices=slices)
    return path


@pytest.fixture(params=["in memory", "as it is looked at"])
def is_lazy(request, monkeypatch):
    if request.param != "in memory":
        monkeypatch.setattr(shown_labels, "MOST_READ_PX", 10)
    return request.param != "in memory"


@pytest.mark.parametrize("ending", [".ome.tif", ".zarr", ".h5"])
@pytest.mark.parametrize(("kind", "slices"), [("masks", (1, 4)), ("annotations", None)])
def test_codes_are_shown_as_they_mean(tmp_path, is_lazy, ending, kind, slices):
    path = segmented(tmp_path / f"l{ending}", kind, slices)
    codes, classes = codes_to_show(open_label_stack(path), kind, "l")
    assert isinstance(codes, dask.array.Array) == is_lazy
    assert (codes.shape, codes.dtype, list(classes)) == ((2, 3, 8, 9), np.uint8, CLASSES)
    expected = CODES if kind == "annotations" else np.maximum(CODES, 1)
    if slices is not None:
        expected = np.where(np.isin(np.arange(6), slices)[:, None, None], expected, 0)
    np.testing.assert_array_equal(np.asarray(codes).reshape(CODES.shape), expected)


def test_a_single_slice(is_lazy):
    stack = Stack(CODES[0], "YX", metadata={"kind": "annotations"})
    stack = replace(stack, metadata=stack.metadata | {"classes": [vars(c) for c in CLASSES]})
    codes, _ = codes_to_show(stack, "annotations", "l")
    np.testing.assert_array_equal(np.asarray(codes), CODES[0])


def test_values_no_class_can_have_are_refused_where_they_are(is_lazy):
    values = np.minimum(CODES, 2).astype(np.int16).reshape(IMAGE.shape)
    values[0, 2, 3, 3] = -4
    stack = replace(IMAGE, data=values, metadata={"classes": [vars(c) for c in CLASSES]})
    with pytest.raises(UserError, match="negative value -4"):
        np.asarray(codes_to_show(stack, "masks", "l")[0])


@pytest.mark.parametrize(("kind", "highest"), [("masks", 2), ("annotations", 3)])
def test_a_value_is_never_one_class_here_and_another_there(monkeypatch, kind, highest):
    values = np.zeros(IMAGE.shape, np.uint8)
    values[0, 0, 0, 0], values[0, 1, 0, 0], values[1, 2, 0, 0] = highest, 255, 7
    stack = replace(IMAGE, data=values, metadata={"classes": [vars(c) for c in CLASSES]})
    monkeypatch.setattr(shown_labels, "MOST_READ_PX", 10)
    codes, classes = codes_to_show(stack, kind, "l")
    assert np.asarray(codes[0, 0])[0, 0] == len(classes) + 1
    with pytest.raises(UserError, match=f"slice 1, holds the value 255,.* up to {highest}"):
        np.asarray(codes[0, 1])
    with pytest.raises(UserError, match="slice 5, holds the value 7"):
        np.asarray(codes[1, 2])


def test_numbers_are_shown_as_they_are(is_lazy):
    ids = dask.array.from_array(CODES.astype(np.uint32).reshape(IMAGE.shape))
    shown = values_to_show(replace(IMAGE, data=ids))
    assert isinstance(shown, np.ndarray) != is_lazy
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(ids))


def test_what_was_not_segmented_teaches_nothing(tmp_path):
    path = segmented(tmp_path / "l.ome.tif")
    labels = read_labels(path, "masks")
    assert [plane.any() for plane in labels.codes] == [False, True, False, False, True, False]
    (planes,) = scan_label_files([path], "masks")
    np.testing.assert_array_equal(planes.codes[:], labels.codes)
    assert not planes.codes.counts[[0, 2, 3, 5], 1:].any()
