"""What every registered architecture promises, in every shape that its config can give it.

A new architecture adds a line of configs to `CONFIGS`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from napari_unetseg.config import UNet2015Config, UNetConfig
from napari_unetseg.networks import NETWORKS, Network, build_network

#: Small ones: the contract does not depend on the width.
CONFIGS: dict[str, list[Any]] = {
    "unet": [
        UNetConfig(depth=3, filters=4),
        UNetConfig(depth=2, filters=5, norm="instance", dropout=0.3),
        UNetConfig(depth=1, filters=12, norm="group", residual=True),
        UNetConfig(depth=2, filters=4, residual=True, upsampling="nearest"),
        UNetConfig(depth=2, filters=4, reduction=2),
        UNetConfig(depth=1, filters=4, reduction=3, dims="2.5"),
        UNetConfig(depth=1, filters=4, reduction=2, dims="3"),
        UNetConfig(depth=2, filters=4, reduction=2, dims="3", anisotropy=5.0),
        UNetConfig(depth=2, filters=4, dims="2.5"),
        UNetConfig(depth=1, filters=4, dims="2.5", neighbours=2, upsampling="nearest"),
        UNetConfig(depth=1, filters=4, dims="3"),
        UNetConfig(depth=2, filters=4, dims="3", anisotropy=3.0, residual=True),
        UNetConfig(depth=1, filters=5, dims="3", anisotropy=8.0, norm="instance", dropout=0.3),
        UNetConfig(depth=1, filters=4, dims="3", norm="group", upsampling="nearest"),
    ],
    "unet2015": [UNet2015Config(filters=4), UNet2015Config(filters=5, dropout=0)],
}

CASES = [config for kind in sorted(NETWORKS) for config in CONFIGS[kind]]

N_CHANNELS, N_CLASSES = 2, 3


def _name(config: Any) -> str:
    chosen = config.model_dump(exclude_defaults=True)
    return "-".join([config.kind, *(f"{key}={value}" for key, value in chosen.items())])


@pytest.fixture(params=CASES, ids=_name)
def config(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def network(config: Any) -> Network:
    """With weights, and with statistics as after some training."""
    built = build_network(config, N_CHANNELS, N_CLASSES)
    generator = torch.Generator().manual_seed(0)
    built.initialise(generator)
    for name, buffer in built.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.2, generator=generator)
    return built.eval()


def image_for(network: Network, *yx: int, n_sections: int = 5, batch: int = 1) -> torch.Tensor:
    """Return noise of the shape that the network takes."""
    channels = N_CHANNELS * (2 * network.neighbours + 1)
    sizes = (n_sections, *yx) if network.spatial_dims == 3 else yx
    return torch.randn(batch, channels, *sizes, generator=torch.Generator().manual_seed(1))


def measures_each_tile(network: Network) -> bool:
    """Return whether a normalisation of the network looks at all of its input."""
    return any(isinstance(module, torch.nn.GroupNorm) for module in network.modules())


def test_it_says_what_it_takes(network: Network, config: Any) -> None:
    assert network.spatial_dims == len(network.multiple_px) == len(network.halo_px)
    first = next(p for p in network.parameters() if p.ndim > 2)
    assert first.shape[1] == N_CHANNELS * (2 * network.neighbours + 1)
    assert network.head.out_channels == N_CLASSES


@pytest.mark.parametrize("size", [(17, 23), (1, 1), (5, 64), (64, 64)])
@pytest.mark.parametrize("n_sections", [1, 6])
@pytest.mark.parametrize("batch", [1, 2])
def test_any_input_size_gives_one_logit_per_class_and_pixel(
    network: Network, size: tuple[int, int], n_sections: int, batch: int
) -> None:
    image = image_for(network, *size, n_sections=n_sections, batch=batch)
    logits = network(image)
    assert logits.shape == (batch, N_CLASSES, *image.shape[2:])
    assert logits.isfinite().all()


def test_a_part_of_an_image_is_answered_for_as_in_the_whole(network: Network) -> None:
    multiple = network.multiple_px
    image = image_for(network, 5 * multiple[-2], 4 * multiple[-1] + 3, n_sections=4 * multiple[0])
    box = [slice(n, 2 * n + 1) for n in multiple]
    whole, part = network(image)[(..., *box)], network.logits_of(image, box)
    # Without normalisation logits are large, and so is what rounding does to them.
    assert torch.allclose(part, whole, atol=1e-5 * max(1.0, whole.abs().max().item()))


def test_gradients_reach_every_parameter(network: Network) -> None:
    network.train()(image_for(network, 32, 32, batch=2)).square().mean().backward()
    dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_weights_move_to_another_network_of_the_config(network: Network, config: Any) -> None:
    other = build_network(config, N_CHANNELS, N_CLASSES).eval()
    image = image_for(network, 16, 16)
    assert not torch.equal(other(image), network(image))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(image), network(image))


def test_new_weights_depend_on_the_generator_alone(config: Any) -> None:
    drawn = []
    for before in (0, 1):
        torch.manual_seed(before)
        network = build_network(config, N_CHANNELS, N_CLASSES)
        network.initialise(torch.Generator().manual_seed(5))
        drawn.append([p for p in network.parameters() if p.ndim > 1])
    assert all(map(torch.equal, *drawn))


@pytest.mark.parametrize("size", [(32, 32), (17, 23)])
def test_it_can_be_exported(network: Network, size: tuple[int, int]) -> None:
    image = image_for(network, *size)
    with torch.no_grad():
        exported = torch.export.export(network, (image,)).module()
        assert torch.allclose(exported(image), network(image), atol=1e-5)


def _box(network: Network, start: tuple[int, ...], stop: tuple[int, ...]) -> tuple[Any, ...]:
    return (..., *(slice(a, b) for a, b in zip(start, stop, strict=True)))


def test_no_pixel_beyond_the_halo_changes_a_tile(network: Network) -> None:
    if measures_each_tile(network):
        pytest.skip("its normalisation measures the whole input")
    halo, multiple = network.halo_px, network.multiple_px
    axes = range(network.spatial_dims)
    start = tuple(halo[a] + multiple[a] for a in axes)
    stop = tuple(start[a] + 2 * multiple[a] for a in axes)
    shape = [stop[a] + halo[a] + multiple[a] for a in axes]
    image = image_for(network, *shape[-2:], n_sections=shape[0])
    changed = torch.randn_like(image)
    seen = _box(
        network,
        tuple(start[a] - halo[a] for a in axes),
        tuple(stop[a] + halo[a] for a in axes),
    )
    changed[seen] = image[seen]
    kept = _box(network, start, stop)
    assert torch.equal(network(image)[kept], network(changed)[kept])
    # The tile alone, with its halo, gives what the whole image gives.
    alone, whole = network(image[seen]), network(image)[kept]
    inner = _box(network, halo, tuple(halo[a] + stop[a] - start[a] for a in axes))
    # Without normalisation logits are large, and so is what rounding does to them.
    assert torch.allclose(alone[inner], whole, atol=1e-5 * max(1.0, whole.abs().max().item()))


def test_the_halo_is_no_wider_than_rounding_makes_it(network: Network) -> None:
    """Along each axis some pixel within one multiple of the halo's edge does matter."""
    if measures_each_tile(network):
        pytest.skip("its normalisation measures the whole input")
    halo, multiple = network.halo_px, network.multiple_px
    shape = [2 * h + 2 * m for h, m in zip(halo, multiple, strict=True)]
    image = image_for(network, *shape[-2:], n_sections=shape[0], batch=4).requires_grad_()
    # Some units are silent at a pixel: hardly in all of four images.
    network(image)[(slice(None), 0, *halo)].sum().backward()
    assert image.grad is not None
    seen = image.grad.abs().sum(dim=(0, 1)).nonzero().amin(dim=0).tolist()
    assert all(0 <= first < m for first, m in zip(seen, multiple, strict=True))
