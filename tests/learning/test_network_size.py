"""How deep and how wide a network gets where nobody said."""

import pytest

from napari_unetseg.config import TrainingConfig, UNet2015Config, UNetConfig
from napari_unetseg.learning.detail import MANY_PX, Painted
from napari_unetseg.learning.device import Device
from napari_unetseg.learning.network_size import (
    FEW_FILTERS,
    FEW_STROKES_DEPTH,
    LITTLE_S,
    MANY_STROKES_DEPTH,
    with_size,
)
from napari_unetseg.networks.unet import USUAL_DEPTH, USUAL_FILTERS, UNet

CPU = Device("cpu", "float32", True, "")
CARD = Device("cuda:0", "bfloat16", True, "")

SLICE_PX = 1024**2
DENSE, MANY_STROKES, FEW_STROKES = (Painted(n, SLICE_PX) for n in (SLICE_PX, MANY_PX, 5000))


@pytest.mark.parametrize(
    ("seconds", "device", "painted", "expected"),
    [
        (5, CPU, DENSE, FEW_FILTERS),
        (LITTLE_S, CPU, MANY_STROKES, FEW_FILTERS),
        (LITTLE_S + 1, CPU, DENSE, USUAL_FILTERS),
        (None, CPU, DENSE, USUAL_FILTERS),
        (5, CPU, FEW_STROKES, USUAL_FILTERS),
        (5, CARD, DENSE, USUAL_FILTERS),
    ],
)
def test_a_processor_with_little_time_for_many_annotations_gets_a_narrow_network(
    seconds, device, painted, expected
):
    training = TrainingConfig(max_time_s=seconds, steps=10)
    assert with_size(UNetConfig(), training, device, painted).filters == expected


@pytest.mark.parametrize(
    ("painted", "expected"),
    [
        (DENSE, USUAL_DEPTH),
        (MANY_STROKES, MANY_STROKES_DEPTH),
        (FEW_STROKES, FEW_STROKES_DEPTH),
    ],
)
def test_the_less_is_painted_the_less_far_a_network_sees(painted, expected):
    assert with_size(UNetConfig(), TrainingConfig(), CPU, painted).depth == expected


@pytest.mark.parametrize("network", [UNetConfig(filters=32, depth=3), UNet2015Config()])
@pytest.mark.parametrize("painted", [DENSE, FEW_STROKES])
def test_what_a_person_chose_stays(network, painted):
    assert with_size(network, TrainingConfig(max_time_s=5), CPU, painted) == network


def test_a_network_built_without_a_training_has_the_usual_size():
    assert UNet(UNetConfig(depth=1), 1, 2).head.in_channels == USUAL_FILTERS
    assert len(UNet(UNetConfig(filters=4), 1, 2).expanding) == USUAL_DEPTH
