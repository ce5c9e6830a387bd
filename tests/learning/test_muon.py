from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_unetseg.learning.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(16, 144), (64, 64), (300, 40)])
def test_the_singular_vectors_stay_and_their_values_come_near_one(shape):
    generator = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(shape[0], min(shape), generator=generator))
    right, _ = torch.linalg.qr(torch.randn(shape[1], min(shape), generator=generator))
    values = torch.logspace(1, -1, min(shape))
    others = [torch.randn(shape, generator=generator), torch.randn(5, 7, generator=generator)]
    _, result, _ = orthogonalised([others[0], left * values @ right.mT, others[1]])
    inside = left.mT @ result @ right
    assert (inside - torch.diag(inside.diagonal())).abs().max() < 1e-3
    assert float(inside.diagonal().min()) > 0.65
    assert float(inside.diagonal().max()) < 1.25


def test_a_gradient_of_nothing_changes_nothing_but_by_decay():
    weight = nn.Parameter(torch.ones(4, 3, 3, 3))
    weight.grad = torch.zeros_like(weight)
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(weight.detach(), torch.full_like(weight, 0.95))


def test_it_goes_down_the_gradient_in_any_memory_layout():
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        start = torch.randn(8, 4, 3, 3)
        weight = nn.Parameter(start.clone().contiguous(memory_format=layout))
        target = torch.zeros_like(weight)
        optimiser = Muon([weight], lr=0.2)
        losses = []
        for _ in range(30):
            loss = ((weight - target) ** 2).mean()
            weight.grad = None
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.2 * losses[0]
        results.append(weight.detach().contiguous())
    assert torch.allclose(*results, atol=1e-4)
