from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_unetseg.samples import Annotator, em_stack

BACKGROUND, MEMBRANE, MITOCHONDRION = 1, 2, 3


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return em_stack(seed=1, shape=(2, 320, 320)).codes


@pytest.fixture
def annotations(truth) -> np.ndarray:
    return np.zeros_like(truth)


def test_strokes_follow_their_class(truth, annotations):
    strokes = Annotator(truth, 0).annotate(annotations, 0, [BACKGROUND, MEMBRANE] * 4, 100)
    assert [s.code for s in strokes] == [BACKGROUND, MEMBRANE] * 4
    painted = annotations > 0
    assert not painted[1].any()
    # As a careful person: a brush as wide as a membrane spills a little.
    assert (annotations == truth)[painted].mean() > 0.95


def test_strokes_are_as_wide_as_the_brush_and_about_as_long_as_asked(truth, annotations):
    (stroke,) = Annotator(truth, 3).annotate(annotations, 0, [BACKGROUND], 80)
    along = np.hypot(*np.diff(stroke.path, axis=0).T).sum()
    assert 30 < along <= 81
    # A stroke may cross itself, so its area says its width from above alone.
    area = np.count_nonzero(annotations)
    assert area <= 5.5 * (along + 5)
    assert ndimage.distance_transform_edt(annotations[0]).max() >= 2


def test_the_same_seed_paints_the_same_and_another_seed_elsewhere(truth):
    def painted(seed: int) -> np.ndarray:
        canvas = np.zeros_like(truth)
        Annotator(truth, seed).annotate(canvas, 0, [MEMBRANE, BACKGROUND], 60)
        return canvas

    np.testing.assert_array_equal(painted(5), painted(5))
    assert not np.array_equal(painted(5), painted(6))


def test_a_class_that_is_not_in_the_slice_is_left_out(truth, annotations):
    without = np.where(truth == MITOCHONDRION, BACKGROUND, truth).astype(np.uint8)
    assert Annotator(without).annotate(annotations, 0, [MITOCHONDRION], 60) == []
    assert not annotations.any()


def test_a_perfect_segmentation_needs_no_corrections(truth, annotations):
    assert Annotator(truth).correct(annotations, truth, [0, 1], 10, 60) == []


def test_thin_rims_are_no_mistakes(truth, annotations):
    grown = ndimage.grey_dilation(truth, size=(1, 2, 2))
    assert (grown != truth).mean() > 0.03
    assert len(Annotator(truth).correct(annotations, grown, [0, 1], 50, 60)) <= 6


def test_the_largest_mistakes_are_corrected_first_and_with_the_true_class(truth, annotations):
    wrong = truth.copy()
    wrong[0, 60:75, 60:75] = MITOCHONDRION
    wrong[0, 200:250, 200:250] = np.where(
        truth[0, 200:250, 200:250] == BACKGROUND, MITOCHONDRION, truth[0, 200:250, 200:250]
    )
    (stroke,) = Annotator(truth).correct(annotations, wrong, [0], 1, 30)
    assert stroke.code == BACKGROUND
    start = stroke.path[len(stroke.path) // 2]
    assert np.all((start > 180) & (start < 270))


def test_beside_a_mistake_is_painted_what_it_was_taken_for(truth, annotations):
    wrong = truth.copy()
    wrong[0, 200:250, 200:250] = np.where(
        truth[0, 200:250, 200:250] == BACKGROUND, MITOCHONDRION, truth[0, 200:250, 200:250]
    )
    mistake, example = Annotator(truth).correct(annotations, wrong, [0], 2, 30)
    assert (mistake.code, example.code) == (BACKGROUND, MITOCHONDRION)
    y, x = np.round(example.path).astype(int).T
    assert (truth[0, y, x] == MITOCHONDRION).all()
    painted = annotations[0] == MITOCHONDRION
    assert (truth[0][painted] == MITOCHONDRION).mean() > 0.8


def test_every_third_correction_is_of_the_class_painted_least(truth, annotations):
    wrong = np.where(truth == BACKGROUND, MITOCHONDRION, truth).astype(np.uint8)
    codes = [s.code for s in Annotator(truth).correct(annotations, wrong, [0], 6, 30)]
    assert codes[:3] == [BACKGROUND, MITOCHONDRION, MEMBRANE]
    assert codes[3:5] == [BACKGROUND, MITOCHONDRION]


def test_slices_that_are_not_corrected_stay_untouched(truth, annotations):
    wrong = np.full_like(truth, BACKGROUND)
    strokes = Annotator(truth).correct(annotations, wrong, [1], 8, 60)
    assert {s.plane for s in strokes} == {1}
    assert not annotations[0].any()
