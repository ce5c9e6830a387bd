from __future__ import annotations

import pytest
import torch

from napari_unetseg.config import AugmentationConfig, TrainingConfig, UNetConfig
from napari_unetseg.learning.averaging import WeightAverage, measure_batch_statistics, measured_on
from napari_unetseg.learning.schedule import FINAL_RATE, Budget, learning_rate
from napari_unetseg.networks import build_network


def network():
    return build_network(UNetConfig(depth=1, filters=4), 1, 2)


def test_the_average_is_that_of_the_weights_and_of_the_running_statistics() -> None:
    current = network()
    average = WeightAverage(current, decay=0.5)
    for name in ("head.bias", "contracting.0.1.running_mean"):
        expected = current.state_dict()[name].clone()
        for step, value in enumerate((3.0, -1.0, 5.0), start=1):
            current.state_dict()[name].fill_(value)
            average.update(current)
            decay = min(0.5, (1 + step) / (10 + step))
            expected = decay * expected + (1 - decay) * value
        assert torch.allclose(average.network.state_dict()[name], expected)
        average = WeightAverage(current, decay=0.5)


def test_the_average_does_not_share_memory_with_what_it_averages() -> None:
    current = network()
    average = WeightAverage(current, decay=0.9)
    current.head.bias.data.fill_(7)
    assert not (average.network.head.bias == 7).any()
    assert not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())


def test_measured_statistics_are_those_of_the_batches() -> None:
    measured = network().eval()
    batches = [torch.randn(2, 1, 16, 16) * 3 + k for k in range(3)]
    measure_batch_statistics(measured, batches)
    norm, conv = measured.contracting[0][1], measured.contracting[0][0]
    outputs = [conv(batch) for batch in batches]
    means = torch.stack([o.mean((0, 2, 3)) for o in outputs]).mean(0)
    assert torch.allclose(norm.running_mean, means, atol=1e-5)
    assert not norm.training
    assert norm.momentum == 0.1


def test_the_rate_rises_and_then_falls() -> None:
    config = TrainingConfig(learning_rate=1.0, warmup_steps=4)
    rising = [learning_rate(config, step, 0.0) for step in range(5)]
    assert rising == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    falling = [learning_rate(config, 100, f / 10) for f in range(11)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == pytest.approx(FINAL_RATE)


def test_a_budget_of_both_ends_with_whichever_is_used_up_first() -> None:
    both = Budget(steps=100, deadline=60.0, began=10.0)
    assert both.fraction(50, now=12.0, finishing_s=0) == pytest.approx(0.5)
    assert both.fraction(10, now=35.0, finishing_s=0) == pytest.approx(0.5)
    assert both.fraction(10, now=59.0, finishing_s=5) == 1
    assert both.seconds_left(50, now=12.0, finishing_s=1) == pytest.approx(3.0)
    assert Budget(None, 5.0, began=9.0).fraction(0, 9.0, 1.0) == 1


def test_statistics_are_those_of_changed_patches_where_a_few_strokes_show_little() -> None:
    training = TrainingConfig()
    assert measured_on(training, much=True).augmentation == AugmentationConfig.none()
    assert measured_on(training, much=False).augmentation == training.augmentation
