"""Sections with their neighbours and volumes, views, uncertainty, and memory that runs out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32

from napari_unetseg import UserError, predict
from napari_unetseg.config import ModelInfo, Recipe, UNetConfig
from napari_unetseg.events import Warned
from napari_unetseg.images import Stack
from napari_unetseg.learning import Model, Predictor, codes_from_probabilities
from napari_unetseg.learning.inference import for_inference
from napari_unetseg.learning.tile_size import bytes_per_px, halved, largest_tile
from napari_unetseg.learning.tta import all_views
from napari_unetseg.networks import build_network

CHANNELS_LAST = type(FLOAT32)("cpu", "float32", channels_last=True, reason="as a CPU is used")


def model(n_channels: int = 1, **network: Any) -> Model:
    """Return an untrained network, whose answer depends on everything it sees."""
    config = UNetConfig(**{"depth": 1, "filters": 4, **network})
    made = build_network(config, n_channels, 3)
    generator = torch.Generator().manual_seed(1)
    made.initialise(generator)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    info = ModelInfo(
        name="m",
        recipe=Recipe(network=config),
        classes=(CELL, CELL.replace(name="other")),
        channels=("",) * n_channels,
        pixel_size_um={"Y": 0.1, "X": 0.1},
    )
    return Model(info, made.eval())


def noise(shape: tuple[int, ...], axes: str) -> Stack:
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    n_channels = shape[axes.index("C")] if "C" in axes else 1
    return Stack(pixels, axes, {"Y": 0.1, "X": 0.1}, channels=("",) * n_channels)


class Counting:
    """Pixels that count how often each slice is read."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.times = [0] * len(pixels)

    def __getitem__(self, where: Any) -> np.ndarray:
        if isinstance(where[0], int | np.integer):
            self.times[where[0]] += 1
        return self.pixels[where]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("device", [FLOAT32, CHANNELS_LAST])
@pytest.mark.parametrize("dims", ["2", "3"])
def test_a_network_made_fast_answers_the_same_and_the_model_stays_as_it_is(
    device: Any, dims: str, residual: bool
) -> None:
    network = model(dims=dims, residual=residual).network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = torch.rand(1, 1, *(16,) * int(dims))
    with torch.inference_mode():
        expected = network(image)
        found = for_inference(network, device)(image)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert not any("Batch" in type(m).__name__ for m in for_inference(network, device).modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_neighbours_are_stacked_as_channels_and_mirrored_within_a_time_point() -> None:
    made = model(n_channels=2, dims="2.5", neighbours=1)
    stack = noise((2, 2, 3, 24, 28), "TCZYX")
    predictor = Predictor(made, stack, device=FLOAT32)
    pixels = predictor.normalisation.apply
    for t, z, sections in [(0, 0, [1, 0, 1]), (0, 1, [0, 1, 2]), (1, 2, [1, 2, 1])]:
        channels = np.concatenate([pixels(stack.data[t, :, s]) for s in sections])
        around = np.pad(channels, ((0, 0), (16, 16), (16, 16)), mode="reflect")
        with torch.inference_mode():
            logits = made.network(torch.from_numpy(around)[None])[0, :, 16:-16, 16:-16]
        expected = logits.softmax(dim=0).numpy()
        assert np.abs(predictor.plane(t * 3 + z) - expected).max() < 1e-4


@pytest.mark.parametrize("anisotropy", [1.0, 3.0])
def test_tiles_and_slabs_of_a_volume_are_what_the_whole_volume_gives(anisotropy: float) -> None:
    made = model(dims="3", anisotropy=anisotropy)
    stack = noise((2, 13, 20, 27), "TZYX")
    planes = range(stack.n_planes)
    whole = Predictor(made, stack, device=FLOAT32, tile_px=(13, 64, 64))
    tiled = Predictor(made, stack, device=FLOAT32, tile_px=(4, 12, 20))
    pairs = zip(
        whole.answers(planes, probabilities=True),
        tiled.answers(planes, probabilities=True),
        strict=True,
    )
    for plane, ((index, expected), (same_index, found)) in enumerate(pairs):
        assert index == same_index == plane
        assert found.probabilities.shape == (3, 20, 27)
        assert np.abs(found.probabilities - expected.probabilities).max() < 1e-5
        if plane % 5 == 0:
            assert np.abs(tiled.plane(plane) - expected.probabilities).max() < 1e-5
        assert (found.codes == codes_from_probabilities(found.probabilities)).all()


def test_slices_of_a_volume_come_in_the_order_asked_for() -> None:
    made, stack = model(dims="3"), noise((11, 20, 20), "ZYX")
    predictor = Predictor(made, stack, device=FLOAT32, tile_px=(4, 20, 20))
    in_order = [answer.codes for _, answer in predictor.answers(range(11))]
    order = [5, 6, 4, 7, 3, 8, 0]
    found = dict(predictor.answers(order))
    assert list(found) == order
    assert all((found[plane].codes == in_order[plane]).all() for plane in order)


@pytest.mark.parametrize("dims", ["2", "2.5", "3"])
def test_each_slice_of_a_stack_is_read_once(dims: str) -> None:
    pixels = Counting(np.random.default_rng(0).integers(0, 255, (40, 20, 20)).astype(np.uint8))
    stack = Stack(pixels, "ZYX")
    n_axes = 3 if dims == "3" else 2
    predictor = Predictor(model(dims=dims), stack, device=FLOAT32, tile_px=(4, 12, 12)[-n_axes:])
    pixels.times = [0] * 40
    for _ in predictor.answers(range(40)):
        pass
    assert pixels.times == [1] * 40


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_views_are_eight_and_each_is_undone(spatial_dims: int) -> None:
    image = torch.rand(1, 2, *(3, 4, 5)[-spatial_dims:])
    seen = [view.apply(image) for view in all_views(spatial_dims)]
    assert len({tuple(s.shape) + tuple(s.flatten().tolist()) for s in seen}) == 8
    for view, shown in zip(all_views(spatial_dims), seen, strict=True):
        assert torch.equal(view.undo(shown), image)


@pytest.mark.parametrize("dims", ["2", "3"])
def test_averaging_over_views_is_the_mean_of_their_answers_and_tiles_stay_exact(dims: str) -> None:
    made = model(dims=dims)
    stack = noise((4, 32, 32), "ZYX")
    whole = Predictor(made, stack, device=FLOAT32, tta=True)
    single = []
    flips = [(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)]
    for z, y, x in flips:
        # In 2D the third sign exchanges Y and X instead; with one slice, Z has nothing to flip.
        if dims == "3":
            turned = Stack(stack.data[::z, ::y, ::x].copy(), "ZYX")
            found = Predictor(made, turned, device=FLOAT32).plane(1 if z == 1 else 2)
            single.append(found[:, ::y, ::x])
        else:
            turned = stack.data[:, ::y, ::x]
            turned = turned.swapaxes(1, 2) if z == -1 else turned
            found = Predictor(made, Stack(turned.copy(), "ZYX"), device=FLOAT32).plane(1)
            found = found.swapaxes(1, 2) if z == -1 else found
            single.append(found[:, ::y, ::x])
    averaged = whole.plane(1)
    assert np.abs(averaged - np.mean(single, axis=0)).max() < 1e-5
    tiled = Predictor(made, stack, device=FLOAT32, tta=True, tile_px=(4, 16, 16)[-int(dims) :])
    assert np.abs(tiled.plane(1) - averaged).max() < 1e-5


def test_uncertainty_is_the_entropy_and_with_views_their_disagreement() -> None:
    made, stack = model(), noise((1, 32, 32), "ZYX")
    answer = Predictor(made, stack, device=FLOAT32).answer(0, probabilities=True, uncertainty=True)
    p = answer.probabilities
    assert answer.uncertainty == pytest.approx(
        -(p * np.log(p.clip(1e-12))).sum(axis=0) / math.log(3), abs=1e-5
    )
    averaged = Predictor(made, stack, device=FLOAT32, tta=True).answer(0, uncertainty=True)
    assert averaged.probabilities is None
    assert 0 <= averaged.uncertainty.min() < averaged.uncertainty.max() <= 1
    # The same from every side: the views agree, however uncertain they are.
    flat = Stack(np.full((1, 32, 32), 7, np.uint8), "ZYX")
    for weight in made.network.parameters():
        if weight.ndim == 4:
            weight.data[:] = weight.data.mean(dim=(2, 3), keepdim=True)
    agreed = Predictor(made, flat, device=FLOAT32, tta=True).answer(0, uncertainty=True)
    assert agreed.uncertainty.max() < 1e-4


def test_predict_returns_uncertainty_with_the_axes_of_masks() -> None:
    stack = noise((2, 24, 24), "ZYX")
    found = predict(stack, model(), uncertainty=True, tta=True, device="cpu")
    assert found.shape == (2, 24, 24)
    assert found.dtype == np.float32
    with pytest.raises(UserError, match="one at a time"):
        predict(stack, model(), uncertainty=True, probabilities=True)


def test_tiles_become_smaller_where_memory_runs_out_and_the_answer_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, stack = model(), noise((1, 60, 60), "ZYX")
    expected = Predictor(made, stack, device=FLOAT32).plane(0)
    events: list[Any] = []
    predictor = Predictor(made, stack, device=FLOAT32, on_event=events.append)
    predictor.tiles(0, 1)
    forward, sizes = predictor._network.forward, []

    def scarce(image: torch.Tensor) -> torch.Tensor:
        sizes.append(image.shape[-1] * image.shape[-2])
        if sizes[-1] > 70 * 70:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(image)

    monkeypatch.setattr(predictor._network, "forward", scarce)
    assert np.abs(predictor.plane(0) - expected).max() < 1e-5
    assert [type(event) for event in events] == [Warned]
    assert "30" in events[0].sentence
    monkeypatch.setattr(predictor._network, "forward", lambda _: scarce(torch.empty(1, 1, 99, 99)))
    with pytest.raises(UserError, match="not enough memory"):
        predictor.plane(0)


def test_a_tile_is_the_whole_slice_where_that_fits_and_else_as_large_as_memory_allows() -> None:
    network = for_inference(model().network, FLOAT32)
    per_px = bytes_per_px(network, 1, FLOAT32)
    # At the top: two convolutions down, an up-convolution and two more, 4 channels of 4 bytes
    # each, and three classes; one level below, on a quarter of the pixels, two of 8 channels.
    maps = 4 * (5 * 4 + 3) + 4 * 2 * 8 / 4
    assert maps <= per_px < 1.2 * maps
    assert largest_tile(network, 1, (300, 400), FLOAT32, free=10**12) == (300, 400)
    halo = network.halo_px[0]
    for free in (10**7, 10**6):
        kept = largest_tile(network, 1, (3000, 4000), FLOAT32, free=free)
        used = math.prod(n + 2 * halo for n in kept) * per_px
        assert used <= free
        assert max(kept) < 2 * min(kept) + 4
    smallest = largest_tile(network, 1, (300, 400), FLOAT32, free=0)
    assert halved(smallest, network) is None
