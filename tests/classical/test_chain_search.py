"""Steps before and after a method, searched on what is annotated."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import jaccard_score

from napari_unetseg.classical import Chain, Fit, View, fit_chain, fit_method, run_view
from napari_unetseg.classical.mapping import lookup

SIDE = 256


@pytest.fixture
def truth():
    """Bright discs, 20 px across, 48 px apart: 2 inside, 1 outside."""
    y, x = np.indices((SIDE, SIDE)) % 48 - 24
    return np.where(np.hypot(y, x) < 10, 2, 1).astype(np.uint8)


def view_of(truth, seed=0, noise=4.0, ground=0.0):
    random = np.random.default_rng(seed)
    pixels = np.where(truth == 2, 150, 90) + ground + random.normal(0, noise, truth.shape)
    return View(pixels[np.newaxis].astype(np.float32))


def found(names, view, codes, **options):
    fits = {name: fit_method(name, [view], [codes]) for name in names}
    return fit_chain(fits, [view], [codes], **options)


def steps(fit):
    return [settings.step for settings in fit.chain.steps]


def iou_of(fit, view, truth):
    """Return the foreground's IoU of what the chain answers on the whole slice."""
    meant = lookup(fit.mapping)[run_view(fit.chain, view)]
    both = (meant == 2) & (truth == 2)
    return both.sum() / ((meant == 2) | (truth == 2)).sum()


def test_a_method_that_is_right_is_left_alone(truth):
    fit = found(["otsu"], view_of(truth), truth)
    assert steps(fit) == ["otsu"]
    assert fit.mean_iou > 0.99


def test_a_ramp_is_removed_before_a_threshold(truth):
    ramp = np.linspace(0, 300, SIDE)[np.newaxis, :] * np.ones((SIDE, 1))
    view = view_of(truth, ground=ramp)
    alone = fit_method("otsu", [view], [truth])
    fit = found(["otsu"], view, truth)
    assert alone.mean_iou < 0.6
    assert steps(fit)[:2] == ["background", "otsu"]
    assert fit.mean_iou > 0.9
    assert iou_of(fit, view, truth) > 0.9


def test_specks_are_removed_and_holes_are_filled_after_it(truth):
    random = np.random.default_rng(1)
    dots = ndimage.binary_dilation(random.random(truth.shape) < 0.0008, np.ones((7, 7)))
    view = view_of(np.where(dots, 3 - truth, truth))
    fit = found(["otsu"], view, truth)
    assert {"remove_small", "fill_holes"} <= set(steps(fit))
    assert iou_of(fit, view, truth) > iou_of(found_alone(view, truth), view, truth) + 0.05


def found_alone(view, truth):
    """Return the method without steps."""
    return found(["otsu"], view, truth, spent=lambda: 1.0)


def test_the_one_channel_with_the_structure_is_taken(truth):
    view = view_of(truth)
    random = np.random.default_rng(2)
    other = ndimage.gaussian_filter(random.normal(0, 1, truth.shape), 6) * 1500
    both = View(np.stack([other.astype(np.float32), view.pixels[0]]))
    fit = found(["otsu"], both, truth)
    assert fit.chain.steps[0].step == "channel"
    assert fit.chain.steps[0].params == {"channel": 2}
    assert fit.mean_iou > 0.99


def test_without_time_the_best_method_is_answered_as_it_is(truth):
    view = view_of(truth, noise=40)
    fit = found(["mean", "otsu"], view, truth, spent=lambda: 1.0)
    assert len(fit.chain.steps) == 1
    assert fit.mean_iou > 0.5


def test_what_is_not_annotated_counts_for_nothing(truth):
    """Outside the annotated half the truth is the contrary, and nobody asks."""
    view = view_of(truth, noise=40)
    half = truth.copy()
    half[:, SIDE // 2 :] = 0
    fit = found(["otsu"], view, half)
    assert fit.mean_iou == pytest.approx(fit_on(fit, view, half))


def fit_on(fit, view, codes):
    """Return the mean IoU of a chain's answers over annotated pixels, counted by hand."""
    meant = lookup(fit.mapping)[run_view(fit.chain, view)][codes > 0]
    known = codes[codes > 0]
    return float(jaccard_score(known, meant, average="macro"))


def test_slices_beside_are_looked_at_where_that_is_better(truth):
    random = np.random.default_rng(3)
    volume = np.where(truth == 2, 150, 90) + random.normal(0, 60, (9, *truth.shape))
    volume = volume[np.newaxis].astype(np.float32)
    view = View(volume[:, 4])
    fits = {"otsu": fit_method("otsu", [view], [truth])}

    def around(number, inside):
        assert number == 0
        return View(volume[(..., *inside)]), 4

    alone = fit_chain(fits, [view], [truth])
    fit = fit_chain(fits, [view], [truth], around=around)
    assert fit.mean_iou > alone.mean_iou + 0.01
    assert any(settings.params.get("in_3d") for settings in fit.chain.steps)
    single = fit_chain(fits, [view], [truth], around=lambda number, inside: None)
    assert single.chain == alone.chain


def test_the_method_that_agrees_best_is_chosen_and_others_are_not_run(truth):
    view = view_of(truth)
    bad = Fit(fit_method("triangle", [view], [truth]).params, None, 0.1, expected_iou=0.1)
    fits = {"otsu": fit_method("otsu", [view], [truth]), "triangle": bad}
    fit = fit_chain(fits, [view], [truth])
    assert steps(fit) == ["otsu"]
    assert isinstance(fit.chain, Chain)
