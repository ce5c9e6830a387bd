"""Groups of pixels against scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import truth_and_prediction
from skimage.metrics import adapted_rand_error, variation_of_information

from napari_unetseg.measure import ObjectMatcher


def regions(*volumes):
    matcher = ObjectMatcher()
    for number, (truth, predicted) in enumerate(volumes):
        matcher.add(np.asarray(truth), np.asarray(predicted), number)
    return matcher.regions()


@settings(max_examples=100, deadline=None)
@given(
    shape=st.sampled_from([(2, 2), (1, 9), (12, 15)]),
    seed=st.integers(0, 2**16),
    n=st.integers(1, 9),
)
def test_errors_are_those_of_scikit_image(shape, seed, n):
    random = np.random.default_rng(seed)
    truth = random.integers(0, n + 1, shape)
    predicted = np.where(random.random(shape) < 0.6, truth, random.integers(0, n + 1, shape))
    truth[0, 0] = 1
    found = regions((truth, predicted))
    inside = truth > 0
    split, merge = variation_of_information(truth[inside], predicted[inside])
    if predicted[inside].any():
        assert (found.voi_split, found.voi_merge) == pytest.approx((split, merge), abs=1e-9)
    else:
        assert (found.voi_split, found.voi_merge) == (None, None)
    # Background that was predicted is no group: each of its pixels is alone.
    alone = np.where(predicted > 0, predicted, 100 + np.arange(truth.size).reshape(shape))
    with np.errstate(invalid="ignore", divide="ignore"):
        error, in_truth, in_prediction = adapted_rand_error(truth, alone)
    for value, expected in (
        (found.adapted_rand_error, error),
        # What scikit-image 0.26 calls precision divides by the pairs of the truth.
        (found.rand_recall, in_truth),
        (found.rand_precision, in_prediction),
    ):
        assert value == (pytest.approx(expected) if np.isfinite(expected) else None)


def test_several_volumes_are_one_whose_groups_have_names_of_their_own():
    one, two = truth_and_prediction(0, (40, 50)), truth_and_prediction(1, (40, 50))
    joined = [
        np.concatenate([a, np.where(b > 0, b + 1000, 0)]) for a, b in zip(one, two, strict=True)
    ]
    together, apart = regions(joined), regions(one, two)
    assert together.adapted_rand_error == pytest.approx(apart.adapted_rand_error)
    joined[1][40:][(two[0] > 0) & (two[1] == 0)] = 5000  # the background of another image
    together = regions(joined)
    assert together.voi_split == pytest.approx(apart.voi_split)
    assert together.voi_merge == pytest.approx(apart.voi_merge)
    assert 0 < apart.adapted_rand_error < 1


def test_splits_and_merges_are_told_apart():
    whole, halves = np.ones((2, 8), int), np.ones((2, 8), int)
    halves[:, 4:] = 2
    split, merged = regions((whole, halves)), regions((halves, whole))
    assert (split.voi_split, split.voi_merge) == (1, 0)
    assert (merged.voi_split, merged.voi_merge) == (0, 1)
    assert (split.rand_precision, merged.rand_recall) == (1, 1)
    assert split.rand_recall == merged.rand_precision == pytest.approx(7 / 15)


def test_where_there_is_nothing_to_group_nothing_is_defined():
    empty, full = np.zeros((3, 4), int), np.ones((3, 4), int)
    for pair in ((empty, empty), (empty, full)):
        found = regions(pair)
        assert (found.adapted_rand_error, found.voi_split, found.voi_merge) == (None,) * 3
    same = regions((full, full * 3))
    assert (same.adapted_rand_error, same.voi_split, same.voi_merge) == (0, 0, 0)
    missed = regions((full, empty))
    assert (missed.adapted_rand_error, missed.rand_recall) == (1, 0)
    assert (missed.rand_precision, missed.voi_split, missed.voi_merge) == (None, None, None)
    pixel = regions(([[1]], [[1]]))  # no two pixels
    assert (pixel.adapted_rand_error, pixel.voi_split) == (None, 0)
