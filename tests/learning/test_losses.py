from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight

from napari_unetseg.config import LossConfig
from napari_unetseg.learning.losses import (
    binary,
    cross_entropy,
    focal,
    pixel_weights,
    segmentation_loss,
    soft_dice,
    tversky,
)

#: One of each, and all of them together.
LOSSES = [
    LossConfig(),
    *(
        LossConfig(**{"cross_entropy": 0, "dice": 0, name: 1})
        for name in ("cross_entropy", "dice", "binary", "focal", "tversky")
    ),
    LossConfig(binary=0.5, focal=2, tversky=1, class_balanced=True, border_weight=10),
]


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 9, generator=generator)
    codes = torch.randint(0, 4, (2, 8, 9), generator=generator, dtype=torch.uint8)
    return logits, codes


def labelled_rows(logits, codes):
    """Return the logits of the labelled pixels, one row each, and their channels."""
    labelled = (codes > 0).flatten()
    rows = logits.movedim(1, -1).reshape(-1, logits.shape[1])[labelled].double()
    return rows, codes.flatten()[labelled].long() - 1


@pytest.mark.parametrize("config", LOSSES, ids=lambda c: str(c.model_dump(exclude_defaults=True)))
@pytest.mark.parametrize("shape", [(8, 9), (3, 8, 5)])
def test_unlabelled_pixels_change_neither_loss_nor_gradient(config, shape) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, *shape, generator=generator)
    codes = torch.randint(0, 4, (2, *shape), generator=generator, dtype=torch.uint8)
    border = torch.rand(2, *shape, generator=generator) if config.border_weight else None
    other = torch.where((codes == 0)[:, None], 50 * torch.randn_like(logits), logits)
    results = []
    for given in (logits, other):
        given = given.clone().requires_grad_()
        loss = segmentation_loss(given, codes, config, border)
        loss.backward()
        results.append((loss.item(), given.grad))
    assert results[0][0] > 0
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-6)
    labelled = (codes > 0)[:, None].expand_as(logits)
    assert results[0][1][labelled].any()
    assert torch.allclose(results[0][1][labelled], results[1][1][labelled], atol=1e-7)
    assert not results[0][1][~labelled].any()
    assert not results[1][1][~labelled].any()


@pytest.mark.parametrize("config", LOSSES, ids=lambda c: str(c.model_dump(exclude_defaults=True)))
def test_a_batch_without_labels_has_loss_zero_and_no_gradient(batch, config) -> None:
    logits = batch[0].clone().requires_grad_()
    nothing = torch.zeros(2, 8, 9, dtype=torch.uint8)
    border = torch.ones(2, 8, 9) if config.border_weight else None
    loss = segmentation_loss(logits, nothing, config, border)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("config", LOSSES, ids=lambda c: str(c.model_dump(exclude_defaults=True)))
def test_certainty_about_the_labels_minimises_every_loss_without_infinite_slopes(
    batch, config
) -> None:
    codes = batch[1]
    one_hot = torch.nn.functional.one_hot(codes.long(), 4)[..., 1:].movedim(-1, 1)
    certain = (200.0 * one_hot - 100).requires_grad_()
    loss = segmentation_loss(certain, codes, config)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert certain.grad.isfinite().all()


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_that_of_scikit_learn(batch, weighted) -> None:
    logits, codes = batch
    rows, channels = labelled_rows(logits, codes)
    weights = torch.rand(codes.shape, generator=torch.Generator().manual_seed(1)) + 1
    weights = weights * (codes > 0)
    expected = log_loss(
        channels.numpy(),
        rows.softmax(1).numpy(),
        labels=[0, 1, 2],
        sample_weight=weights[codes > 0].numpy() if weighted else None,
    )
    ours = cross_entropy(logits, codes, weights if weighted else None)
    assert ours.item() == pytest.approx(expected, rel=1e-5)


def test_class_weights_are_the_balanced_ones_of_scikit_learn(batch) -> None:
    logits, codes = batch
    codes = torch.where(codes == 3, (torch.rand(codes.shape) < 0.2).byte() * 3, codes)
    weights = pixel_weights(codes, class_balanced=True, border=None)
    rows, channels = labelled_rows(logits, codes)
    balanced = compute_sample_weight("balanced", channels.numpy())
    assert np.allclose(weights[codes > 0].numpy(), balanced)
    assert not weights[codes == 0].any()
    expected = log_loss(channels.numpy(), rows.softmax(1).numpy(), sample_weight=balanced)
    config = LossConfig(dice=0, class_balanced=True)
    assert segmentation_loss(logits, codes, config).item() == pytest.approx(expected, rel=1e-5)


def test_border_weights_are_added_to_those_of_the_classes(batch) -> None:
    codes = batch[1]
    border = torch.full(codes.shape, 10.0, dtype=torch.float16)
    plain = pixel_weights(codes, class_balanced=False, border=border)
    assert torch.equal(plain, (codes > 0) * 11.0)
    balanced = pixel_weights(codes, class_balanced=True, border=border)
    assert torch.allclose(balanced, pixel_weights(codes, True, None) + (codes > 0) * 10.0)


def test_binary_is_the_mean_log_loss_of_each_class_against_the_others(batch) -> None:
    logits, codes = batch
    rows, channels = labelled_rows(logits, codes)
    each = [
        log_loss((channels == k).numpy(), rows[:, k].sigmoid().numpy(), labels=[False, True])
        for k in range(3)
    ]
    assert binary(logits, codes).item() == pytest.approx(np.mean(each), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_is_its_formula(batch, gamma) -> None:
    logits, codes = batch
    rows, channels = labelled_rows(logits, codes)
    p = rows.softmax(1).gather(1, channels[:, None])[:, 0]
    expected = float((-((1 - p) ** gamma) * torch.log(p)).mean())
    assert focal(logits, codes, gamma).item() == pytest.approx(expected, rel=1e-5)


def test_tversky_loss_is_its_formula_and_with_equal_weights_dice(batch) -> None:
    logits, codes = batch
    rows, channels = labelled_rows(logits, codes)
    p, y = rows.softmax(1), torch.nn.functional.one_hot(channels, 3)
    right, over, under = (p * y).sum(0), (p * (1 - y)).sum(0), ((1 - p) * y).sum(0)
    expected = float((1 - right / (right + 0.3 * over + 0.7 * under)).mean())
    assert tversky(logits, codes, 0.3, 0.7).item() == pytest.approx(expected, rel=1e-5)
    halves = tversky(logits, codes, 0.5, 0.5).item()
    assert halves == pytest.approx(soft_dice(logits, codes).item(), rel=1e-5)


def foreground(probabilities, truth):
    """Return logits of background and foreground, and codes, of one row of pixels."""
    p = torch.tensor(probabilities, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
    logits = torch.stack([torch.log(1 - p), torch.log(p)])[None, :, None]
    return logits, torch.tensor(truth, dtype=torch.uint8)[None, None] + 1


@pytest.mark.parametrize(
    ("probabilities", "printed"),
    [([0, 0.6, 0, 0, 0, 0, 0, 0.7, 0], 0.40), ([0, 0, 0, 0, 0, 0, 0, 0.3, 0], 0.53)],
)
def test_dice_of_the_lectures_rare_class_is_what_they_print(probabilities, printed) -> None:
    """The lecture rounds: by its numbers 1 − 1.4 / 2.3 = 0.391 and 1 − 0.6 / 1.3 = 0.538."""
    logits, codes = foreground(probabilities, [0, 0, 0, 0, 0, 0, 0, 1, 0])
    background = 1 - torch.tensor(probabilities, dtype=torch.float64)
    of_background = 1 - 2 * float(background.sum() - background[7]) / float(background.sum() + 8)
    of_foreground = 2 * soft_dice(logits, codes).item() - of_background
    assert of_foreground == pytest.approx(printed, abs=0.01)


def test_balanced_cross_entropy_is_the_lectures_up_to_a_constant() -> None:
    """With β = 7/8, one pixel in eight: ``−Σ (β y log p + (1 − β)(1 − y) log(1 − p)) / n``."""
    p, beta = torch.tensor([0.6, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.05]), 7 / 8
    logits, codes = foreground(p.tolist(), [1, 0, 0, 0, 0, 0, 0, 0])
    lecture = -float(beta * torch.log(p[0]) + (1 - beta) * torch.log(1 - p[1:]).sum()) / 8
    ours = segmentation_loss(logits, codes, LossConfig(dice=0, class_balanced=True)).item()
    # Their weights have a mean of 2 β (1 − β), ours of 1.
    assert ours == pytest.approx(lecture / (2 * beta * (1 - beta)), rel=1e-5)


def test_a_sum_of_losses_is_the_weighted_sum_of_each(batch) -> None:
    logits, codes = batch
    total = segmentation_loss(
        logits, codes, LossConfig(cross_entropy=0.5, dice=2, binary=3, focal=4, tversky=5)
    )
    expected = (
        0.5 * cross_entropy(logits, codes)
        + 2 * soft_dice(logits, codes)
        + 3 * binary(logits, codes)
        + 4 * focal(logits, codes, 2.0)
        + 5 * tversky(logits, codes, 0.3, 0.7)
    )
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)


def test_something_must_be_minimised() -> None:
    with pytest.raises(ValidationError, match="nothing to learn from"):
        LossConfig(cross_entropy=0, dice=0)


@pytest.mark.parametrize(
    ("probabilities", "truth", "expected"),
    [
        # Sums over y of p y = 1.5 and of p + y = 2 + 3 = 5: 1 − 3/5.
        ([0.5, 0.5, 0.5, 0.5], [1, 1, 1, 0], 1 - 3 / 5),
        ([1, 0, 0, 0], [1, 0, 0, 0], 0.0),
        ([0, 0, 0, 1], [1, 0, 0, 0], 1.0),
    ],
)
def test_dice_of_the_foreground_is_one_minus_two_products_over_the_sums(
    probabilities, truth, expected
) -> None:
    p = torch.tensor(probabilities, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
    logits = torch.stack([torch.log(1 - p), torch.log(p)])[None, :, None]
    codes = torch.tensor(truth, dtype=torch.uint8)[None, None] + 1
    of_background = 1 - 2 * float(((1 - p) * (codes == 1)).sum()) / float(
        (1 - p).sum() + (codes == 1).sum()
    )
    mean = soft_dice(logits, codes).item()
    assert 2 * mean - of_background == pytest.approx(expected, abs=1e-6)


def test_a_class_that_is_not_in_the_batch_does_not_count(batch) -> None:
    logits, codes = batch
    codes = codes.clamp(max=2)
    unlikely = logits.clone()
    unlikely[:, 2] = -50
    assert soft_dice(unlikely, codes).item() == pytest.approx(
        soft_dice(unlikely[:, :2], codes).item(), abs=1e-6
    )


def test_half_precision_logits_are_computed_in_float32(batch) -> None:
    logits, codes = batch
    coarse = logits.bfloat16()
    assert segmentation_loss(coarse, codes, LossConfig()).dtype == torch.float32
    assert np.isclose(
        segmentation_loss(coarse, codes, LossConfig()).item(),
        segmentation_loss(coarse.float(), codes, LossConfig()).item(),
    )
