"""Precision and recall of probabilities against scikit-learn."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from napari_unetseg.measure import PrecisionRecall


def counted(truth, probabilities, code=2):
    counts = PrecisionRecall()
    counts.add(np.asarray(truth, np.uint8), code, np.asarray(probabilities, float))
    return counts


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 300),
    levels=st.sampled_from([1, 2, 255, 65535]),
    share=st.floats(0, 1),
)
def test_curve_and_average_precision_are_those_of_scikit_learn(seed, n, levels, share):
    random = np.random.default_rng(seed)
    truth = (random.random(n) < share) + np.uint8(1)
    # As files of 8 and 16 bits have them: told apart exactly.
    probabilities = random.integers(0, levels + 1, n) / levels
    found = counted(truth, probabilities)
    positive = truth == 2
    if not positive.any():
        assert found.average_precision(2) is None
        assert found.scores().curves == {}
        return
    expected = metrics.average_precision_score(positive, probabilities)
    assert found.average_precision(2) == pytest.approx(expected)
    precision, recall, thresholds = metrics.precision_recall_curve(positive, probabilities)
    curve = found.curve(2)
    np.testing.assert_allclose(curve.thresholds, thresholds, atol=1e-5)
    np.testing.assert_allclose(curve.precision, precision[:-1])
    np.testing.assert_allclose(curve.recall, recall[:-1])


@pytest.mark.parametrize("seed", range(3))
def test_probabilities_of_a_network_are_told_apart_finely_enough(seed):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, 50_000) + 1
    logits = random.normal(4 * truth - 6, 3).astype(np.float32)
    probabilities = 1 / (1 + np.exp(-logits))
    expected = metrics.average_precision_score(truth == 2, probabilities)
    assert counted(truth, probabilities).average_precision(2) == pytest.approx(expected, abs=1e-4)


def test_the_table_of_the_lectures():
    found = counted([2, 2, 1, 2, 1, 1], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    curve = found.curve(2)
    assert curve.precision[::-1] == pytest.approx([1, 1, 2 / 3, 0.75, 0.6, 0.5])
    assert curve.recall[::-1] == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1, 1, 1])
    assert found.average_precision(2) == pytest.approx(0.92, abs=0.005)


def test_slices_are_pooled_and_what_is_unlabelled_is_left_out():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, (4, 20, 30)).astype(np.uint8)
    probabilities = random.integers(0, 256, truth.shape) / 255
    counts = PrecisionRecall()
    for plane, values in zip(truth, probabilities, strict=True):
        counts.add(plane, 2, values)
    known = truth > 0
    expected = metrics.average_precision_score(truth[known] == 2, probabilities[known])
    assert counts.average_precision(2) == pytest.approx(expected)


def test_classes_all_there_are_and_none():
    everything = counted([2, 2], [0.1, 0.9])
    assert everything.average_precision(2) == 1
    nothing = counted([1, 1], [0.1, 0.9]).scores(["background", "cell"])
    assert nothing.average_precision == {"cell": None}
    assert nothing.mean_average_precision is None
    unlabelled = counted([0, 0], [0.1, 0.9]).scores()
    assert unlabelled.mean_average_precision is None
    assert counted([2], [0.5]).average_precision(2) == 1


def test_a_curve_is_read_at_round_thresholds_and_is_plain_json():
    found = counted([2, 2, 1, 2, 1, 1], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]).scores()
    curve = found.curves["class 1"]
    at = dict(zip(curve.thresholds, zip(curve.precision, curve.recall, strict=True), strict=True))
    assert len(at) == 101
    assert at[0.0] == at[0.4] == (0.5, 1)
    assert at[0.8] == at[0.75] == (1, pytest.approx(2 / 3))
    assert at[0.95] == at[1.0] == (1, 0)  # nothing is taken for it, so nothing wrongly
    as_dict = found.as_dict()
    assert json.loads(json.dumps(as_dict)) == as_dict


@pytest.mark.parametrize("values", [[0.5, 1.5], [-0.1, 0.5], [np.nan, 0.5]])
def test_what_is_no_probability_is_refused(values):
    with pytest.raises(ValueError, match="probabilities"):
        counted([1, 2], values)
    with pytest.raises(ValueError, match="differ"):
        counted([1, 2, 1], [0.5, 0.5])
