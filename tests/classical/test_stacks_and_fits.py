import itertools

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from napari_unetseg.classical import (
    METHODS,
    Chain,
    LevelMethod,
    Source,
    fit_baseline,
    parse_params,
    run_stack,
    segment,
)
from napari_unetseg.classical.mapping import best_mapping, contingency, lookup
from napari_unetseg.classical.window import busiest_window
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

ALONE = [name for name, m in METHODS.items() if m.answers == "classes" and not m.needs_strokes]
SEARCHED = [name for name in METHODS if isinstance(METHODS[name], LevelMethod)]


def cells(seed, shape=(128, 120), dark=False):
    """Noisy discs, their true codes (1 ground, 2 disc, 3 brighter core)."""
    random = np.random.default_rng(seed)
    codes = np.ones(shape, np.uint8)
    y, x = np.indices(shape)
    for cy, cx in ((30, 30), (80, 40), (60, 90)):
        r = np.hypot(y - cy, x - cx)
        codes[r < 18] = 2
        codes[r < 8] = 3
    image = np.array([0, 60, 120, 190])[codes] + random.normal(0, 6, shape)
    image = 255 - image if dark else image
    return np.clip(image, 0, 255).astype(np.uint8)[np.newaxis], codes


def drifting_stack():
    image = np.concatenate([cells(seed)[0] for seed in range(4)]).astype(np.uint16)
    image += np.arange(4, dtype=np.uint16)[:, None, None] * 400
    return Stack(image, "ZYX")


@pytest.mark.parametrize("name", ALONE)
def test_a_stack_is_segmented_slice_by_slice_as_each_slice_alone(name):
    stack = drifting_stack()
    out = np.zeros(stack.labels_shape, np.uint8)
    events = list(run_stack(Chain.of(name), Source(stack), out=out))
    assert [(event.done, event.total) for event in events] == [(i, 4) for i in range(1, 5)]
    assert events[-1].seconds_left == 0
    for index in range(4):
        np.testing.assert_array_equal(out[index], segment(name, stack.plane(index)))


def test_chosen_slices_are_written_in_their_order_and_closing_cancels():
    stack = drifting_stack()
    out = np.zeros((2, 128, 120), np.uint8)
    running = run_stack(Chain.of("otsu"), Source(stack, [3, 1]), out=out)
    next(running)
    running.close()
    np.testing.assert_array_equal(out[0], segment("otsu", stack.plane(3)))
    assert not out[1].any()


@pytest.mark.parametrize("name", ["otsu", "threshold", "li", "mean", "hysteresis", "kmeans"])
def test_levels_of_the_stack_follow_no_drift_and_levels_of_slices_do(name):
    stack = drifting_stack()
    shared, own = (np.zeros(stack.labels_shape, np.uint8) for _ in range(2))
    for per_slice, out in (("off", shared), ("on", own)):
        pairs = [f"per_slice={per_slice}", *(["n_clusters=2"] if name == "kmeans" else [])]
        list(run_stack(Chain.of(name, parse_params(name, pairs)), Source(stack), out=out))
    assert np.ptp([(plane == 2).mean() for plane in own]) < 0.1
    assert (shared[0] == 1).all()
    assert (shared[3] == 2).all()


def test_an_empty_slice_stays_empty_where_the_stack_shares_its_levels():
    image = np.concatenate([cells(0)[0], cells(1)[0] * 0 + cells(2)[0][:, :1, :1]])
    out = np.zeros(image.shape, np.uint8)
    chain = Chain.of("otsu", parse_params("otsu", ["per_slice=off"]))
    list(run_stack(chain, Source(Stack(image, "ZYX")), out=out))
    assert (out[1] == 1).all()
    assert (out[0] == 2).any()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", SEARCHED)
def test_a_fit_finds_the_polarity_and_agrees_with_scikit_learn_on_its_score(name, dark):
    data = [cells(seed, dark=dark) for seed in (0, 1)]
    planes = [plane for plane, _ in data]
    codes = [np.minimum(codes, 2) for _, codes in data]
    fitted = fit_baseline(name, planes, codes)
    # Ground, discs and their cores are three peaks, of which this looks for two.
    assert fitted.mean_iou > (0.75 if name == "minimum" else 0.9)
    found = np.concatenate([fitted.apply(plane).ravel() for plane in planes])
    truth = np.concatenate([plane.ravel() for plane in codes])
    assert fitted.mean_iou == pytest.approx(jaccard_score(truth, found, average="macro"), abs=1e-6)
    if METHODS[name].family != "Clustering":
        is_dark = (fitted.params.foreground == "dark") == (fitted.mapping == {1: 1, 2: 2})
        assert is_dark == dark
    unseen, expected = cells(5, dark=dark)
    score = jaccard_score(np.minimum(expected, 2).ravel(), fitted.apply(unseen).ravel())
    assert score > 0.85


def test_a_fit_sees_annotated_pixels_only():
    plane, codes = cells(0)
    sparse = codes.copy()
    sparse[np.random.default_rng(0).random(codes.shape) > 0.05] = 0
    plane_beside = np.random.default_rng(1).integers(0, 255, plane.shape).astype(np.uint8)
    fitted = fit_baseline("kmeans", [plane, plane_beside], [sparse, np.zeros_like(codes)])
    found = fitted.apply(plane)
    assert jaccard_score(codes.ravel(), found.ravel(), average="macro") > 0.85


def test_clusters_take_the_classes_of_several_classes():
    plane, codes = cells(0)
    fitted = fit_baseline("kmeans", [plane], [codes])
    assert jaccard_score(codes.ravel(), fitted.apply(plane).ravel(), average="macro") > 0.9
    two_valued = fit_baseline("otsu", [plane], [codes])
    assert len(set(two_valued.mapping.values())) == 2


def test_classes_that_are_annotated_with_gaps_stay_what_they_are():
    plane, codes = cells(0)
    codes = np.array([0, 2, 7, 7], np.uint8)[codes]
    fitted = fit_baseline("otsu", [plane], [codes])
    assert set(np.unique(fitted.apply(plane))) == {2, 7}
    assert fitted.mean_iou > 0.9


@pytest.mark.parametrize("value", [0, 1, 2])
def test_a_fit_needs_two_classes(value):
    plane, codes = cells(0)
    with pytest.raises(UserError, match="two classes"):
        fit_baseline("otsu", [plane], [np.full_like(codes, value)])


def test_the_best_mapping_is_the_best_of_all():
    random = np.random.default_rng(0)
    raw = random.integers(1, 4, 500).astype(np.uint8)
    truth = np.where(random.random(500) < 0.6, 4 - raw, random.integers(1, 4, 500)).astype(np.uint8)
    mapping, score = best_mapping(contingency(raw, truth))
    best = max(
        jaccard_score(truth, np.array([0, *way])[raw], average="macro", labels=[1, 2, 3])
        for way in itertools.product((1, 2, 3), repeat=3)
    )
    assert score == pytest.approx(best)
    assert mapping == {1: 3, 2: 2, 3: 1}


def test_answers_that_no_annotated_pixel_had_take_the_class_of_their_neighbour():
    table = lookup({1: 1, 4: 3})
    assert table[[1, 2, 3, 4, 6]].tolist() == [1, 1, 3, 3, 3]


def test_many_classes_go_by_majority():
    truth = np.repeat(np.arange(1, 41, dtype=np.uint8), 10)
    raw = (truth + 1) // 2
    mapping, _ = best_mapping(contingency(raw.astype(np.uint8), truth))
    assert all(code in (2 * answer - 1, 2 * answer) for answer, code in mapping.items())


def test_the_window_holds_the_rare_class():
    codes = np.zeros((400, 300), np.uint8)
    codes[:, :100] = 1
    codes[330:360, 250:280] = 2
    rows, columns = busiest_window(codes, 128)
    assert (codes[rows, columns] == 2).sum() == 900
    whole = busiest_window(codes[:64, :64], 128)
    assert codes[:64, :64][whole].shape == (64, 64)
