import json

import numpy as np
import pytest
from sklearn import metrics

from napari_unetseg.measure import ConfusionMatrix, ObjectMatcher, scores


def random_codes(seed, shape=(40, 50), n=4):
    random = np.random.default_rng(seed)
    truth = random.integers(0, n + 1, shape).astype(np.uint8)
    predicted = np.where(random.random(shape) < 0.6, truth, random.integers(1, n + 1, shape))
    return truth, np.maximum(predicted, 1).astype(np.uint8)


def scored(truth, predicted, names=()):
    matrix = ConfusionMatrix(2)
    matrix.add(truth, predicted)
    return scores(matrix, names)


@pytest.mark.parametrize("seed", range(3))
def test_every_score_is_that_of_scikit_learn(seed):
    truth, predicted = random_codes(seed)
    found = scored(truth, predicted)
    y, p = truth[truth > 0], predicted[truth > 0]
    per_class = {
        "iou": metrics.jaccard_score(y, p, average=None),
        "dice": metrics.f1_score(y, p, average=None),
        "f1": metrics.f1_score(y, p, average=None),
        "precision": metrics.precision_score(y, p, average=None),
        "recall": metrics.recall_score(y, p, average=None),
    }
    for metric, expected in per_class.items():
        values = [getattr(scores_of_class, metric) for scores_of_class in found.classes]
        np.testing.assert_allclose(values, expected)
        assert found.mean(metric) == pytest.approx(expected.mean())
    assert found.pixel_accuracy == pytest.approx(metrics.accuracy_score(y, p))
    assert found.mean_iou == pytest.approx(metrics.jaccard_score(y, p, average="macro"))
    assert found.n_px == y.size
    assert [c.n_px for c in found.classes] == np.bincount(y)[1:].tolist()
    assert [c.n_predicted_px for c in found.classes] == np.bincount(p)[1:].tolist()


def test_counts_are_those_of_scikit_learn_and_pool_whatever_the_order():
    planes = [random_codes(seed) for seed in range(3)]
    pooled, backwards = ConfusionMatrix(5), ConfusionMatrix(1)
    for truth, predicted in planes:
        pooled.add(truth, predicted)
    for truth, predicted in reversed(planes):
        backwards.add(truth, predicted)
    truth, predicted = (np.concatenate(parts) for parts in zip(*planes, strict=True))
    labelled = truth > 0
    expected = metrics.confusion_matrix(truth[labelled], predicted[labelled], labels=range(1, 6))
    np.testing.assert_array_equal(pooled.counts[1:, 1:], expected)
    np.testing.assert_array_equal(backwards.counts[1:, 1:], expected[:4, :4])
    whole = scored(truth, predicted)
    assert scores(pooled).as_dict() == whole.as_dict() == scores(backwards).as_dict()


def test_the_example_of_the_lectures():
    predicted = np.array([[0, 1, 0], [0, 1, 1], [0, 0, 1]]) + 1
    truth = np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0]]) + 1
    foreground = scored(truth, predicted).classes[1]
    assert foreground.dice == pytest.approx(4 / 7)
    assert foreground.iou == pytest.approx(2 / 5)
    assert foreground.precision == pytest.approx(2 / 4)
    assert foreground.recall == pytest.approx(2 / 3)


def test_the_mean_runs_over_classes_in_truth_or_prediction_and_no_others():
    truth = np.array([1, 1, 3, 3], np.uint8)
    predicted = np.array([1, 1, 5, 3], np.uint8)
    found = scored(truth, predicted)
    assert [c.k for c in found.classes] == [0, 2, 4]
    assert found.iou == {"background": 1, "class 2": 0.5, "class 4": 0}
    assert found.mean_iou == pytest.approx(0.5)
    missed = found.classes[2]
    assert (missed.precision, missed.recall, missed.n_px, missed.n_predicted_px) == (0, 0, 0, 1)


def test_unlabelled_truth_changes_nothing():
    truth, predicted = random_codes(0)
    other = np.where(truth == 0, 1 + (predicted + 1) % 4, predicted).astype(np.uint8)
    assert (other != predicted).any()
    assert scored(truth, other).as_dict() == scored(truth, predicted).as_dict()


def test_labelled_pixels_without_a_prediction_are_wrong():
    found = scored(np.array([1, 1, 2, 2]), np.array([1, 0, 2, 2]))
    assert found.pixel_accuracy == 0.75
    assert found.iou == {"background": 0.5, "class 1": 1}


def test_names_are_used_and_two_alike_are_told_apart():
    truth, predicted = random_codes(1)
    found = scored(truth, predicted, ["background", "cell", "cell"])
    assert list(found.iou) == ["background", "cell", "cell (2)", "class 3"]
    assert len(found.as_dict()["classes"]) == 4


def test_scores_are_plain_json():
    truth, predicted = random_codes(1)
    as_dict = scored(truth, predicted).as_dict()
    assert json.loads(json.dumps(as_dict)) == as_dict
    assert as_dict["mean_iou"] == np.mean(list(as_dict["iou"].values()))


def test_nothing_counted_and_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="no labelled pixel"):
        scored(np.zeros((3, 3), np.uint8), np.ones((3, 3), np.uint8))
    with pytest.raises(ValueError, match="differ"):
        ConfusionMatrix(2).add(np.ones((3, 3)), np.ones((3, 4)))
    with pytest.raises(ValueError, match="differ"):
        ObjectMatcher().add(np.ones((3, 3), int), np.ones((3, 4), int))


def brute_force(truth, predicted):
    """IoU of every pair, from the definition."""
    table = {}
    for i in np.unique(truth[truth > 0]):
        for j in np.unique(predicted[predicted > 0]):
            a, b = truth == i, predicted == j
            table[int(i), int(j)] = (a & b).sum() / (a | b).sum(), (a & b).sum() / a.sum()
    return table


def grid_of_objects(seed, shape=(3, 60, 60)):
    """Squares with ids, and a prediction in which some are moved, lost or new."""
    random = np.random.default_rng(seed)
    truth, predicted = np.zeros(shape, np.uint32), np.zeros(shape, np.uint32)
    for number, (y, x) in enumerate((y, x) for y in range(4, 56, 14) for x in range(4, 56, 14)):
        truth[:, y : y + 9, x : x + 9] = number + 1
        if random.random() < 0.8:
            dy, dx = random.integers(-3, 4, 2)
            predicted[:, y + dy : y + dy + 9, x + dx : x + dx + 9] = 100_000 + number
    return truth, predicted


@pytest.mark.parametrize("seed", range(3))
def test_objects_match_as_the_definition_says(seed):
    truth, predicted = grid_of_objects(seed)
    matcher = ObjectMatcher()
    for true_plane, predicted_plane in zip(truth, predicted, strict=True):
        matcher.add(true_plane, predicted_plane)
    found = matcher.scores()
    table = brute_force(truth, predicted)
    matched = [iou for iou, _ in table.values() if iou >= 0.5]
    n_true, n_predicted = len(np.unique(truth)) - 1, len(np.unique(predicted)) - 1
    assert (found.n_true, found.n_predicted, found.n_matched) == (n_true, n_predicted, len(matched))
    assert 0 < len(matched) < n_true
    assert found.precision == pytest.approx(len(matched) / n_predicted)
    assert found.recall == pytest.approx(len(matched) / n_true)
    harmonic = 2 * found.precision * found.recall / (found.precision + found.recall)
    assert found.f1 == pytest.approx(harmonic)
    assert found.mean_matched_iou == pytest.approx(np.mean(matched))
    assert found.seg == pytest.approx(
        sum(iou for iou, covered in table.values() if covered > 0.5) / n_true
    )


def test_an_object_split_into_halves_matches_once():
    matcher = ObjectMatcher()
    matcher.add(np.array([[5, 5, 5, 5]]), np.array([[1, 1, 2, 2]]))
    found = matcher.scores()
    assert (found.n_matched, found.precision, found.recall) == (1, 0.5, 1)
    assert found.seg == 0  # neither half covers more than half


def test_the_same_id_in_another_image_is_another_object():
    truth, predicted = np.array([[1, 1, 0, 0]]), np.array([[0, 0, 1, 1]])
    apart = ObjectMatcher()
    apart.add(truth, truth, volume=0)
    apart.add(truth, predicted, volume=1)
    assert (apart.scores().n_true, apart.scores().n_matched) == (2, 1)
    together = ObjectMatcher()
    together.add(truth, truth)
    together.add(truth, predicted)
    assert (together.scores().n_true, together.scores().n_matched) == (1, 0)


def test_no_objects_at_all_score_nothing():
    matcher = ObjectMatcher()
    matcher.add(np.zeros((4, 4), int), np.zeros((4, 4), int))
    assert matcher.scores().f1 == 0
