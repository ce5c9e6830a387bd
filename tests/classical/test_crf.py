"""The conditional random field, against all pairs of pixels added up one by one."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.classical import View
from napari_unetseg.classical.crf import CRFParams, mean_field, node_factors, pairwise_factors


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
