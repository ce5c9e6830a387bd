"""What every registered architecture promises; a new one is tested by being registered."""

from __future__ import annotations

import math

import pytest
import torch

from napari_unetseg.config import UNet2015Config, UNetConfig
from napari_unetseg.networks import NETWORKS, Network, build_network
from napari_unetseg.networks.padding import mirrored
from napari_unetseg.networks.unet import UNet

CONFIGS = {
    "unet": UNetConfig(depth=3, filters=4),
    "unet2015": UNet2015Config(filters=4, dropout=0),
}


@pytest.fixture(params=sorted(NETWORKS))
def network(request: pytest.FixtureRequest) -> Network:
    built = build_network(CONFIGS[request.param], n_channels=2, n_classes=3)
    built.initialise(torch.Generator().manual_seed(0))
    return built


@pytest.mark.parametrize("size", [(17, 23), (1, 1), (5, 64), (64, 64)])
def test_any_input_size_gives_one_logit_per_class_and_pixel(
    network: Network, size: tuple[int, int]
) -> None:
    assert network.eval()(torch.zeros(2, 2, *size)).shape == (2, 3, *size)


def test_gradients_reach_every_parameter(network: Network) -> None:
    network(torch.randn(2, 2, 32, 32)).square().mean().backward()
    dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_no_pixel_beyond_the_halo_changes_a_tile(network: Network) -> None:
    network.eval()
    halo, tile = network.halo_px, 2 * network.multiple_px
    side = tile + 2 * halo + 2 * network.multiple_px
    start = halo + network.multiple_px
    image = torch.randn(1, 2, side, side)
    changed = torch.randn_like(image)
    reach = slice(start - halo, start + tile + halo)
    changed[..., reach, reach] = image[..., reach, reach]
    kept = (..., slice(start, start + tile), slice(start, start + tile))
    assert torch.equal(network(image)[kept], network(changed)[kept])


def test_the_halo_is_no_wider_than_rounding_makes_it(network: Network) -> None:
    """Some pixel within one multiple of the halo's edge does matter."""
    network.eval()
    halo, multiple = network.halo_px, network.multiple_px
    side = 2 * halo + 2 * multiple
    image = torch.randn(1, 2, side, side, requires_grad=True)
    network(image)[0, 0, halo, halo].backward()
    seen = image.grad[0].abs().sum(dim=(0, 1)).nonzero().flatten()
    assert 0 < int(seen.min()) < multiple


def test_weights_are_gaussian_with_variance_two_over_incoming_nodes() -> None:
    network = UNet(UNetConfig(depth=2, filters=32), n_channels=1, n_classes=2)
    network.initialise(torch.Generator().manual_seed(0))
    second = network.contracting[0][3].weight  # 3 × 3 on 32 channels
    assert second.std().item() == pytest.approx(math.sqrt(2 / (9 * 32)), rel=0.03)
    again = UNet(UNetConfig(depth=2, filters=32), n_channels=1, n_classes=2)
    again.initialise(torch.Generator().manual_seed(0))
    assert torch.equal(second, again.contracting[0][3].weight)


def test_the_papers_size_has_the_papers_23_convolutions() -> None:
    network = UNet(UNetConfig(depth=4, filters=64), n_channels=1, n_classes=2)
    layers = [
        m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    ]
    assert len(layers) == 23
    assert network.contracting[-1][3].out_channels == 1024


@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
def test_every_normalisation_takes_every_width(norm: str) -> None:
    network = UNet(UNetConfig(depth=1, filters=5, norm=norm), n_channels=1, n_classes=2)
    assert network(torch.randn(2, 1, 8, 8)).isfinite().all()


def test_mirrored_borders_agree_with_numpy() -> None:
    import numpy as np

    image = torch.arange(12.0).reshape(3, 4)
    expected = np.pad(image.numpy(), ((5, 2), (3, 9)), mode="reflect")
    assert mirrored(image, -5, 5, -3, 13).tolist() == expected.tolist()
