import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_unetseg.annotations import held_out_mask
from napari_unetseg.classical import (
    METHODS,
    ChainRecipe,
    LevelMethod,
    Source,
    can_answer_classes,
    chain_search,
    prepare,
    read_recipe,
    run_stack,
)
from napari_unetseg.comparison import AnnotatedImage, Comparison, baselines, disagreement
from napari_unetseg.comparison.baselines import CHAIN, Baseline
from napari_unetseg.comparison.contestant import Clock
from napari_unetseg.comparison.report import write_csv, write_recipe
from napari_unetseg.comparison.split import split_annotations
from napari_unetseg.config import Recipe
from napari_unetseg.errors import UserError
from napari_unetseg.events import (
    ComparisonStarted,
    MethodCompared,
    MethodNotRun,
    Progress,
    Recommended,
)
from napari_unetseg.images import Stack

LONG_S = 600
OBJECTS = "they count and outline single objects, and say nothing of the rest"
TINY = Recipe.model_validate(
    {
        "network": {"depth": 2, "filters": 4},
        "training": {"steps": 3, "max_time_s": None, "patch_px": 64, "batch": 2},
    }
)


def leave(monkeypatch, names):
    """Leave these methods, and few steps to put before and after them."""
    monkeypatch.setattr(chain_search, "_METHODS", 1)
    monkeypatch.setattr(chain_search, "_BEFORE_SHARE", 0.0)
    monkeypatch.setattr(chain_search, "_AFTER", (("remove_small", "min_area_px", (20,)),))
    monkeypatch.setattr(baselines, "METHODS", {name: METHODS[name] for name in names})


@pytest.fixture
def quick(monkeypatch):
    """Leave two methods to be quick."""
    leave(monkeypatch, ("otsu", "sobel"))


@pytest.fixture
def one_of_each(monkeypatch):
    """Leave a method of each way to be fitted: by levels, in windows, from annotations."""
    in_windows = {
        name
        for name, method in METHODS.items()
        if method.answers == "classes" and not isinstance(method, LevelMethod)
    }
    see = {name for name in in_windows if METHODS[name].needs_strokes}
    quick = {name for name in see if not METHODS[name].is_slow}
    leave(monkeypatch, {"otsu", *sorted(in_windows - see)[:1], *quick})


def compared(images, scene, *, models=None, max_time_s=LONG_S, **options):
    """Return the comparison, its events, and what was answered, by method, image and slice."""
    answers = {}

    def keep(name, image, plane, codes):
        answers[name, image, plane] = codes.copy()

    comparison = Comparison(
        images, scene.classes, models=models, max_time_s=max_time_s, keep=keep, **options
    )
    return comparison, list(comparison.run()), answers


def test_every_baseline_that_suits_has_a_row_and_the_best_is_first(dense, scene):
    comparison, events, _ = compared([dense], scene, max_time_s=30)
    assert isinstance(events[0], ComparisonStarted)
    assert isinstance(events[-1], Recommended)
    rows = [event for event in events if isinstance(event, MethodCompared)]
    missed = [event for event in events if isinstance(event, MethodNotRun)]
    assert {e.name for e in rows} | {e.name for e in missed} == {*METHODS, CHAIN}
    assert [e.reason for e in missed if "failed" in e.reason] == []
    assert sorted(rows, key=lambda row: -row.mean_iou) == comparison.rows
    n = len(METHODS) + 1
    assert events[0].n_methods == n
    done = [(e.done, e.total) for e in events if isinstance(e, Progress)]
    assert done == [(i, n) for i in range(n)]
    best = comparison.rows[0]
    assert best.mean_iou > 0.85
    for row in rows:
        assert 0 <= row.mean_iou <= 1
        assert row.spread >= 0
        assert row.dice == pytest.approx(row.f1)
        assert row.slice_s > 0
        assert row.n_px == comparison.rows[0].n_px


def test_each_family_has_its_turn_and_slow_methods_come_last(scene):
    contestants = baselines.baselines(scene.classes)
    assert contestants.pop().name == CHAIN
    order = [METHODS[one.name] for one in contestants]
    assert sorted(method.name for method in order) == sorted(METHODS)
    slow = [method.is_slow for method in order]
    assert slow == sorted(slow)
    quick = {method.family for method in order if not method.is_slow}
    assert {method.family for method in order[: len(quick)]} == quick


def test_a_row_can_be_run_again_to_the_same_answers(dense, scene, quick):
    comparison, _, answers = compared([dense], scene)
    for row in comparison.rows:
        recipe = ChainRecipe.model_validate(row.recipe)
        assert recipe.classes == scene.classes
        source = Source(dense.stack)
        out = np.zeros(dense.codes.shape, np.uint8)
        list(run_stack(recipe.chain, source, out=out, prepared=prepare(recipe.chain, [source])[0]))
        for plane in range(2):
            np.testing.assert_array_equal(
                recipe.meant(out[plane]), answers[row.name, 0, plane], row.name
            )


def test_what_grows_from_strokes_says_that_it_was_given_few(dense, scene, monkeypatch):
    leave(monkeypatch, ("otsu", "grow", "forest"))
    comparison, _, _ = compared([dense], scene)
    notes = {row.name: row.note for row in comparison.rows}
    assert "given those of the training part alone" in notes["grow"]
    assert notes["otsu"] == notes["forest"] == ""


def poisoned(image):
    """Return an image whose held-out annotations say the contrary."""
    codes = image.codes.copy()
    for plane in range(len(codes)):
        held = held_out_mask(image.blocks, plane, image.stack.plane_shape)
        codes[plane, held] = 3 - codes[plane, held]
    assert (codes != image.codes).any()
    return AnnotatedImage(image.stack, codes, image.blocks)


def without_scores(row):
    fields = dataclasses.asdict(row)
    scores = ("mean_iou", "spread", "dice", "f1", "boundary_f1", "iou", "prepare_s", "slice_s")
    return {key: value for key, value in fields.items() if key not in scores}


def test_held_out_annotations_change_nothing_but_scores(dense, scene, tmp_path, one_of_each):
    """Of baselines, of models whose classes must be named, and of a network that is trained."""
    options = {"models": ["nuclei"], "recipe": TINY, "device": "cpu"}
    path = tmp_path / "network.unet"
    first, _, answers = compared([dense], scene, model_path=path, **options)
    second, _, others = compared([poisoned(dense)], scene, model_path=path, **options)
    assert {row.kind for row in first.rows} == {"classical", "model", "network"}
    assert answers.keys() == others.keys()
    for key, codes in answers.items():
        np.testing.assert_array_equal(codes, others[key], str(key))
    known = {row.name: row for row in first.rows}
    assert known.keys() == {row.name for row in second.rows}
    for row in second.rows:
        assert without_scores(row) == without_scores(known[row.name])
        assert row.iou != known[row.name].iou
    assert first.not_run == second.not_run


def test_annotations_that_are_not_held_out_do_change_what_is_fitted(dense, scene, quick):
    """The counter-test of the above: the training part does count."""
    codes = np.where(dense.codes == 2, 1, 2).astype(np.uint8)
    first, _, _ = compared([dense], scene)
    second, _, _ = compared([AnnotatedImage(dense.stack, codes, dense.blocks)], scene)
    assert first.rows[0].recipe != second.rows[0].recipe


def test_few_annotations_are_scored_in_turn_and_then_all_are_fitted_to(sparse, scene, quick):
    comparison, events, _ = compared([sparse], scene)
    assert "fitted 3 times" in events[0].sentence
    assert comparison.rows[0].n_px == np.count_nonzero(sparse.codes)
    assert comparison.rows[0].mean_iou > 0.7
    from napari_unetseg.classical import fit_baseline

    everything = fit_baseline("otsu", [sparse.stack.plane(0)], [sparse.codes[0]])
    row = next(row for row in comparison.rows if row.name == "otsu")
    recipe = ChainRecipe.model_validate(row.recipe)
    assert recipe.chain.method()[1] == everything.params


def test_a_model_as_it_is_finds_out_what_its_classes_are_called(scene, tmp_path, quick):
    stack, codes = scene.discs(side=256)
    image = scene.annotated(stack, codes)
    comparison, _, _ = compared([image], scene, models=["nuclei"], recipe=TINY, device="cpu")
    row = next(row for row in comparison.rows if row.kind == "model")
    assert Path(row.model).name == "nuclei.unet"
    assert not row.needs_labels
    assert row.mean_iou > 0.6
    trained = next(row for row in comparison.rows if row.kind == "network")
    assert trained.model is None
    assert "for 3 steps" in trained.note


def test_a_network_is_kept_where_that_is_asked_for(dense, scene, tmp_path, quick):
    from napari_unetseg.learning import Predictor, load_model

    path = tmp_path / "kept.unet"
    comparison, _, answers = compared(
        [dense], scene, models=[], recipe=TINY, device="cpu", model_path=path
    )
    row = next(row for row in comparison.rows if row.kind == "network")
    assert row.model == str(path)
    codes = Predictor(load_model(path), dense.stack, device="cpu").codes(1)
    np.testing.assert_array_equal(codes, answers["network", 0, 1])


def test_a_model_that_learned_from_these_images_is_said_to_have(dense, scene, tmp_path, quick):
    path = tmp_path / "mine.unet"
    compared([dense], scene, models=[], recipe=TINY, device="cpu", model_path=path)
    again, _, _ = compared([dense], scene, models=[path], recipe=TINY, device="cpu")
    row = next(row for row in again.rows if row.name == "model:mine")
    assert row.note.startswith("It has learned from these images; what it is scored on was held")
    codes = np.zeros_like(dense.codes)
    codes[0, 20:24, :200] = dense.codes[0, 20:24, :200]
    few, _, _ = compared(
        [scene.annotated(dense.stack, codes)], scene, models=[path], recipe=TINY, device="cpu"
    )
    missed = next(m for m in few.not_run if m.name == "model:mine")
    assert missed.reason == "it has learned from these annotations, and none of them are held out"


def test_a_model_that_is_not_there_is_said_at_once(dense, scene):
    with pytest.raises(UserError, match="There is no model nowhere"):
        list(Comparison([dense], scene.classes, models=["nowhere"]).run())


def test_a_model_of_other_channels_is_missed_and_why(scene, quick):
    stack, codes = scene.discs()
    colours = Stack(np.stack([stack.data] * 3), "CZYX", channels=("r", "g", "b"))
    comparison, _, _ = compared(
        [scene.annotated(colours, codes)], scene, models=["nuclei"], recipe=TINY, device="cpu"
    )
    (missed,) = (m for m in comparison.not_run if m.name == "model:nuclei")
    assert "channel" in missed.reason
    assert any(row.kind == "network" for row in comparison.rows)


def test_what_the_time_does_not_suffice_for_is_listed_as_not_run(dense, scene):
    comparison = Comparison([dense], scene.classes, models=None, max_time_s=1e-6)
    events = list(comparison.run())
    assert comparison.rows == []
    assert {missed.name for missed in comparison.not_run} == {*METHODS, CHAIN}
    for missed in comparison.not_run:
        answers = missed.name == CHAIN or can_answer_classes(METHODS[missed.name])
        assert missed.reason == ("no time was left" if answers else OBJECTS)
    assert events[-1].name is None


def test_a_network_needs_seconds_to_be_trained(dense, scene, quick):
    comparison = Comparison([dense], scene.classes, models=[], max_time_s=5, device="cpu")
    list(comparison.run())
    assert [missed.name for missed in comparison.not_run][-1] == "network"
    assert {row.name for row in comparison.rows} >= {"otsu", "sobel"}


def test_stopping_keeps_the_rows_so_far(dense, scene):
    comparison = Comparison([dense], scene.classes, models=None, max_time_s=LONG_S)
    for event in comparison.run():
        if isinstance(event, MethodCompared):
            comparison.stop()
    assert len(comparison.rows) == 1
    assert comparison.recommended().name == comparison.rows[0].name
    reasons = {missed.reason for missed in comparison.not_run}
    assert reasons - {OBJECTS} == {"you stopped before it"}


def test_a_check_that_raises_cancels_in_the_middle_of_a_method(dense, scene):
    class Cancelled(Exception):
        pass

    calls = []

    def check():
        calls.append(None)
        if len(calls) > 8:
            raise Cancelled

    comparison = Comparison([dense], scene.classes, models=None, check=check)
    with pytest.raises(Cancelled):
        list(comparison.run())
    assert not comparison.rows


def test_a_method_that_fails_is_a_row_that_is_missing(dense, scene, quick, monkeypatch):
    def fail(self, features, params):
        raise ValueError("no such thing")

    monkeypatch.setattr(type(METHODS["otsu"]), "measure", fail)
    comparison, _, _ = compared([dense], scene)
    missed = comparison.not_run[0]
    assert (missed.name, missed.reason) == ("otsu", "it failed (no such thing)")
    assert "sobel" in [row.name for row in comparison.rows]


def test_two_answers_disagree_where_both_say_something_else():
    first = np.array([[1, 1, 2, 0, 2]], np.uint8)
    second = np.array([[1, 2, 1, 2, 0]], np.uint8)
    np.testing.assert_array_equal(disagreement(first, second), [[0, 2, 1, 0, 0]])


def test_many_images_of_other_sizes_are_compared_as_one(scene, quick):
    images = [scene.annotated(*scene.discs(1, side, seed=side)) for side in (256, 320)]
    comparison, _, answers = compared(images, scene)
    assert {image for _, image, _ in answers} == {0, 1}
    assert answers["otsu", 1, 0].shape == (320, 320)
    assert comparison.rows[0].mean_iou > 0.8


@pytest.fixture
def specked(scene):
    """Discs with specks and holes that no threshold can tell from discs."""
    random = np.random.default_rng(4)
    stack, codes = scene.discs()
    specks = ndimage.binary_dilation(random.random(codes.shape) < 0.002, np.ones((1, 4, 4)))
    pixels = np.where(specks, np.where(codes == 2, 90, 150), np.where(codes == 2, 150, 90))
    return scene.annotated(Stack(pixels.astype(np.uint8), "ZYX", name=stack.name), codes)


def test_the_best_chain_has_a_row_that_replays_and_it_never_saw_what_it_is_scored_on(
    specked, scene, quick, tmp_path
):
    comparison, _, answers = compared([specked], scene)
    row = next(row for row in comparison.rows if row.name == CHAIN)
    assert row.title.endswith(" → Remove small pieces")
    assert comparison.rows[0] is row
    assert comparison.recommended().name == CHAIN
    path = tmp_path / "recipe.json"
    write_recipe(path, row)
    recipe = read_recipe(path)
    out = np.zeros(specked.codes.shape, np.uint8)
    list(run_stack(recipe.chain, Source(specked.stack), out=out))
    for plane in range(2):
        np.testing.assert_array_equal(recipe.meant(out[plane]), answers[CHAIN, 0, plane])
    write_csv(tmp_path / "table.csv", comparison.rows)
    assert "then Remove small pieces (min area 20 px" in (tmp_path / "table.csv").read_text()
    again, _, others = compared([poisoned(specked)], scene)
    other = next(row for row in again.rows if row.name == CHAIN)
    assert without_scores(other) == without_scores(row)
    np.testing.assert_array_equal(others[CHAIN, 0, 1], answers[CHAIN, 0, 1])


def test_a_chain_is_found_anew_for_every_part_that_takes_its_turn(
    sparse, scene, quick, monkeypatch
):
    seen = []

    def spy(fits, views, codes, **options):
        seen.append([np.array(c) for c in codes])
        return chain_search.fit_chain(fits, views, codes, **options)

    monkeypatch.setattr(baselines, "fit_chain", spy)
    compared([sparse], scene)
    *parts, everything = [sum(np.count_nonzero(c) for c in codes) for codes in seen]
    assert len(parts) == 3
    assert sum(parts) == 2 * everything
    assert everything == np.count_nonzero(sparse.codes)


def test_superpixels_that_strokes_claim_are_in_the_table(dense, scene, monkeypatch):
    leave(monkeypatch, ("slic", "blob_log"))
    comparison, _, _ = compared([dense], scene)
    row = next(row for row in comparison.rows if row.name == "slic")
    assert row.needs_labels
    assert row.on_each_slice
    assert row.note.startswith("It needs annotations on every slice")
    assert row.recipe["chain"]["steps"][0]["params"]["claim"]
    assert {m.name: m.reason for m in comparison.not_run}["blob_log"] == OBJECTS


def test_superpixels_are_not_compared_on_slices_without_strokes(scene, monkeypatch):
    leave(monkeypatch, ("slic",))
    stack, truth = scene.discs(n_planes=6, side=64)
    comparison, _, _ = compared([AnnotatedImage(stack, truth)], scene)
    assert "slices" in comparison.scored_on
    reasons = {missed.name: missed.reason for missed in comparison.not_run}
    assert reasons["slic"].startswith("it needs strokes on every slice")


@pytest.mark.parametrize("name", ["otsu", "local", "sobel", "kmeans"])
def test_a_quick_method_whose_search_has_no_time_is_tried_as_it_comes(dense, scene, name):
    part = split_annotations([dense]).parts()[0]
    method = Baseline(name, scene.classes)
    fitting = method.fit(part, Clock(LONG_S, fair_s=0))
    with pytest.raises(StopIteration) as end:
        next(fitting)
    fitted = end.value.value
    (codes,) = fitted.segment(0, [1])
    assert set(np.unique(codes)) <= {1, 2}
    params = fitted.recipe.chain.method()[1]
    usual = METHODS[name].params()
    assert params.replace(foreground=usual.foreground) == usual


def test_time_that_is_fair_is_shared_by_what_is_still_to_be_done():
    clock = Clock(100, fair_s=40)
    assert clock.left_s() == pytest.approx(100, abs=1)
    assert clock.fair(0.5).left_s() == pytest.approx(20, abs=1)
    half = clock.nth(2)
    assert half.left_s() == pytest.approx(50, abs=1)
    assert half.fair(1).left_s() == pytest.approx(20, abs=1)
    assert Clock(10, fair_s=40).fair(1).left_s() == pytest.approx(10, abs=1)


def test_a_model_whose_classes_are_swapped_is_said_to_have_them_swapped(scene, quick):
    """The ground is annotated as the structure; the model finds discs."""
    stack, codes = scene.discs(side=256)
    options = {"models": ["nuclei"], "recipe": TINY, "device": "cpu"}
    said = {}
    for swapped in (False, True):
        known = np.where(codes == 2, 1, 2).astype(np.uint8) if swapped else codes
        comparison, _, _ = compared([scene.annotated(stack, known)], scene, **options)
        row = next(row for row in comparison.rows if row.kind == "model")
        said[swapped] = row.note
        assert row.mean_iou > 0.6
    assert said[False] == ""
    assert said[True].startswith("Its classes are swapped: what it calls nucle")
