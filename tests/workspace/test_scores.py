from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from napari_unetseg.annotations import add_class
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace.scores import score_segmentation
from napari_unetseg.workspace.workspace import Workspace

SHAPE = (3, 20, 30)


@pytest.fixture
def entry(tmp_path):
    workspace = Workspace(Session(tmp_path))
    entry = workspace.add_image(Stack(np.zeros(SHAPE, np.uint8), "ZYX"))
    workspace.change_classes(add_class, label="adding")
    random = np.random.default_rng(0)
    for plane in range(2):
        prediction = random.integers(1, 4, SHAPE[1:], dtype=np.uint8)
        workspace.set_prediction(entry.id, plane, prediction)
    yield entry
    workspace.close()


@pytest.fixture
def masks():
    return np.random.default_rng(1).integers(0, 3, SHAPE)


def test_it_is_the_mean_jaccard_index_over_the_slices_that_are_segmented(entry, masks):
    score = score_segmentation(entry, masks, "masks", ("a", "b"))
    shown = np.stack([entry.segmentation(p) for p in range(2)])
    expected = jaccard_score(masks[:2].ravel() + 1, shown.ravel(), average="macro")
    assert score.mean_iou == pytest.approx(expected)
    assert (score.n_slices, score.n_px) == (2, 2 * 20 * 30)


def test_unknown_truth_is_left_out(entry, masks):
    codes = (masks + 1).astype(np.uint8)
    whole = score_segmentation(entry, codes, "annotations", ("a", "b"))
    assert whole == score_segmentation(entry, masks, "masks", ("a", "b"))
    codes[:, :10] = 0
    half = score_segmentation(entry, codes, "annotations", ("a", "b"))
    assert half.n_px == whole.n_px / 2


def test_a_correction_counts_as_what_is_shown(entry, masks):
    before = score_segmentation(entry, masks, "masks", ("a", "b"))
    entry.codes[0] = masks[0] + 1
    after = score_segmentation(entry, masks, "masks", ("a", "b"))
    assert after.mean_iou > before.mean_iou


def test_with_one_class_objects_do_as_well_as_masks(entry, masks):
    entry.prediction[:] = np.minimum(entry.prediction, 2)
    binary = score_segmentation(entry, masks > 0, "masks", ("cell",))
    ids = np.where(masks > 0, np.arange(masks.size).reshape(SHAPE) + 1, 0)
    assert score_segmentation(entry, ids, "masks", ("cell",)) == binary


def test_a_truth_of_another_image_is_refused(entry):
    with pytest.raises(UserError, match=r"membranes has shape \(2, 2\) and image \(3, 20, 30\)"):
        score_segmentation(entry, np.zeros((2, 2), int), "masks", ("a",), "membranes")


def test_values_beyond_the_classes_are_refused(entry, masks):
    masks[0, 0, 0] = 5
    with pytest.raises(UserError, match=r"values from 0 to 5 and there are 2 classes"):
        score_segmentation(entry, masks, "masks", ("a", "b"))


def test_nothing_segmented_is_said(entry, masks):
    entry.prediction[:] = 0
    with pytest.raises(UserError, match="train a model or apply one first"):
        score_segmentation(entry, masks, "masks", ("a", "b"))
