"""The network of the paper: sizes, channels and parameters as its figure 1 has them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from napari_unetseg.config import UNet2015Config
from napari_unetseg.networks.unet2015 import UNet2015


def small(**config: float) -> UNet2015:
    network = UNet2015(UNet2015Config(**{"filters": 4, **config}), n_channels=1, n_classes=2)
    network.initialise(torch.Generator().manual_seed(0))
    return network.eval()


@pytest.mark.parametrize(("given", "answered"), [(572, 388), (188, 4), (204, 20)])
def test_an_input_loses_92_px_on_each_side(given: int, answered: int) -> None:
    with torch.inference_mode():
        logits = small().forward_unpadded(torch.zeros(1, 1, given, 204))
    assert logits.shape == (1, 2, answered, 20)


@pytest.mark.parametrize("side", [571, 580, 172, 16])
def test_an_input_that_cannot_be_pooled_evenly_is_refused(side: int) -> None:
    with pytest.raises(ValueError, match="188 px or a multiple of 16 px more"):
        small().forward_unpadded(torch.zeros(1, 1, 188, side))


def test_the_maps_have_the_sizes_of_the_papers_figure() -> None:
    network = small()
    seen: list[tuple[int, int]] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(
                lambda _module, _given, out: seen.append((out.shape[1] // 4, out.shape[-1]))
            )
    with torch.inference_mode():
        network.forward_unpadded(torch.zeros(1, 1, 572, 572))
    down = [(1, 570), (1, 568), (2, 282), (2, 280), (4, 138), (4, 136), (8, 66), (8, 64)]
    bottom = [(16, 30), (16, 28)]
    up = [(8, 56), (8, 54), (8, 52), (4, 104), (4, 102), (4, 100)]
    up += [(2, 200), (2, 198), (2, 196), (1, 392), (1, 390), (1, 388)]
    assert seen == [*down, *bottom, *up, (0, 388)]
    assert len(seen) == 23


@pytest.mark.parametrize("size", [(384, 384), (388, 388)])
def test_the_papers_tile_is_computed_for_a_patch_of_384_px(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small()
    given: list[torch.Size] = []

    def answer(image: torch.Tensor) -> torch.Tensor:
        given.append(image.shape[-2:])
        return torch.zeros(1, 2, 388, 388)

    monkeypatch.setattr(network, "forward_unpadded", answer)
    assert network(torch.zeros(1, 1, *size)).shape[-2:] == size
    assert given == [(572, 572)]


def test_a_whole_image_is_a_tile_with_mirrored_context() -> None:
    network = small()
    image = torch.randn(1, 1, 100, 120, generator=torch.Generator().manual_seed(1))
    context = F.pad(image, (92, 92, 92, 92), mode="reflect")
    with torch.inference_mode():
        expected = network.forward_unpadded(context[..., : 84 + 184, : 116 + 184])
        assert torch.allclose(network(image)[..., :84, :116], expected, atol=1e-5)


def test_what_lies_around_a_part_is_read_and_not_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tile of 64 px with its halo of 96 px: 256 px are read, and 252 are computed with."""
    network = small()
    given: list[torch.Tensor] = []
    compute = network.forward_unpadded

    def watched(image: torch.Tensor) -> torch.Tensor:
        given.append(image)
        return compute(image)

    monkeypatch.setattr(network, "forward_unpadded", watched)
    image = torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        network.logits_of(image, [slice(96, 160)] * 2)
    assert torch.equal(given[0], image[..., 4:, 4:])


def test_the_parameters_are_those_that_the_papers_figure_adds_up_to() -> None:
    def convolution(side: int, n_in: int, n_out: int) -> int:
        return side * side * n_in * n_out + n_out

    expected = convolution(1, 64, 2)
    n_in = 1
    for n_out in (64, 128, 256, 512, 1024):
        expected += convolution(3, n_in, n_out) + convolution(3, n_out, n_out)
        n_in = n_out
    for n_out in (512, 256, 128, 64):
        expected += convolution(2, 2 * n_out, n_out)
        expected += convolution(3, 2 * n_out, n_out) + convolution(3, n_out, n_out)
    with torch.device("meta"):
        networks = [UNet2015(UNet2015Config(), n_channels=1, n_classes=k) for k in (1, 2)]
    counts = [sum(p.numel() for p in network.parameters()) for network in networks]
    # The first is what is commonly quoted for one output.
    assert counts == [31_030_593, 31_030_658]
    assert counts[1] == expected


def test_weights_are_gaussian_with_variance_two_over_incoming_nodes_and_biases_zero() -> None:
    network = small(filters=16)
    third = network.contracting[1][2].weight  # 3 × 3 on 32 channels
    assert third.std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.03)
    assert third.mean().item() == pytest.approx(0, abs=0.003)
    assert not any(p.any() for n, p in network.named_parameters() if n.endswith("bias"))


def test_half_of_the_deepest_map_is_dropped_while_learning_and_nothing_after() -> None:
    network = small(dropout=0.5)
    deepest: list[torch.Tensor] = []
    network.dropout.register_forward_hook(lambda _module, _given, out: deepest.append(out))
    image = torch.rand(1, 1, 60, 60)
    with torch.no_grad():
        for training in (True, False):
            network.train(training)(image)
    positive = deepest[1] > 0
    assert 0.4 < (deepest[0][positive] == 0).float().mean() < 0.6
    assert torch.equal(network(image), network(image))
