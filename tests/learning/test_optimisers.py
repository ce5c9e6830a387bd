from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from napari_unetseg.config import TrainingConfig, UNetConfig
from napari_unetseg.learning.muon import Muon
from napari_unetseg.learning.optimisers import build_optimisers
from napari_unetseg.learning.placement import AT_REST
from napari_unetseg.learning.stepper import Stepper
from napari_unetseg.networks import build_network

KINDS = ["muon", "adamw", "sgd"]


def small_network():
    network = build_network(UNetConfig(depth=2, filters=4), 1, 3)
    network.initialise(torch.Generator().manual_seed(0))
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_of_a_network_belongs_to_one_optimiser(kind):
    network = small_network()
    optimisers = build_optimisers(network, TrainingConfig(optimiser=kind))
    groups = [g for optimiser in optimisers for g in optimiser.param_groups]
    owned = [id(p) for group in groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_biases_and_normalisations_do_not_decay(kind):
    config = TrainingConfig(optimiser=kind, weight_decay=0.3)
    for optimiser in build_optimisers(small_network(), config):
        for group in optimiser.param_groups:
            for weight in group["params"]:
                assert group["weight_decay"] == (0.3 if weight.ndim > 1 else 0)


def test_muon_moves_the_convolutions_between_the_first_and_the_head():
    network = small_network()
    _, muon = build_optimisers(network, TrainingConfig())
    assert isinstance(muon, Muon)
    moved = muon.param_groups[0]["params"]
    assert len(moved) == 4 * 2 + 1
    assert network.head.weight.shape not in {w.shape for w in moved}


def test_sgd_has_the_momentum_that_was_asked_for():
    (sgd,) = build_optimisers(
        small_network(), TrainingConfig(optimiser="sgd", momentum=0.5, weight_decay=0)
    )
    weight = sgd.param_groups[0]["params"][0]
    start = weight.detach().clone()
    for _ in range(2):
        weight.grad = torch.ones_like(weight)
        for group in sgd.param_groups:
            group["lr"] = 0.1
        sgd.step()
    # First 1, then 0.5 + 1.
    assert torch.allclose(start - weight.detach(), torch.full_like(start, 0.25), atol=1e-6)


@pytest.mark.parametrize(("kind", "rate"), [("muon", 1e-2), ("adamw", 3e-2), ("sgd", 1e-1)])
def test_every_optimiser_learns_to_tell_bright_from_dark(kind, rate):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 1, 4, 4, generator=generator)
    pixels = torch.nn.functional.interpolate(coarse, scale_factor=8)
    codes = (pixels[:, 0] > 0.5).byte() + 1
    config = TrainingConfig(optimiser=kind, momentum=0.9, learning_rate=rate)
    stepper = Stepper(small_network().train(), config, AT_REST)
    losses = [stepper.step(pixels, codes, rate) for _ in range(25)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_learning_does_not_wait_for_the_compiler_of_torch(kind):
    code = f"""
import sys, torch
from napari_unetseg.config import TrainingConfig, UNetConfig
from napari_unetseg.learning.placement import AT_REST
from napari_unetseg.learning.stepper import Stepper
from napari_unetseg.networks import build_network
network = build_network(UNetConfig(depth=1, filters=4), 1, 2).train()
stepper = Stepper(network, TrainingConfig(optimiser={kind!r}), AT_REST)
pixels, codes = torch.rand(1, 1, 32, 32), torch.ones(1, 32, 32, dtype=torch.uint8)
stepper.step(pixels, codes, 1e-3)
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr
