import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from sklearn.ensemble import ExtraTreesClassifier

from napari_unetseg.classical import (
    Chain,
    PreviewComputer,
    PreviewRequest,
    Source,
    View,
    parse_params,
    prepare,
    run_stack,
    segment,
)
from napari_unetseg.classical import forest as forest_module
from napari_unetseg.classical.filter_bank import filter_bank
from napari_unetseg.classical.forest import FOREST, ForestParams, fair_shares
from napari_unetseg.classical.run import run_view
from napari_unetseg.classical.trees import forest_from_arrays, grown
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

SMALL = ForestParams(n_trees=10, sigma_max_px=4)


def texture(shape=(80, 96), seed=0, n_classes=2):
    """Ground, and beside it the same grey values made coarser, and coarser again; what is which."""
    random = np.random.default_rng(seed)
    grounds = [random.normal(0, 1, shape)]
    grounds += [ndimage.gaussian_filter(random.normal(0, 1, shape), s) for s in (1.5, 4)]
    grounds = [128 + 30 * ground / ground.std() for ground in grounds[:n_classes]]
    codes = np.broadcast_to(np.arange(shape[-1]) * n_classes // shape[-1] + 1, shape)
    image = np.choose(codes - 1, grounds)
    return image.clip(0, 255).astype(np.uint8)[np.newaxis], codes.astype(np.uint8)


def stroked(codes, n=3, seed=0):
    """Short strokes in each class."""
    random = np.random.default_rng(seed)
    strokes = np.zeros_like(codes)
    for code, _ in itertools.product(np.unique(codes), range(n)):
        where = np.argwhere(codes == code)
        at = where[random.integers(len(where))]
        box = tuple(slice(max(0, i - r), i + r) for i, r in zip(at[::-1], (8, 3, 1), strict=False))
        strokes[box[::-1]] = code
    return np.where(strokes > 0, codes, 0).astype(np.uint8)


def agreement(found, codes):
    return (found == codes).mean()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_textures_of_equal_brightness_are_told_apart_on_slices_never_seen(n_classes):
    image, codes = texture(n_classes=n_classes)
    forest = FOREST.prepare([View(image, strokes=stroked(codes, n=10))], ForestParams())
    unseen, truth = texture(seed=7, n_classes=n_classes)
    found = FOREST.segment(View(unseen), ForestParams(), forest)
    assert found.dtype == np.uint8
    assert agreement(found, truth) > 0.85
    by_brightness = segment("otsu", unseen)
    assert agreement(by_brightness, truth) < 0.7


def test_votes_are_those_of_scikit_learn_on_the_same_pixels():
    image, codes = texture(n_classes=3)
    view = View(image, strokes=stroked(codes))
    trained = FOREST.prepare([view], SMALL)
    features, drawn, weights = forest_module.learned_from([view], SMALL)
    reference = ExtraTreesClassifier(
        10, max_leaf_nodes=256, min_samples_leaf=2, max_features=0.4, random_state=0
    ).fit(features, drawn, weights)
    pixels = filter_bank(view, SMALL.bank())
    expected = reference.predict_proba(pixels.reshape(len(pixels), -1).T)
    found = FOREST.probabilities(view, SMALL, trained)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.reshape(3, -1).T, expected, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_trees", [1, 2, 9, 30])
def test_trees_that_need_not_be_asked_would_not_have_changed_the_answer(n_classes, n_trees):
    random = np.random.default_rng(0)
    codes = random.integers(1, n_classes + 1, 600).astype(np.uint8)
    features = random.normal(0, 1, (600, 5)).astype(np.float32) + codes[:, np.newaxis] * 0.7
    weights = np.ones(600, np.float32)
    forest = grown(features, codes, weights, n_trees=n_trees, seed=0)
    pixels = random.normal(1, 1.5, (20_000, 5)).astype(np.float32)
    shares = forest.shares(pixels)
    lead = np.diff(np.sort(shares, axis=1)[:, -2:], axis=1)[:, 0]
    clear = lead > 1e-5
    assert clear.mean() > 0.6
    best = forest.codes[shares.argmax(axis=1)]
    np.testing.assert_array_equal(forest.decide(pixels)[clear], best[clear])


def test_a_forest_kept_as_plain_arrays_answers_the_same():
    image, codes = texture()
    view = View(image, strokes=stroked(codes))
    forest = FOREST.prepare([view], SMALL)
    file = io.BytesIO()
    np.savez(file, **forest.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as kept:
        again = forest_from_arrays(dict(kept))
    for answer in (FOREST.segment, FOREST.probabilities):
        np.testing.assert_array_equal(answer(view, SMALL, forest), answer(view, SMALL, again))
    for name, array in forest.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], array)


@pytest.mark.parametrize(
    ("name", "value"),
    [("left", -3), ("left", 10**6), ("right", 0), ("feature", 9999), ("codes", 0), ("n_nodes", 7)],
)
def test_what_is_no_forest_is_refused_before_a_tree_is_asked(name, value):
    image, codes = texture()
    arrays = FOREST.prepare([View(image, strokes=stroked(codes))], SMALL).to_arrays()
    arrays[name] = arrays[name].copy()
    arrays[name][0] = value
    with pytest.raises(ValueError, match="its "):
        forest_from_arrays(arrays)
    with pytest.raises(ValueError, match="its "):
        forest_from_arrays(arrays | {name: arrays[name][:-1]})


def test_the_same_strokes_give_the_same_forest_and_another_seed_another():
    image, codes = texture()
    view = View(image, strokes=stroked(codes))
    answers = []
    for seed in (0, 0, 1):
        params = SMALL.replace(seed=seed)
        answers.append(FOREST.probabilities(view, params, FOREST.prepare([view], params)))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert (answers[0] != answers[2]).any()


def test_pixels_are_drawn_evenly_from_classes_and_slices():
    params = ForestParams(n_px=600, sigma_max_px=1)
    views = []
    for seed, n_background in ((0, 5000), (1, 300), (2, 40)):
        image, codes = texture(seed=seed)
        strokes = np.zeros(codes.size, np.uint8)
        strokes[:n_background] = 1
        strokes[-200:] = 3
        views.append(View(image, strokes=strokes.reshape(codes.shape)))
    features, drawn, _ = forest_module.learned_from(views, params)
    assert np.bincount(drawn).tolist() == [0, 300, 0, 300]
    pixels = [set(map(bytes, filter_bank(v, params.bank()).reshape(8, -1).T.copy())) for v in views]
    for code, expected in ((1, [130, 130, 40]), (3, [100, 100, 100])):
        rows = features[drawn == code]
        assert [sum(bytes(row) in known for row in rows) for known in pixels] == expected


def test_shares_are_fair():
    assert fair_shares(np.array([5, 5, 5]), 9) == [3, 3, 3]
    assert fair_shares(np.array([1, 100, 100]), 21) == [1, 10, 10]
    assert fair_shares(np.array([0, 2]), 10) == [0, 2]


def test_classes_count_alike_or_as_much_as_is_painted():
    image, _ = texture()
    strokes = np.where(np.arange(96) < 2, 2, 1) * np.ones((80, 1), np.uint8)
    view = View(image, strokes=strokes.astype(np.uint8))
    for balance, ratio in ((1, 1), (0.5, 47**0.5), (0, 47)):
        params = SMALL.replace(balance=balance, n_px=200)
        _, drawn, weights = forest_module.learned_from([view], params)
        of_code = [weights[drawn == code].sum() for code in (1, 2)]
        assert of_code[0] / of_code[1] == pytest.approx(ratio, rel=1e-4)


def test_strokes_on_any_slice_teach_all_of_them():
    parts = [texture(seed=seed) for seed in range(3)]
    stack = Stack(np.concatenate([image for image, _ in parts]), "ZYX")
    strokes = np.zeros(stack.labels_shape, np.uint8)
    one, other = (stroked(codes, seed=seed) for seed, (_, codes) in enumerate(parts[:2]))
    strokes[0], strokes[1] = np.where(one == 1, 1, 0), np.where(other == 2, 2, 0)
    out = np.zeros_like(strokes)
    chain = Chain.of("forest")
    list(run_stack(chain, Source(stack, strokes=strokes), out=out))
    for found, (_, codes) in zip(out, parts, strict=True):
        assert agreement(found, codes) > 0.85


def test_volumes_are_learned_as_volumes():
    """Lines along Z differ from lines along X in a volume, and not in its slices."""
    random = np.random.default_rng(0)
    shape = (20, 30, 60)
    along_z = ndimage.gaussian_filter(random.normal(0, 1, shape), (6, 0.7, 0.7), mode="wrap")
    blobs = ndimage.gaussian_filter(random.normal(0, 1, shape), (0.7, 0.7, 0.7), mode="wrap")
    codes = np.broadcast_to(np.where(np.arange(60) < 30, 1, 2), shape).astype(np.uint8)
    image = np.where(codes == 1, along_z / along_z.std(), blobs / blobs.std()).astype(np.float32)
    strokes = np.zeros_like(codes)
    strokes[10, 5:25] = codes[10, 5:25]
    stack = Stack(image, "ZYX")
    right = {}
    for in_3d in (False, True):
        params = parse_params("forest", [f"in_3d={in_3d}", "sigma_max_px=4"])
        out = np.zeros_like(codes)
        source = Source(stack, strokes=strokes)
        list(run_stack(Chain.of("forest", params), source, out=out))
        right[in_3d] = agreement(out, codes)
    assert right[True] > 0.95
    assert right[True] > right[False] + 0.05


def test_large_views_are_answered_in_parts_as_in_one(monkeypatch):
    image, codes = texture(shape=(300, 40))
    view = View(image, strokes=stroked(codes))
    forest = FOREST.prepare([view], SMALL)
    whole = FOREST.probabilities(view, SMALL, forest)
    monkeypatch.setattr(forest_module, "_KEPT_BYTES", 0)
    monkeypatch.setattr(forest_module, "_samples", forest_module.Kept(0, lambda sample: 1))
    parts = [forest_module.filter_bank]
    seen = []
    monkeypatch.setattr(
        forest_module, "filter_bank", lambda *args: seen.append(1) or parts[0](*args)
    )
    monkeypatch.setattr(forest_module, "in_blocks", lambda *args: parts_of(*args, n_px=40 * 60))
    again = FOREST.prepare([view], SMALL).to_arrays()
    for name, kept in forest.to_arrays().items():
        np.testing.assert_array_equal(again[name], kept)
    np.testing.assert_array_equal(FOREST.probabilities(view, SMALL, forest), whole)
    assert len(seen) > 5


def parts_of(view, bank, *, n_px):
    from napari_unetseg.classical.filter_bank import in_blocks

    return in_blocks(view, bank, n_px)


def test_a_slice_is_described_once_however_often_its_strokes_change(monkeypatch):
    image, codes = texture(seed=3)
    strokes = stroked(codes)
    FOREST.segment(View(image), SMALL, FOREST.prepare([View(image, strokes=strokes)], SMALL))
    described = []
    real = forest_module.filter_bank
    monkeypatch.setattr(
        forest_module, "filter_bank", lambda *args: described.append(1) or real(*args)
    )
    for row in range(3):
        strokes = strokes.copy()
        strokes[row] = codes[row]
        view = View(image, strokes=strokes)
        FOREST.segment(view, SMALL, FOREST.prepare([view], SMALL))
    assert not described
    FOREST.segment(View(image + np.uint8(1)), SMALL, FOREST.prepare([view], SMALL))
    assert len(described) == 1


def test_a_large_slice_is_previewed_where_it_is_in_sight_having_learned_from_all_strokes():
    image, codes = texture(shape=(40, 500), seed=5)
    strokes = np.zeros_like(codes)
    strokes[:, [230, 231, 460, 461]] = codes[:, [230, 231, 460, 461]]
    source = Source(Stack(image[0][np.newaxis], "ZYX", {}), strokes=strokes[np.newaxis])
    request = PreviewRequest("a", source, 0, Chain.of("forest", SMALL))
    whole = FOREST.segment(
        View(image), SMALL, FOREST.prepare([View(image, strokes=strokes)], SMALL)
    )
    preview = PreviewComputer().compute(replace(request, visible=(slice(0, 40), slice(0, 400))))
    assert preview.box == (slice(0, 40), slice(8, 392))
    inner = slice(8 + 30, 392 - 30)  # what features see there is in sight, too
    np.testing.assert_array_equal(preview.labels[:, inner], whole[:, inner])
    assert not preview.labels[:, 400:].any()


def test_a_slice_is_described_around_its_strokes_alone_where_these_are_few(monkeypatch):
    image, codes = texture(shape=(300, 280), seed=4)
    strokes = np.zeros_like(codes)
    strokes[:6, :9], strokes[150:153, 100:120] = codes[:6, :9], codes[150:153, 100:120]
    strokes[299, 279] = codes[299, 279]
    view, described, real = View(image, strokes=strokes), [], forest_module.filter_bank
    monkeypatch.setattr(
        forest_module, "filter_bank", lambda *args: described.append(1) or real(*args)
    )
    learned, _, _ = forest_module.learned_from([view], SMALL)
    assert not described
    of_all = real(View(image), SMALL.bank()).reshape(learned.shape[1], -1)
    expected = of_all[:, np.flatnonzero(strokes)].T
    by_rows = [np.unique(features, axis=0) for features in (learned, expected)]
    np.testing.assert_array_equal(*by_rows)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_every_type_and_number_of_channels_is_taken_and_left_as_it_was(dtype, n_channels):
    image, codes = texture()
    image = np.concatenate([image] * n_channels).astype(dtype)
    if np.dtype(dtype).kind != "u":
        image -= np.asarray(100, dtype)
    strokes = stroked(codes)
    before = image.copy(), strokes.copy()
    found = FOREST.segment(View(image, strokes=strokes), SMALL)
    assert agreement(found, codes) > 0.85
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(strokes, before[1])


@pytest.mark.parametrize("shape", [(1, 2), (3, 5), (1, 2, 3)])
def test_tiny_and_even_images_have_an_answer(shape):
    strokes = np.zeros(shape, np.uint8)
    strokes.flat[:2] = 1, 2
    view = View(np.full((1, *shape), 9, np.uint16), strokes=strokes)
    found = FOREST.segment(view, ForestParams(in_3d=len(shape) == 3))
    assert found.shape == shape
    assert set(np.unique(found)) <= {1, 2}


def test_without_strokes_of_two_classes_it_is_said_what_to_paint():
    image, codes = texture()
    stack = Stack(image, "ZYX")
    with pytest.raises(UserError, match="paint some of each class"):
        prepare(Chain.of("forest"), [Source(stack)])
    with pytest.raises(UserError, match="two classes"):
        prepare(Chain.of("forest"), [Source(stack, strokes=(codes == 1).astype(np.uint8)[None])])
    with pytest.raises(UserError, match="two classes"):
        run_view(Chain.of("forest"), View(image))


def test_images_with_other_channels_are_refused_in_a_sentence():
    image, codes = texture()
    view = View(image, strokes=stroked(codes))
    colour = View(np.concatenate([image] * 3), strokes=stroked(codes))
    with pytest.raises(UserError, match=r"with 1 .* with 3"):
        FOREST.prepare([view, colour], SMALL)
    with pytest.raises(UserError, match="channels"):
        FOREST.segment(colour, SMALL, FOREST.prepare([view], SMALL))


def test_scales_double_and_the_coarsest_is_at_least_the_finest():
    assert ForestParams().bank().sigmas_px == (1, 2, 4, 8)
    assert ForestParams(sigma_min_px=0.7, sigma_max_px=3).bank().sigmas_px == (0.7, 1.4, 2.8)
    with pytest.raises(UserError, match="sigma_max_px"):
        parse_params("forest", ["sigma_max_px=0.5"])
