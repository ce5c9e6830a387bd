from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.widgets.labels_source import codes_of
from napari_unetseg.workspace import Workspace


@pytest.fixture
def entry(tmp_path):
    workspace = Workspace(Session(tmp_path))
    yield workspace.add_image(Stack(np.zeros((2, 3, 8, 9), np.uint8), "TZYX", name="cells"))
    workspace.close()


@pytest.mark.parametrize(
    ("meaning", "values", "expected"),
    [
        ("masks", [0, 1, 3], [1, 2, 4]),
        ("masks", [0, 9, 200], [1, 2, 3]),
        ("annotations", [0, 1, 3], [0, 1, 3]),
        ("objects", [0, 70000, 3], [1, 2, 2]),
    ],
)
def test_values_of_labels_mean_what_the_person_says(entry, meaning, values, expected):
    labels = np.zeros((2, 3, 8, 9), np.int64)
    labels[1, 0, 0, :3] = values
    codes = codes_of(labels, entry, meaning, "mine", n_classes=3)
    assert codes.shape == (6, 8, 9)
    assert list(codes[3][0, :3]) == expected
    assert (codes[0] == expected[0]).all()


def test_objects_taken_for_classes_are_refused_with_the_remedy(entry):
    labels = np.arange(2 * 3 * 8 * 9).reshape(2, 3, 8, 9)
    with pytest.raises(UserError, match="say that its values are objects"):
        codes_of(labels, entry, "masks", "mine", n_classes=1)


def test_labels_of_another_image_are_refused(entry):
    with pytest.raises(UserError, match=r"“mine” has the shape 3 × 8 × 9 and cells 2 × 3 × 8 × 9"):
        codes_of(np.zeros((3, 8, 9), int), entry, "masks", "mine", n_classes=1)
