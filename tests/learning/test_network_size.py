"""How deep and how wide a network gets where nobody said."""

import pytest

from napari_unetseg.config import TrainingConfig, UNet2015Config, UNetConfig
from napari_unetseg.learning.device import Device
from napari_unetseg.learning.network_size import (
    FEW_FILTERS,
    FEW_STROKES_DEPTH,
    LITTLE_S,
    with_size,
)
from napari_unetseg.networks.unet import USUAL_DEPTH, USUAL_FILTERS, UNet

CPU = Device("cpu", "float32", True, "")
CARD = Device("cuda:0", "bfloat16", True, "")


@pytest.mark.parametrize(
    ("seconds", "device", "much", "expected"),
    [
        (5, CPU, True, FEW_FILTERS),
        (LITTLE_S, CPU, True, FEW_FILTERS),
        (LITTLE_S + 1, CPU, True, USUAL_FILTERS),
        (None, CPU, True, USUAL_FILTERS),
        (5, CPU, False, USUAL_FILTERS),
        (5, CARD, True, USUAL_FILTERS),
    ],
)
def test_a_processor_with_little_time_for_many_annotations_gets_a_narrow_network(
    seconds, device, much, expected
):
    training = TrainingConfig(max_time_s=seconds, steps=10)
    assert with_size(UNetConfig(), training, device, much=much).filters == expected


@pytest.mark.parametrize(("much", "expected"), [(True, USUAL_DEPTH), (False, FEW_STROKES_DEPTH)])
def test_a_network_of_a_few_strokes_sees_less_far(much, expected):
    assert with_size(UNetConfig(), TrainingConfig(), CPU, much=much).depth == expected


@pytest.mark.parametrize("network", [UNetConfig(filters=32, depth=3), UNet2015Config()])
@pytest.mark.parametrize("much", [True, False])
def test_what_a_person_chose_stays(network, much):
    assert with_size(network, TrainingConfig(max_time_s=5), CPU, much=much) == network


def test_a_network_built_without_a_training_has_the_usual_size():
    assert UNet(UNetConfig(depth=1), 1, 2).head.in_channels == USUAL_FILTERS
    assert len(UNet(UNetConfig(filters=4), 1, 2).expanding) == USUAL_DEPTH
