import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import jaccard_score

from napari_unetseg.comparison.split import split_annotations
from napari_unetseg.comparison.tally import Tally, mean_ious
from napari_unetseg.measure import scores


@pytest.fixture
def part(dense):
    return split_annotations([dense]).parts()[0]


def tallied(part, answers):
    tally = Tally(3)
    for where, answer in answers.items():
        tally.add(part, where, answer)
    return tally


def noisy(codes, share, seed=0):
    wrong = np.random.default_rng(seed).random(codes.shape) < share
    return np.where(wrong, 3 - codes, codes).astype(np.uint8)


def test_all_squares_together_have_the_iou_of_scikit_learn(part, dense):
    answers = {(0, p): noisy(dense.codes[p], 0.2, p) for p in range(2)}
    found = scores(tallied(part, answers).matrix())
    truth, answered = [], []
    for where, answer in answers.items():
        scored = part.scored(where)
        truth.append(scored[scored > 0])
        answered.append(answer[scored > 0])
    expected = jaccard_score(np.concatenate(truth), np.concatenate(answered), average=None)
    assert list(found.iou.values()) == pytest.approx(list(expected))
    assert found.mean_iou == pytest.approx(expected.mean())


def test_contours_count_where_they_are_scored_on(part, dense):
    right = tallied(part, {(0, p): dense.codes[p] for p in range(2)})
    assert right.boundary_f1() == 1
    elsewhere = {}
    for plane in range(2):
        scored = part.scored((0, plane)) > 0
        near = ndimage.binary_dilation(scored, iterations=4)
        elsewhere[0, plane] = np.where(near, dense.codes[plane], 1).astype(np.uint8)
    assert tallied(part, elsewhere).boundary_f1() == 1
    nowhere = tallied(part, {(0, p): np.ones_like(dense.codes[p]) for p in range(2)})
    assert nowhere.boundary_f1() < 0.1


def test_an_answer_that_is_right_everywhere_has_no_spread_and_others_have(part, dense):
    right = tallied(part, {(0, p): dense.codes[p] for p in range(2)})
    assert right.spread() == 0
    bad_above = dense.codes.copy()
    bad_above[0] = 3 - bad_above[0]
    uneven = tallied(part, {(0, p): bad_above[p] for p in range(2)})
    even = tallied(part, {(0, p): noisy(dense.codes[p], 0.5) for p in range(2)})
    assert uneven.spread() > 3 * even.spread() > 0
    assert right.spread_of_difference(uneven) == pytest.approx(uneven.spread())
    assert even.spread_of_difference(even) == 0


def test_squares_in_which_a_class_is_missing_do_not_make_a_good_answer_unsure():
    tally = Tally(3)
    without = {((0, 0), i): np.diag([0, 100, 0]) for i in range(4)}
    wrong_once = {((0, 0), 4): np.array([[0, 0, 0], [0, 99, 1], [0, 0, 0]])}
    of_class = {((0, 0), 5): np.diag([0, 50, 50])}
    tally._counts = without | wrong_once | of_class
    (mean_iou,) = mean_ious(tally.matrix().counts[np.newaxis])
    assert mean_iou > 0.98
    assert 0 < tally.spread() < 0.02


def test_squares_of_one_class_each_say_nothing_of_their_spread():
    tally = Tally(3)
    background, of_class = [[0, 0, 0], [0, 90, 10], [0, 0, 0]], np.diag([0, 0, 50])
    tally._counts = {((0, 0), 1): np.array(background), ((0, 0), 2): of_class}
    assert tally.spread() is None


def test_a_single_square_says_nothing_of_its_spread():
    tally = Tally(3)
    tally._counts = {((0, 0), 5): np.diag([0, 3, 4])}
    assert tally.spread() is None
    assert tally.spread_of_difference(tally) is None


def test_the_spread_is_that_of_means_over_squares():
    """Of independent squares of one class, the bootstrap finds the standard error of the mean."""
    random = np.random.default_rng(0)
    hits = random.integers(40, 60, 400)
    counts = np.zeros((400, 3, 3), int)
    counts[:, 1, 1], counts[:, 1, 2] = hits, 100 - hits

    tally = Tally(3)
    tally._counts = {((0, 0), i): one for i, one in enumerate(counts)}
    expected = (hits / 100).std() / np.sqrt(400) / 2  # class 2 is never right
    assert tally.spread() == pytest.approx(expected, rel=0.1)
    assert mean_ious(counts.sum(axis=0)[None])[0] == pytest.approx(hits.mean() / 200)
