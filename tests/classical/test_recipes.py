"""A recipe, written and read back, gives the identical result: every method, all it learned."""

import json

import numpy as np
import pytest
from scipy import ndimage

from napari_unetseg.classical import (
    METHODS,
    Chain,
    ChainRecipe,
    Source,
    answers,
    parse_params,
    parse_step,
    prepare,
    read_recipe,
    run_stack,
)
from napari_unetseg.classical import recipe as recipe_module
from napari_unetseg.classical.packed import PackedArray
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

#: What else a method can be asked for; of levels, shared ones; of superpixels, those claimed.
OTHERWISE = {
    "per_slice": ["per_slice=off"],
    "claim": ["claim=on"],
    "in_3d": ["in_3d=on"],
    "seed": ["seed=7"],
}


def image(kind="grey", seed=0):
    """Discs of two brightnesses, the darker ones smaller, on noise; ZYX, CZYX or YX."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:40, :56]
    planes = random.normal(60, 8, (3, 40, 56))
    for z in range(3):
        planes[z] += 90 * (np.hypot(y - 14 - z, x - 16) < 8) + 50 * (np.hypot(y - 24, x - 42) < 6)
    planes = ndimage.gaussian_filter(planes, (0, 0.7, 0.7)).clip(0, 255)
    size = {"Z": 0.3, "Y": 0.1, "X": 0.1}
    if kind == "rgb":
        colours = [planes, planes * 0.7, 255 - planes]
        return Stack(np.stack(colours).astype(np.uint8), "CZYX", size, channels=("",) * 3)
    if kind == "slice":
        return Stack(planes[0].astype(np.float32), "YX", {"Y": 0.1, "X": 0.1})
    return Stack(planes.astype(np.uint16), "ZYX", size)


def painted(stack, n_classes=2):
    strokes = np.zeros((stack.n_planes, *stack.plane_shape), np.uint8)
    strokes[0, 2:5, 4:30] = 1
    strokes[0, 12:16, 14:18] = 2
    strokes[-1, 36:39, 20:50] = 1
    if n_classes == 2:
        strokes[-1, 22:26, 40:44] = 3
    return strokes


def recipe_of(name, *params, before=("gaussian:sigma_px=1",), then=("remove_small:min_area_px=9",)):
    chain = Chain.of(
        name,
        parse_params(name, params),
        before=[parse_step(text) for text in before],
        then=[parse_step(text) for text in then],
    )
    return ChainRecipe(chain=chain)


def made(recipe, sources):
    """Return results, and the recipe as it comes back from its file."""
    prepared = prepare(recipe.chain, sources)
    kept = recipe.keeping(sources, prepared)
    return [run(recipe, *each) for each in zip(sources, prepared, strict=True)], kept


def run(recipe, source, prepared):
    kind = np.uint32 if answers(recipe.chain) == "objects" else np.uint8
    out = np.zeros((len(source.chosen()), *source.stack.plane_shape), kind)
    list(run_stack(recipe.chain, source, out=out, prepared=prepared))
    return recipe.meant(out)


def through_a_file(recipe, folder):
    path = folder / "recipe.json"
    path.write_text(recipe.model_dump_json(indent=2))
    return read_recipe(path)


def replayed(recipe, stacks):
    """Do what `run` does: nothing is known but the recipe and the images."""
    sources = [Source(recipe.calibrated(s), strokes=recipe.strokes_on(s)) for s in stacks]
    learned = recipe.recalled()
    prepared = prepare(recipe.chain, sources) if learned is None else [learned] * len(sources)
    return [run(recipe, *each) for each in zip(sources, prepared, strict=True)]


def cases():
    for name, method in METHODS.items():
        fields = method.params.model_fields
        yield name, ()
        for field, params in OTHERWISE.items():
            if field in fields:
                yield name, tuple(params)
        if "in_3d" in fields and "per_slice" in fields:
            yield name, ("in_3d=on", "per_slice=off")


CASES = list(cases())


@pytest.mark.parametrize(("name", "params"), CASES, ids=[" ".join((n, *p)) for n, p in CASES])
@pytest.mark.parametrize("kind", ["grey", "rgb", "slice"])
def test_every_method_replays_to_the_identical_result(name, params, kind, tmp_path):
    stack = image(kind)
    ((expected,), recipe) = made(recipe_of(name, *params), [Source(stack, strokes=painted(stack))])
    assert not recipe.needs_strokes()
    (found,) = replayed(through_a_file(recipe, tmp_path), [stack])
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected)) > 1 or (name, params, kind) == ("slic", ("in_3d=on",), "slice")


def test_levels_of_a_stack_are_measured_anew_on_another(tmp_path):
    dark, bright = image(), image()
    bright = Stack(bright.data + 1000, "ZYX", bright.pixel_size_um)
    recipe = recipe_of("otsu", "per_slice=off")
    ((expected,), kept) = made(recipe, [Source(dark)])
    assert kept == recipe
    (found,) = replayed(through_a_file(kept, tmp_path), [bright])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n_classes", [1, 2])
def test_a_forest_is_applied_to_other_images_as_it_was_trained(n_classes, tmp_path):
    stack, other = image(), image(seed=5)
    recipe = recipe_of("forest", then=("crf", "remove_small:min_area_px=9"))
    source = Source(stack, strokes=painted(stack, n_classes))
    prepared = prepare(recipe.chain, [source])
    kept = through_a_file(recipe.keeping([source], prepared), tmp_path)
    expected = run(recipe, Source(other), prepared[0])
    (found,) = replayed(kept, [other])
    np.testing.assert_array_equal(found, expected)
    assert np.unique(found).tolist() == list(range(1, n_classes + 2))
    smaller = Stack(other.data[:1, :30], "ZYX", other.pixel_size_um)
    assert replayed(kept, [smaller])[0].shape == (1, 30, 56)


def test_a_forest_of_several_images_is_one_and_is_kept_once(tmp_path):
    stacks = [image(), image(seed=5)]
    strokes = [painted(stacks[0]), np.zeros((3, 40, 56), np.uint8)]
    recipe = recipe_of("forest")
    sources = [Source(s, strokes=p) for s, p in zip(stacks, strokes, strict=True)]
    expected, kept = made(recipe, sources)
    found = replayed(through_a_file(kept, tmp_path), stacks)
    np.testing.assert_array_equal(found, expected)


def test_what_a_recipe_with_a_forest_weighs():
    """The guide says less than half a megabyte for two classes, as it comes."""
    random = np.random.default_rng(0)
    grey = ndimage.gaussian_filter(random.normal(0, 1, (1, 400, 400)), (0, 3, 3)) * 300
    noisy = (128 + grey + random.normal(0, 9, grey.shape)).clip(0, 255).astype(np.uint8)
    strokes = np.where(grey > 3, 2, 1).astype(np.uint8)
    _, kept = made(recipe_of("forest"), [Source(Stack(noisy, "ZYX"), strokes=strokes)])
    assert 50_000 < len(kept.model_dump_json()) < 500_000


def test_seeds_of_several_images_find_theirs(tmp_path):
    stacks = [image(), image(seed=5), image(seed=6)]
    strokes = [painted(stacks[0]), np.zeros((3, 40, 56), np.uint8), painted(stacks[2], 1)]
    sources = [Source(s, strokes=p) for s, p in zip(stacks, strokes, strict=True)]
    expected, kept = made(recipe_of("grow"), sources)
    found = replayed(through_a_file(kept, tmp_path), stacks[::-1])
    np.testing.assert_array_equal(found[::-1], expected)
    with pytest.raises(UserError, match="another image"):
        kept.strokes_on(image(seed=9))


def test_seeds_are_those_of_an_image_or_of_one_as_large_and_no_others(tmp_path):
    stack = image()
    _, kept = made(recipe_of("watershed"), [Source(stack, strokes=painted(stack))])
    kept = through_a_file(kept, tmp_path)
    np.testing.assert_array_equal(kept.strokes_on(image(seed=5)), painted(stack))
    smaller = Stack(stack.data[:, :30], "ZYX", name="small")
    with pytest.raises(UserError) as caught:
        kept.strokes_on(smaller)
    said = str(caught.value)
    assert "3 × 40 × 56" in said
    assert "small (3 × 30 × 56 px)" in said
    assert "-l LABELS" in said
    assert "--points" in said
    assert "\n" not in said


def test_a_volume_is_replayed_with_the_slice_spacing_it_had(tmp_path):
    stack = image()
    recipe = recipe_of("otsu", before=("gaussian:sigma_px=3,in_3d=on",))
    ((expected,), kept) = made(recipe, [Source(stack)])
    unknown = Stack(stack.data, "ZYX")
    (found,) = replayed(through_a_file(kept, tmp_path), [unknown])
    np.testing.assert_array_equal(found, expected)
    ((otherwise,), _) = made(recipe, [Source(unknown)])
    assert (otherwise != expected).any()


def test_a_method_that_can_do_without_strokes_is_replayed_without(tmp_path):
    stack, other = image(), image(seed=5)
    ((expected,), kept) = made(recipe_of("chan_vese"), [Source(other)])
    (found,) = replayed(through_a_file(kept, tmp_path), [other])
    np.testing.assert_array_equal(found, expected)
    assert kept.strokes_on(stack) is None


def test_what_is_too_much_is_not_kept_and_is_known_to_be_missing(monkeypatch):
    stack = image()
    monkeypatch.setattr(recipe_module, "MAX_KEPT", 10)
    for name in ("forest", "grow", "chan_vese"):
        _, kept = made(recipe_of(name), [Source(stack, strokes=painted(stack))])
        assert kept.learned is None
        assert not kept.images
        assert kept.needs_strokes()
        with pytest.raises(UserError, match="-l LABELS"):
            kept.strokes_on(stack)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 4), np.uint8),
        np.arange(7, dtype=np.uint16),
        np.array(-3, np.int32),
        np.random.default_rng(0).normal(0, 1, (3, 4, 5)).astype(np.float32)[:, ::2],
        np.arange(6, dtype=">i4").reshape(2, 3),
    ],
)
def test_arrays_come_back_from_text(array):
    text = PackedArray.of(array).model_dump_json()
    found = PackedArray.model_validate_json(text).array()
    assert found.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    "change",
    [
        {"data": "!!"},
        {"data": "AAAA"},
        {"shape": [3, 41]},
        {"shape": [2**40, 2**40]},
        {"shape": [-1, 5]},
        {"dtype": "float32"},
    ],
)
def test_a_damaged_forest_is_one_sentence(change, tmp_path):
    stack = image()
    _, kept = made(recipe_of("forest"), [Source(stack, strokes=painted(stack))])
    for name in kept.learned:
        if kept.learned[name].dtype == change.get("dtype"):
            continue
        text = json.loads(kept.model_dump_json())
        text["learned"][name] |= change
        (tmp_path / "r.json").write_text(json.dumps(text))
        with pytest.raises(UserError, match="cannot be read") as caught:
            read_recipe(tmp_path / "r.json").recalled()
        assert "\n" not in str(caught.value)


def test_strokes_of_another_shape_than_they_say_are_refused(tmp_path):
    stack = image()
    _, kept = made(recipe_of("grow"), [Source(stack, strokes=painted(stack))])
    (*_, packed) = json.loads(kept.model_dump_json())["images"][0]["strokes"].values()
    for change in ({"strokes": {"9": packed}}, {"shape": [3, 40, 57]}):
        text = json.loads(kept.model_dump_json())
        text["images"][0] |= change
        (tmp_path / "r.json").write_text(json.dumps(text))
        with pytest.raises(UserError, match=r"r\.json"):
            read_recipe(tmp_path / "r.json")
    text = json.loads(kept.model_dump_json())
    text["images"][0]["strokes"]["0"]["data"] = "eJw="
    (tmp_path / "r.json").write_text(json.dumps(text))
    with pytest.raises(UserError, match="cannot be read"):
        read_recipe(tmp_path / "r.json").strokes_on(stack)
