"""The conditional random field, against all pairs of pixels added up one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unetseg.classical import (
    METHODS,
    Chain,
    PreviewComputer,
    PreviewRequest,
    Source,
    StepSettings,
    View,
    run_stack,
    run_view,
)
from napari_unetseg.classical import Told as Probabilities
from napari_unetseg.classical.crf import (
    CRF,
    CRFParams,
    colour_features,
    mean_field,
    node_factors,
    pairwise_factors,
)
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack


def brute_force(probabilities, colours, positions, params, said):
    """Mean field as Krähenbühl and Koltun write it, in float64, over every pair of pixels."""
    near = ((positions[:, None] - positions) ** 2).sum(-1)
    alike = ((colours[:, None] - colours) ** 2).sum(-1)
    kernels = [
        (
            params.appearance,
            np.exp(
                -near / (2 * params.appearance_px**2)
                - alike / (2 * (params.contrast_percent / 100) ** 2)
            ),
        ),
        (params.smoothness, np.exp(-near / (2 * params.smoothness_px**2))),
    ]
    total = 0
    for weight, kernel in kernels:
        heard = kernel[:, said].sum(1)
        normalised = kernel / np.sqrt(heard[:, None] * heard) * said[:, None] * said
        np.fill_diagonal(normalised, 0)
        total = total + weight * normalised
    unary = -np.log(probabilities)
    found = probabilities / probabilities.sum(0)
    for _ in range(params.n_iterations):
        differ = np.stack(
            [sum(found[m] for m in range(len(found)) if m != k) for k in range(len(found))]
        )
        energy = unary + differ @ total
        found = np.exp(-energy)
        found /= found.sum(0)
    return found


def scene(shape, n_channels, n_classes, seed=0):
    random = np.random.default_rng(seed)
    codes = random.integers(1, n_classes + 1, shape).astype(np.uint8)
    codes[..., : shape[-1] // 2] = 1
    means = random.uniform(0, 200, (n_channels, n_classes + 1))
    pixels = means[:, codes] + random.normal(0, 15, (n_channels, *shape))
    told = random.dirichlet(np.full(n_classes, 0.7), shape)
    told = np.moveaxis(told, -1, 0).astype(np.float32)
    return pixels.clip(0, 255).astype(np.uint8), told


def scaled(pixels):
    flat = pixels.reshape(len(pixels), -1).astype(float)
    low, high = np.percentile(flat, (1, 99), axis=1, keepdims=True)
    return np.clip((flat - low) / (high - low), 0, 1).T


@pytest.mark.parametrize(
    ("shape", "n_channels", "n_classes", "z_px"),
    [((19, 23), 1, 2, 1.0), ((16, 21), 3, 4, 1.0), ((17, 12), 2, 3, 1.0), ((5, 9, 11), 1, 3, 2.5)],
)
def test_messages_are_those_of_all_pairs_of_pixels(shape, n_channels, n_classes, z_px):
    pixels, told = scene(shape, n_channels, n_classes)
    params = CRFParams(appearance_px=6, contrast_percent=20, smoothness_px=1.5, smoothness=2)
    codes = (told.argmax(0) + 1).astype(np.uint8)
    codes.flat[::7] = 0
    view = View(pixels, z_px, probabilities=told)
    said = codes != 0
    nodes = node_factors(codes, view, 0.8)
    found = mean_field(nodes, pairwise_factors(view, said, params), params.n_iterations)
    steps = [z_px, 1, 1][-len(shape) :]
    positions = np.stack([i.ravel() for i in np.indices(shape)], 1) * steps
    expected = brute_force(
        nodes.reshape(n_classes, -1).astype(float),
        scaled(pixels),
        positions,
        params,
        said.ravel(),
    ).reshape(nodes.shape)
    np.testing.assert_allclose(found[:, said], expected[:, said], atol=0.005)
    assert np.abs(found - expected)[:, said].mean() < 0.0005


def apply(labels, view, **params):
    before = labels.copy()
    found = CRF.apply(labels, view, CRFParams(**params))
    np.testing.assert_array_equal(labels, before)
    assert found.dtype == np.uint8
    assert found.shape == labels.shape
    return found


def test_what_is_drawn_beside_an_edge_moves_to_the_edge():
    truth = np.ones((60, 60), np.uint8)
    truth[:, 30:] = 2
    grey = np.where(truth == 2, 150, 100) + np.random.default_rng(0).normal(0, 8, truth.shape)
    drawn = np.roll(truth, 3, axis=1)
    drawn[:, :6] = 1
    view = View(grey[np.newaxis].clip(0, 255).astype(np.uint8))
    found = apply(drawn, view, appearance=4, appearance_px=8, confidence_percent=60)
    assert (found == truth)[:, 5:-5].mean() > 0.99 > (drawn == truth)[:, 5:-5].mean()
    assert (apply(drawn, view, appearance=0, smoothness=0) == drawn).all()


def test_colours_that_are_as_bright_are_told_apart():
    truth = np.ones((50, 50), np.uint8)
    truth[10:40, 10:40] = 2
    pixels = np.zeros((3, 50, 50), np.uint8)
    pixels[0][truth == 1] = pixels[1][truth == 2] = 180
    random = np.random.default_rng(0)
    noisy = np.where(random.random(truth.shape) < 0.3, 3 - truth, truth).astype(np.uint8)
    settings = {"smoothness": 0, "appearance": 5, "confidence_percent": 60}
    assert (apply(noisy, View(pixels), **settings) == truth).mean() > 0.99
    grey = pixels.mean(axis=0, keepdims=True).astype(np.uint8)
    assert (apply(noisy, View(grey), **settings) == truth).mean() < 0.97


def test_a_step_in_between_and_a_person_count_more_than_what_was_told():
    told = np.zeros((2, 20, 20), np.float32)
    told[0], told[1] = 0.99, 0.01
    labels = np.ones((20, 20), np.uint8)
    labels[5:15, 5:15] = 2
    nodes = node_factors(labels, View(np.zeros((1, 20, 20)), probabilities=told), 0.8)
    assert nodes[:, 10, 10] == pytest.approx([0.2, 0.8])
    assert nodes[:, 0, 0] == pytest.approx([0.99, 0.01])
    three = np.where(labels == 2, 3, 1).astype(np.uint8)
    nodes = node_factors(three, View(np.zeros((1, 20, 20)), probabilities=told), 0.8)
    assert nodes[:, 10, 10] == pytest.approx([0.1, 0.1, 0.8])
    assert nodes[:, 0, 0] == pytest.approx([0.99, 0.01, 1e-4])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 5), (2, 20, 31), (6, 12, 9), (1, 4, 10, 11)])
def test_any_image_is_answered_and_where_nothing_is_said_nothing_is(dtype, shape):
    random = np.random.default_rng(0)
    pixels = (random.normal(0, 40, shape) + 100).astype(dtype)
    labels = random.integers(0, 4, shape[1:]).astype(np.uint8)
    found = apply(labels, View(pixels, 2.0))
    np.testing.assert_array_equal(found == 0, labels == 0)
    assert found.max() <= 3
    constant = np.full(shape, 7, dtype)
    np.testing.assert_array_equal(apply(np.ones(shape[1:], np.uint8), View(constant)), 1)
    np.testing.assert_array_equal(apply(np.zeros(shape[1:], np.uint8), View(constant)), 0)


def test_images_of_very_many_colours_stay_quick_to_weigh():
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    index, features = colour_features(pixels, 0.05)
    assert features.shape[0] <= 64
    assert index.max() < features.shape[1] <= 512


def test_objects_are_refused_in_a_sentence():
    ids = np.ones((4, 4), np.uint32)
    with pytest.raises(UserError, match="before the step that makes objects"):
        CRF.apply(ids, View(np.zeros((1, 4, 4))), CRFParams())
    chain = Chain(steps=tuple(StepSettings(step=name) for name in ("split", "crf")))
    with pytest.raises(UserError, match="before the step that makes objects"):
        run_view(chain, View(np.zeros((1, 4, 4))), labels=np.full((4, 4), 2, np.uint8))


def test_in_a_chain_it_hears_what_the_method_finds_probable(monkeypatch):
    pixels, told = scene((30, 30), 1, 2)
    otsu = METHODS["otsu"]
    monkeypatch.setattr(type(otsu), "probabilities", lambda *_: told)
    chain = Chain(steps=(StepSettings(step="otsu"), StepSettings(step="crf")))
    codes = otsu.segment(View(pixels), otsu.params())
    found = run_view(chain, View(pixels))
    np.testing.assert_array_equal(found, apply(codes, View(pixels, probabilities=told)))
    assert (found != apply(codes, View(pixels))).any()


def test_a_network_of_other_classes_is_heard_in_the_codes_of_the_annotations():
    values = np.random.default_rng(0).integers(0, 128, (2, 4, 5, 6)).astype(np.uint8)
    told = Probabilities(values, [4, 2])
    one, some = told[1], told[1:3]
    assert one.shape == (4, 5, 6)
    assert some.shape == (2, 4, 5, 6)
    np.testing.assert_array_equal(some[0], one)
    np.testing.assert_allclose(one[[3, 1]] * 255, values[:, 1], rtol=1e-5)
    assert (one[2] == 0).all()
    np.testing.assert_allclose(one.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("in_3d", [False, True])
def test_the_preview_of_a_network_refined_is_what_the_stack_becomes(in_3d):
    pixels, told = scene((5, 30, 32), 1, 3)
    values = np.rint(255 * told[1:]).astype(np.uint8)
    codes = (told.argmax(0) + 1).astype(np.uint8)
    size = {"Z": 2.0, "Y": 1.0, "X": 1.0}
    source = Source(
        Stack(pixels[0], "ZYX", size), labels=codes, probabilities=Probabilities(values, [2, 3])
    )
    chain = Chain(steps=(StepSettings(step="crf", params={"in_3d": in_3d}),))
    whole = np.zeros_like(codes)
    for _ in run_stack(chain, source, out=whole):
        pass
    computer = PreviewComputer()
    seen = computer.compute(PreviewRequest("a", source, 2, chain))
    np.testing.assert_array_equal(seen.labels, whole[2])
    unsure = replace(source, probabilities=None)
    other = computer.compute(PreviewRequest("a", unsure, 2, chain))
    assert (other.labels != seen.labels).any()
