"""Chains: their order, how they run over stacks, what a preview shows, and recipes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from napari_unetseg.classical import (
    FILTERS,
    METHODS,
    REFINEMENTS,
    Chain,
    ChainRecipe,
    PreviewComputer,
    PreviewRequest,
    Source,
    StepSettings,
    View,
    answers,
    find_step,
    in_words,
    parse_step,
    prepare,
    read_points,
    read_recipe,
    run_stack,
    run_view,
    segment,
    strokes_at,
)
from napari_unetseg.classical import preview as preview_module
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack


def discs(n=5, shape=(72, 80), seed=0, channels=1):
    random = np.random.default_rng(seed)
    y, x = np.indices(shape)
    planes = []
    for z in range(n):
        truth = np.hypot(y - 30, x - 30 - z) < 12
        truth |= np.hypot(y - 50, x - 60) < 8
        planes.append(50 + 90 * truth + random.normal(0, 9, shape))
    pixels = np.clip(planes, 0, 255).astype(np.uint8)
    if channels == 1:
        return Stack(pixels, "ZYX", {"Z": 0.3, "Y": 0.1, "X": 0.1})
    return Stack(np.stack([pixels] * channels, axis=1), "ZCYX", channels=("a",) * channels)


def chain(*texts):
    return Chain(steps=tuple(parse_step(text) for text in texts))


def run(steps, source):
    kind = np.uint32 if answers(steps) == "objects" else np.uint8
    out = np.zeros((len(source.chosen()), *source.stack.plane_shape), kind)
    events = list(run_stack(steps, source, out=out))
    assert [event.done for event in events] == list(range(1, len(out) + 1))
    return out


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        (["otsu", "gaussian"], "filters come first"),
        (["otsu", "sobel"], "one method"),
        (["gaussian", "fill_holes"], "need a method"),
        ([], "at least one step"),
    ],
)
def test_steps_in_a_wrong_order_are_told(steps, says):
    with pytest.raises(ValidationError, match=says):
        chain(*steps)


@pytest.mark.parametrize("steps", [["dance"], ["otsu:sigma_px=-1"], ["otsu:radius=2"]])
def test_what_no_step_is_is_one_sentence(steps):
    with pytest.raises(UserError) as caught:
        chain(*steps)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValidationError):
        Chain.model_validate({"steps": [{"step": "otsu", "params": {"nonsense": 1}}]})


def test_a_chain_is_its_steps_one_after_the_other():
    stack = discs()
    steps = chain("gaussian:sigma_px=2", "otsu:sigma_px=0", "fill_holes", "remove_small")
    found = run(steps, Source(stack))
    for index in range(stack.n_planes):
        pixels = stack.plane(index)
        view = View(pixels, 3.0)
        view = View(find_step("gaussian").apply(view, steps.steps[0].checked()), 3.0)
        labels = segment("otsu", view.pixels, steps.steps[1].checked())
        for settings in steps.steps[2:]:
            labels = find_step(settings.step).apply(labels, view, settings.checked())
        np.testing.assert_array_equal(found[index], labels)


def test_a_step_that_looks_along_z_is_shown_the_volume_and_others_are_not():
    stack = discs()
    steps = chain("gaussian:sigma_px=1.5,in_3d=on", "otsu:sigma_px=0", "fill_holes")
    volume = np.stack([stack.plane(z) for z in range(5)], axis=1)
    smooth = find_step("gaussian").apply(View(volume, 3.0), steps.steps[0].checked())
    found = run(steps, Source(stack))
    flat = run(chain("gaussian:sigma_px=1.5", "otsu:sigma_px=0", "fill_holes"), Source(stack))
    for z in range(5):
        expected = run_view(chain("otsu:sigma_px=0", "fill_holes"), View(smooth[:, z], 3.0))
        np.testing.assert_array_equal(found[z], expected)
    assert (found != flat).any()


def test_chosen_slices_of_a_volume_are_those_of_the_whole():
    stack = discs()
    steps = chain("gaussian:in_3d=on", "otsu")
    whole = run(steps, Source(stack))
    np.testing.assert_array_equal(run(steps, Source(stack, [3, 0])), whole[[3, 0]])


def test_time_points_do_not_see_each_other():
    one, two = discs(3), discs(3, seed=9)
    both = Stack(np.stack([one.data, two.data]), "TZYX", one.pixel_size_um)
    steps = chain("gaussian:in_3d=on", "otsu")
    expected = [run(steps, Source(part)) for part in (one, two)]
    np.testing.assert_array_equal(run(steps, Source(both)), np.concatenate(expected))


def test_refinements_alone_begin_with_what_is_there():
    stack = discs()
    begun = run(chain("otsu:sigma_px=0"), Source(stack))
    steps = chain("fill_holes", "remove_small")
    found = run(steps, Source(stack, labels=begun))
    together = run(chain("otsu:sigma_px=0", "fill_holes", "remove_small"), Source(stack))
    np.testing.assert_array_equal(found, together)
    with pytest.raises(UserError, match="nothing to refine"):
        run(steps, Source(stack))


def test_ids_of_objects_go_on_from_slice_to_slice():
    stack = discs(3)
    found = run(chain("otsu:sigma_px=2", "split"), Source(stack))
    assert found.dtype == np.uint32
    ids = [set(np.unique(plane)) - {0} for plane in found]
    assert all(ids)
    assert not ids[0] & ids[1]
    assert not ids[1] & ids[2]
    assert set().union(*ids) == set(range(1, int(found.max()) + 1))


def test_methods_that_need_strokes_say_so():
    needing = [name for name in METHODS if METHODS[name].needs_strokes]
    for name in needing:
        with pytest.raises(UserError, match="paint some of each class"):
            prepare(Chain.of(name), [Source(discs())])


def test_levels_that_slices_share_are_of_their_own_image():
    dark, bright = discs(), discs()
    bright = Stack(bright.data.astype(np.uint16) + 1000, "ZYX", bright.pixel_size_um)
    steps = chain("otsu:per_slice=off")
    low, high = prepare(steps, [Source(dark), Source(bright)])
    assert 50 < low[0] < 140
    assert 1050 < high[0] < 1140


def painted(stack):
    strokes = np.zeros((stack.n_planes, *stack.plane_shape), np.uint8)
    strokes[2, 28:33, 28:33] = 2
    strokes[2, 2:6, 2:40] = 1
    return strokes


CHAINS = [Chain.of(name) for name in METHODS]
CHAINS += [chain(name, "otsu") for name in FILTERS if name != "channel"]
CHAINS += [chain("otsu", name) for name in REFINEMENTS]
CHAINS += [chain("otsu:per_slice=off", "fill_holes"), chain("gaussian", "kmeans:per_slice=off")]


@pytest.mark.parametrize("steps", CHAINS, ids=in_words)
def test_a_preview_is_what_the_stack_will_show(steps):
    stack = discs()
    source = Source(stack, strokes=painted(stack))
    expected = run(steps, source)[2]
    computer = PreviewComputer()
    for _ in range(2):  # from what is kept as well
        preview = computer.compute(PreviewRequest("a", source, 2, steps))
        if expected.dtype == np.uint8:
            np.testing.assert_array_equal(preview.labels, expected)
        else:  # ids begin anew on the slice in view
            np.testing.assert_array_equal(preview.labels > 0, expected > 0)


def test_a_preview_of_slow_steps_is_of_what_is_in_sight():
    steps = chain("gaussian:in_3d=on", "otsu")
    stack = discs()
    request = PreviewRequest("a", Source(stack), 2, steps, visible=(slice(10, 50), slice(-5, 30)))
    preview = PreviewComputer().compute(request)
    assert preview.box == (slice(10, 50), slice(0, 30))
    assert preview.n_planes == 5
    assert preview.labels.shape == stack.plane_shape
    assert not preview.labels[:10].any()
    assert preview.labels[10:50, :30].all()


@pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX"])
@pytest.mark.parametrize("steps", ["sobel:in_3d=on", "watershed:in_3d=on", "slic:in_3d=on"])
def test_a_preview_of_a_volume_is_there_where_there_is_no_z(steps, axes):
    pixels = discs(1).data
    stack = Stack(pixels[0] if axes == "YX" else pixels, axes)
    strokes = painted(discs())[2:3]
    source = Source(stack, strokes=strokes)
    expected = run(chain(steps), source)[0]
    found = PreviewComputer().compute(PreviewRequest("a", source, 0, chain(steps)))
    np.testing.assert_array_equal(found.labels, expected)


def test_a_volume_without_z_is_refined_with_what_is_shown():
    stack = Stack(discs(1).data[0], "YX")
    labels = np.ones((1, *stack.plane_shape), np.uint8)
    labels[0, 20:40, 20:40], labels[0, 28:30, 28:30] = 2, 1
    source = Source(stack, labels=labels)
    steps = chain("fill_holes:in_3d=on")
    found = PreviewComputer().compute(PreviewRequest("a", source, 0, steps))
    np.testing.assert_array_equal(found.labels, run(steps, source)[0])


@pytest.mark.parametrize("steps", ["gaussian:in_3d=on", "gaussian:in_3d=on,sigma_px=2"])
def test_a_preview_follows_the_pixel_size(steps):
    computer, stack = PreviewComputer(), discs()
    steps = chain(steps, "otsu:per_slice=off,sigma_px=0")
    for z_um in (0.3, 0.1):
        source = Source(replace(stack, pixel_size_um={"Z": z_um, "Y": 0.1, "X": 0.1}))
        found = computer.compute(PreviewRequest("a", source, 2, steps))
        np.testing.assert_array_equal(found.labels, run(steps, source)[2])


def test_a_preview_says_where_too_little_is_painted_on_the_slice():
    source = Source(discs(), strokes=painted(discs()))
    for plane, lacks in ((0, True), (2, False)):
        for name in ("watershed", "grow"):
            request = PreviewRequest("a", source, plane, Chain.of(name))
            assert PreviewComputer().compute(request).lacks_strokes == lacks
    request = PreviewRequest("a", source, 0, Chain.of("forest"))
    assert not PreviewComputer().compute(request).lacks_strokes


class Enough(Exception):
    """Nobody waits any more."""


@pytest.mark.parametrize(
    "steps",
    [
        ("gaussian", "otsu", "fill_holes"),
        ("gaussian", "grow", "fill_holes"),
        ("gaussian:in_3d=on", "grow", "fill_holes"),
    ],
)
def test_a_preview_can_be_given_up_between_any_two_steps(steps):
    source = Source(discs(), strokes=painted(discs()))
    n_calls, taken = 0, set()

    def after(most):
        def between():
            nonlocal n_calls
            n_calls += 1
            if n_calls > most:
                raise Enough

        return between

    def spied(name):
        step = find_step(name.partition(":")[0])
        how = "segment" if hasattr(step, "segment") else "apply"
        how = "label" if hasattr(step, "label") else how
        original = getattr(type(step), how)

        def noted(*arguments, **named):
            taken.add(name)
            return original(*arguments, **named)

        return type(step), how, noted

    with pytest.MonkeyPatch.context() as patch:
        for name in steps:
            patch.setattr(*spied(name))
        seen = set()
        for most in range(100):
            n_calls = 0
            taken.clear()
            try:
                PreviewComputer().compute(
                    PreviewRequest("a", source, 2, chain(*steps)), after(most)
                )
            except Enough:
                seen.add(len(taken))
            else:
                break
    assert taken == set(steps)
    assert seen >= set(range(len(steps))), "given up after none, one, two steps"


def test_of_a_huge_slice_what_is_in_sight_is_shown_as_the_stack_will_be(monkeypatch):
    monkeypatch.setattr(preview_module, "_HUGE_PX", 1000)
    monkeypatch.setattr(preview_module, "_SHOWN_PX", 24)
    source = Source(discs())
    computer = PreviewComputer()
    box = (slice(12, 36), slice(20, 44))
    for percent in (60, 90):
        steps = chain(f"sobel:output=edges,close_px=0,widen_px=0,percent={percent}")
        preview = computer.compute(PreviewRequest("a", source, 2, steps, visible=box))
        assert preview.box == box
        np.testing.assert_array_equal(preview.labels[box], run(steps, source)[2][box])
    quick = computer.compute(PreviewRequest("a", source, 2, chain("otsu"), visible=box))
    assert quick.box is None
    np.testing.assert_array_equal(quick.labels, run(chain("otsu"), source)[2])


def test_a_preview_knows_the_grey_values_that_a_threshold_decides_by():
    request = PreviewRequest("a", Source(discs()), 0, chain("threshold:grey_value=99"))
    grey = PreviewComputer().compute(request).grey
    assert grey.levels == (99.0,)
    assert grey.counts.sum() > 0
    assert grey.span[0] < 99 < grey.span[1]


def test_a_recipe_comes_back_from_its_file_and_from_a_record(tmp_path):
    recipe = ChainRecipe(chain=chain("gaussian", "otsu", "fill_holes"), mapping={1: 2, 2: 1})
    (tmp_path / "r.json").write_text(recipe.model_dump_json())
    assert read_recipe(tmp_path / "r.json") == recipe
    (tmp_path / "s.json").write_text(json.dumps({"recipe": recipe.model_dump(mode="json")}))
    assert read_recipe(tmp_path / "s.json") == recipe
    labels = np.array([[1, 2, 2]], np.uint8)
    np.testing.assert_array_equal(recipe.meant(labels), [[2, 1, 1]])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"chain": 7}',
        '{"chain": {"steps": [{"step": "os.system"}]}}',
        '{"chain": {"steps": []}}',
        '{"version": 2, "chain": {"steps": [{"step": "otsu"}]}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_recipe_is_one_sentence(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UserError, match=r"r\.json") as caught:
        read_recipe(tmp_path / "r.json")
    assert "\n" not in str(caught.value)


def test_points_become_discs_of_their_class(tmp_path):
    table = tmp_path / "points.csv"
    table.write_text("index,axis-0,axis-1,axis-2,class\n0,1,10.4,20,2\n1,0,0,0,0\n")
    points, classes = read_points(table)
    strokes = strokes_at(points, classes, (3, 30, 40))
    assert strokes[1, 10, 20] == 3
    assert strokes[0, 0, 0] == 1
    assert (strokes > 0).sum() == 9 + 4
    for wrong in ([[5, 1, 1]], [[0, 30, 0]], [[0, np.nan, 0]], [[0, 0]]):
        with pytest.raises(UserError):
            strokes_at(np.array(wrong, float), [1], (3, 30, 40))
    table.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="axis-0"):
        read_points(table)
    with pytest.raises(UserError, match="no table"):
        read_points(tmp_path / "absent.csv")


def test_a_chain_in_words_names_every_step():
    said = in_words(Chain(steps=(StepSettings(step="gaussian"), StepSettings(step="otsu"))))
    assert ", then Otsu threshold (" in said
