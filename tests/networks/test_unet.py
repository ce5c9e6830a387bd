from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from napari_unetseg.config import UNetConfig
from napari_unetseg.networks.geometry import Geometry
from napari_unetseg.networks.padding import mirrored
from napari_unetseg.networks.unet import UNet


def test_weights_are_gaussian_with_variance_two_over_incoming_nodes() -> None:
    network = UNet(UNetConfig(depth=2, filters=32), n_channels=1, n_classes=2)
    network.initialise(torch.Generator().manual_seed(0))
    second = network.contracting[0][3].weight  # 3 × 3 on 32 channels
    assert second.std().item() == pytest.approx(math.sqrt(2 / (9 * 32)), rel=0.03)
    assert network.up[0].weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.03)


def test_weights_of_volumes_have_variance_two_over_incoming_nodes_too() -> None:
    network = UNet(UNetConfig(depth=1, filters=16, dims="3"), n_channels=1, n_classes=2)
    network.initialise(torch.Generator().manual_seed(0))
    second = network.contracting[0][3].weight  # 3 × 3 × 3 on 16 channels
    assert second.std().item() == pytest.approx(math.sqrt(2 / (27 * 16)), rel=0.03)
    assert network.up[0].weight.std().item() == pytest.approx(math.sqrt(2 / 32), rel=0.05)
    assert not network.up[0].bias.any()


def test_the_papers_size_has_the_papers_23_convolutions() -> None:
    network = UNet(UNetConfig(depth=4, filters=64), n_channels=1, n_classes=2)
    layers = [
        m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    ]
    assert len(layers) == 23
    assert network.contracting[-1][3].out_channels == 1024


@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
@pytest.mark.parametrize("dims", ["2", "3"])
def test_every_normalisation_takes_every_width(norm: str, dims: str) -> None:
    config = UNetConfig(depth=1, filters=5, norm=norm, dims=dims)
    network = UNet(config, n_channels=1, n_classes=2)
    size = (8,) * network.spatial_dims
    assert network(torch.randn(2, 1, *size)).isfinite().all()


def test_the_default_is_stored_as_it_always_was() -> None:
    names = list(UNet(UNetConfig(depth=1), 1, 2).state_dict())
    assert names[0] == "contracting.0.0.weight"
    assert {"contracting.1.4.running_var", "up.0.weight", "expanding.0.3.weight"} <= set(names)
    assert names[-2:] == ["head.weight", "head.bias"]


@pytest.mark.parametrize(
    ("anisotropy", "kernels", "poolings"),
    [
        (1.0, (3, 3, 3, 3), (2, 2, 2)),
        (1.9, (3, 3, 3, 3), (2, 2, 2)),
        (2.0, (1, 3, 3, 3), (1, 2, 2)),
        (7.0, (1, 1, 3, 3), (1, 1, 2)),
        (100.0, (1, 1, 1, 1), (1, 1, 1)),
    ],
)
def test_thick_sections_are_joined_only_where_voxels_have_become_about_cubes(
    anisotropy: float, kernels: tuple[int, ...], poolings: tuple[int, ...]
) -> None:
    geometry = Geometry.of(3, 3, anisotropy)
    assert tuple(kernel[0] for kernel in geometry.kernels) == kernels
    assert tuple(pooling[0] for pooling in geometry.poolings) == poolings
    assert {size for kernel in geometry.kernels for size in kernel[1:]} == {3}
    assert {size for pooling in geometry.poolings for size in pooling[1:]} == {2}


@pytest.mark.parametrize(("given", "read"), [(2, "2"), (2.5, "2.5"), (3, "3"), ("2.5", "2.5")])
def test_dimensions_may_be_numbers_in_a_file(given: object, read: str) -> None:
    assert UNetConfig.model_validate({"dims": given}).dims == read


@pytest.mark.parametrize("given", [True, 4, "1", None])
def test_other_dimensions_are_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        UNetConfig.model_validate({"dims": given})


def test_mirrored_borders_agree_with_numpy() -> None:
    image = torch.arange(12.0).reshape(3, 4)
    expected = np.pad(image.numpy(), ((5, 2), (3, 9)), mode="reflect")
    assert mirrored(image, (-5, -3), (5, 13)).tolist() == expected.tolist()


def test_boxes_in_and_beyond_a_volume_agree_with_numpy() -> None:
    volume = torch.randn(2, 3, 4, 5)
    padded = np.pad(volume.numpy(), ((0, 0), (6, 6), (6, 6), (6, 6)), mode="reflect")
    for start in itertools.product((-6, 0, 1), repeat=3):
        stop = [first + size for first, size in zip(start, (3, 3, 4), strict=True)]
        where = (..., *(slice(a + 6, b + 6) for a, b in zip(start, stop, strict=True)))
        assert torch.equal(mirrored(volume, start, stop), torch.from_numpy(padded[where]))


def test_a_box_inside_is_no_copy() -> None:
    volume = torch.randn(2, 3, 4, 5)
    assert mirrored(volume, (0, 1, 0), (3, 4, 5)).data_ptr() == volume[..., 1:, :].data_ptr()
