"""Parameters of any method, searched on what is annotated."""

from typing import Literal

import numpy as np
import pytest

from napari_unetseg.classical import Method, View, find_method, fit_baseline, fit_method, search
from napari_unetseg.classical.fit import expected_iou, search_grid
from napari_unetseg.config import Config


def scene(seed=0, side=128):
    """Return a view of bright stripes that nothing but a level of 100 tells, and their codes."""
    random = np.random.default_rng(seed)
    codes = np.where(np.arange(side) // 12 % 2, 2, 1) * np.ones((side, 1), int)
    pixels = np.where(codes == 2, 130, 70) + random.normal(0, 8, codes.shape)
    return View(pixels[np.newaxis].astype(np.float32)), codes.astype(np.uint8)


class LevelParams(Config):
    level: float = 0.0


class Splits(Method[LevelParams]):
    """A method without stages; it answers 1 above its level and 2 below."""

    name, title, family, summary, good_for = "splits", "Splits", "Test", "", ""
    params = LevelParams

    def segment(self, view, params, prepared=None):
        return np.where(view.pixels[0] > params.level, 1, 2).astype(np.uint8)

    def grid(self, views):
        return [LevelParams(level=level) for level in range(20, 200, 20)]

    def refine(self, best):
        return [best.replace(level=best.level + step) for step in (-5, 5)]


class StrokeParams(Config):
    how: Literal["copies", "splits"] = "copies"


class Copies(Method[StrokeParams]):
    """A method that says what it was shown, where it was, or looks at the pixels."""

    name, title, family, summary, good_for = "copies", "Copies", "Test", "", ""
    params = StrokeParams
    needs_strokes = True

    def segment(self, view, params, prepared=None):
        if params.how == "copies":
            return np.maximum(view.strokes, 1)
        return np.where(view.pixels[0] > 105, 2, 1).astype(np.uint8)

    def grid(self, views):
        return [StrokeParams(how="copies"), StrokeParams(how="splits")]


@pytest.fixture
def methods(monkeypatch):
    known = {"splits": Splits(), "copies": Copies(), "otsu": find_method("otsu")}
    monkeypatch.setattr(search, "find_method", known.__getitem__)


def test_parameters_and_the_meaning_of_answers_are_found(methods):
    views, codes = zip(*(scene(seed) for seed in range(2)), strict=True)
    found = fit_method("splits", views, codes)
    assert found.params.level == 100
    assert found.mapping == {1: 2, 2: 1}
    assert found.mean_iou > 0.99


def test_what_is_not_annotated_counts_for_nothing(methods):
    view, codes = scene()
    strokes = np.where(np.arange(128)[:, np.newaxis] % 9 == 0, codes, 0).astype(np.uint8)
    assert fit_method("splits", [view], [strokes]).params.level == 100


def test_a_method_that_copies_strokes_is_scored_where_it_was_shown_none(methods):
    view, codes = scene()
    found = fit_method("copies", [view], [codes])
    assert found.params.how == "splits"
    assert found.mapping is None
    assert view.strokes is None


def test_methods_with_levels_are_fitted_as_ever():
    view, codes = scene()
    found = fit_method("otsu", [view], [codes])
    expected = fit_baseline("otsu", [view.pixels], [codes])
    assert (found.params, found.mapping, found.mean_iou) == (
        expected.params,
        expected.mapping,
        expected.mean_iou,
    )


def test_a_search_without_time_still_answers(methods):
    view, codes = scene()
    defaults = fit_method("splits", [view], [codes], spent=lambda: 2.0)
    assert defaults.params.level == 0
    assert fit_method("otsu", [view], [codes], spent=lambda: 2.0).mean_iou > 0.9


def test_all_candidates_are_scored_where_time_allows():
    found = search_grid(list(range(50)), float, lambda: 0.0)
    assert found == [(float(i), i) for i in range(50)]


@pytest.mark.parametrize("best", [0, 47, 60, 99])
def test_where_time_is_short_candidates_are_sampled_and_then_those_beside_the_best(best):
    calls = []

    def score(candidate):
        calls.append(candidate)
        return -abs(candidate - best)

    found = search_grid(list(range(100)), score, lambda: 0.03 * len(calls))
    assert len(found) == len(calls) == 20
    assert len(set(calls)) == len(calls)
    assert abs(max(found)[1] - best) <= 2


def test_what_fits_single_slices_is_expected_to_do_worse_on_others():
    """Of candidates that are right on one slice each, none is known to be right on another."""
    right, wrong = (
        np.array([[0, 0, 0], [0, 9, 1], [0, 1, 9]]),
        np.array([[0, 0, 0], [0, 6, 4], [0, 4, 6]]),
    )
    steady = expected_iou([[right, right], [wrong, wrong]])
    assert steady == pytest.approx(9 / 11)
    assert expected_iou([[right, wrong], [wrong, right]]) == pytest.approx(6 / 14)
    # Answers may mean something else: that is learned from the other part, too.
    swapped = right[[0, 2, 1]]
    assert expected_iou([[swapped, swapped]]) == pytest.approx(9 / 11)
    assert expected_iou([[swapped, right]]) == pytest.approx(1 / 19)


@pytest.mark.parametrize("n_views", [1, 2])
def test_a_fit_says_what_its_search_comes_to_on_what_it_does_not_see(n_views):
    views, codes = zip(*(scene(seed) for seed in range(n_views)), strict=True)
    found = fit_method("otsu", views, codes)
    assert found.expected_iou == pytest.approx(found.mean_iou, abs=0.02)
    random = np.random.default_rng(0).integers(1, 3, codes[0].shape, np.uint8)
    guessed = fit_method("threshold", views, [random] * n_views)
    assert guessed.expected_iou < guessed.mean_iou + 0.005
