"""Objects matched one to one, against StarDist, py-ctcmetrics and the definitions."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from shapes import truth_and_prediction

from napari_unetseg.measure import ObjectMatcher
from napari_unetseg.measure.objects import THRESHOLDS

#: Of (seed, shape): by IoU the matches, F1, "accuracy", mean IoU and panoptic quality of
#: stardist.matching 0.9.2, the mean of its accuracy over IoUs, and SEG of py-ctcmetrics 1.3.3.
PUBLISHED = [
    (
        (0, (40, 50)),
        {
            0.3: (9, 0.666667, 0.5, 0.585662, 0.390441),
            0.5: (7, 0.518519, 0.35, 0.657756, 0.341059),
            0.75: (2, 0.148148, 0.08, 0.788889, 0.116872),
        },
        0.123145,
        0.383691,
    ),
    (
        (1, (40, 50)),
        {
            0.3: (6, 0.444444, 0.285714, 0.527989, 0.234662),
            0.5: (4, 0.296296, 0.173913, 0.58315, 0.172785),
            0.75: (0, 0, 0, 0, 0),
        },
        0.037237,
        0.263994,
    ),
    (
        (2, (6, 30, 30)),
        {0.3: (4, 0.307692, 0.181818, 0.407654, 0.125432), 0.5: (0, 0, 0, 0, 0)},
        0.0,
        0.12398,
    ),
    (
        (3, (6, 30, 30)),
        {
            0.3: (9, 0.666667, 0.5, 0.602694, 0.401796),
            0.5: (7, 0.518519, 0.35, 0.682066, 0.353664),
            0.75: (2, 0.148148, 0.08, 0.783117, 0.116017),
        },
        0.144108,
        0.397872,
    ),
]


def matched(truth, predicted):
    matcher = ObjectMatcher()
    shape = (-1, *np.shape(truth)[-2:])
    for plane in zip(np.reshape(truth, shape), np.reshape(predicted, shape), strict=True):
        matcher.add(*plane)
    return matcher


@pytest.mark.parametrize(("image", "by_iou", "mean_precision", "seg"), PUBLISHED)
def test_scores_are_those_of_stardist_and_the_cell_tracking_challenge(
    image, by_iou, mean_precision, seg
):
    matcher = matched(*truth_and_prediction(*image))
    for iou, expected in by_iou.items():
        found = matcher.scores(iou)
        assert (
            found.n_matched,
            found.f1,
            found.average_precision,
            found.mean_matched_iou,
            found.panoptic_quality,
        ) == pytest.approx(expected, abs=1e-6)
        assert found.mean_average_precision == pytest.approx(mean_precision, abs=1e-6)
        assert found.seg == pytest.approx(seg, abs=1e-6)


def by_definition(truth, predicted, iou):
    """Match objects with the dense table of all pairs."""
    table = np.array(
        [
            [((truth == i) & (predicted == j)).sum() / ((truth == i) | (predicted == j)).sum()
             for j in np.unique(predicted[predicted > 0])]
            for i in np.unique(truth[truth > 0])
        ]
    )  # fmt: skip
    if table.size == 0:
        return []
    value = (table >= iou) * (table.size + table)
    best = table[linear_sum_assignment(value, maximize=True)]
    return sorted(best[best >= iou])


@settings(max_examples=150, deadline=None)
@given(
    shape=st.sampled_from([(1, 1), (1, 7), (6, 7), (3, 4, 5)]),
    seed=st.integers(0, 2**16),
    n=st.integers(0, 6),
    iou=st.sampled_from([0.01, 0.1, 0.2, 1 / 3, 0.5, 0.6, 1.0]),
)
def test_as_many_objects_match_as_can_and_of_these_the_best(shape, seed, n, iou):
    random = np.random.default_rng(seed)
    truth = random.integers(0, n + 1, shape)
    predicted = np.where(random.random(shape) < 0.5, truth, random.integers(0, n + 1, shape))
    predicted = np.where(predicted > 0, predicted + 1000, 0)
    found = matched(truth, predicted).scores(iou)
    expected = by_definition(truth, predicted, iou)
    assert found.n_matched == len(expected)
    assert found.mean_matched_iou == pytest.approx(np.mean(expected) if expected else 0)
    n_any = found.n_true + found.n_predicted
    if not n_any:
        assert found.average_precision is found.panoptic_quality is None
        return
    assert found.average_precision == pytest.approx(len(expected) / (n_any - len(expected)))
    assert found.panoptic_quality == pytest.approx(sum(expected) / (n_any / 2))
    by_iou = [len(by_definition(truth, predicted, at)) for at in THRESHOLDS]
    assert (
        list(found.average_precisions)
        == list(THRESHOLDS)
        == pytest.approx(np.arange(0.5, 0.96, 0.05))
    )
    assert list(found.average_precisions.values()) == pytest.approx(
        [m / (n_any - m) for m in by_iou]
    )


def test_the_best_pair_is_not_taken_where_that_leaves_two_without_a_partner():
    truth = [[1] * 10 + [2] * 3]
    predicted = [[7] * 4 + [8] * 9]  # IoUs: 1 and 7 0.4, 1 and 8 0.46, 2 and 8 0.33
    found = matched(truth, predicted).scores(0.3)
    assert found.n_matched == 2
    assert found.mean_matched_iou == pytest.approx((4 / 10 + 3 / 9) / 2)


@pytest.mark.parametrize("n", [1, 3])
def test_without_any_object_nothing_is_defined_and_with_some_it_is(n):
    nothing, something = np.zeros((n, 4, 5), int), np.ones((n, 4, 5), int)
    none = matched(nothing, nothing).scores()
    assert (none.average_precision, none.mean_average_precision, none.panoptic_quality) == (
        None,
        None,
        None,
    )
    assert none.average_precisions == {}
    for pair in ((nothing, something), (something, nothing)):
        missed = matched(*pair).scores()
        assert missed.average_precision == missed.mean_average_precision == missed.f1 == 0
        assert missed.panoptic_quality == missed.seg == 0
    same = matched(something, something * 7).scores()
    assert same.average_precision == same.mean_average_precision == same.panoptic_quality == 1
    assert same.seg == 1
    one = matched([[5]], [[9]]).scores(1.0)
    assert (one.n_matched, one.panoptic_quality) == (1, 1)


def test_scores_are_plain_json():
    as_dict = matched(*truth_and_prediction(0, (40, 50))).scores().as_dict()
    assert json.loads(json.dumps(as_dict)) == as_dict
    assert list(as_dict["average_precisions"])[:2] == ["0.50", "0.55"]


def test_large_ids_and_many_slices_are_pooled_exactly(monkeypatch):
    monkeypatch.setattr("napari_unetseg.measure.overlaps._ROWS_KEPT", 5)
    truth, predicted = truth_and_prediction(3, (6, 30, 30))
    far = [np.where(side > 0, side.astype(np.uint32) + (2**32 - 1000), 0) for side in
           (truth, predicted)]  # fmt: skip
    assert matched(*far).scores() == matched(truth, predicted).scores()
    assert matched(*far).scores().n_matched == 7
