from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from napari_unetseg.learning.losses import cross_entropy, segmentation_loss, soft_dice


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 9, generator=generator)
    codes = torch.randint(0, 4, (2, 8, 9), generator=generator, dtype=torch.uint8)
    return logits, codes


def test_unlabelled_pixels_change_neither_loss_nor_gradient(batch) -> None:
    logits, codes = batch
    other = torch.where((codes == 0)[:, None], 50 * torch.randn_like(logits), logits)
    results = []
    for given in (logits, other):
        given = given.clone().requires_grad_()
        loss = segmentation_loss(given, codes, dice_weight=1.0)
        loss.backward()
        results.append((loss.item(), given.grad))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-6)
    labelled = (codes > 0)[:, None].expand_as(logits)
    assert torch.allclose(results[0][1][labelled], results[1][1][labelled], atol=1e-7)
    assert not results[0][1][~labelled].any()
    assert not results[1][1][~labelled].any()


def test_cross_entropy_is_that_of_scikit_learn(batch) -> None:
    logits, codes = batch
    labelled = (codes > 0).flatten()
    rows = logits.softmax(1).permute(0, 2, 3, 1).reshape(-1, 3)[labelled].double().numpy()
    rows /= rows.sum(axis=1, keepdims=True)
    expected = log_loss(codes.flatten()[labelled].numpy() - 1, rows, labels=[0, 1, 2])
    assert cross_entropy(logits, codes).item() == pytest.approx(expected, rel=1e-5)


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


def test_a_batch_without_labels_has_loss_zero_and_no_gradient(batch) -> None:
    logits = batch[0].clone().requires_grad_()
    loss = segmentation_loss(logits, torch.zeros(2, 8, 9, dtype=torch.uint8), 1.0)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_half_precision_logits_are_computed_in_float32(batch) -> None:
    logits, codes = batch
    coarse = logits.bfloat16()
    assert segmentation_loss(coarse, codes, 1.0).dtype == torch.float32
    assert np.isclose(
        segmentation_loss(coarse, codes, 1.0).item(),
        segmentation_loss(coarse.float(), codes, 1.0).item(),
    )
