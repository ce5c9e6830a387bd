"""Losses over labelled pixels; an unlabelled pixel changes neither value nor gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, codes: Tensor) -> Tensor:
    """Mean cross entropy of the labelled pixels.

    Parameters
    ----------
    logits : Tensor, shape (B, K, Y, X), float32
    codes : Tensor, shape (B, Y, X), integer
        0 unlabelled, k + 1 for channel k.

    Returns
    -------
    Tensor, scalar
        0 where nothing is labelled.
    """
    targets = codes.long() - 1
    total = F.cross_entropy(logits, targets, ignore_index=-1, reduction="sum")
    return total / (targets >= 0).sum().clamp(min=1)


def soft_dice(logits: Tensor, codes: Tensor) -> Tensor:
    """Mean over classes of ``1 − 2 Σ p y / (Σ p + Σ y)``, sums over the batch's labelled pixels.

    Classes that are not among the labels of the batch are left out of the mean: for them the
    quotient is 0 however good the prediction.

    Parameters
    ----------
    logits : Tensor, shape (B, K, Y, X), float32
    codes : Tensor, shape (B, Y, X), integer

    Returns
    -------
    Tensor, scalar, in [0, 1]
        0 where nothing is labelled.

    References
    ----------
    F. Milletari, N. Navab, S.-A. Ahmadi, "V-Net", 3DV 2016, with the unsquared denominator.
    """
    n_classes = logits.shape[1]
    labelled = codes > 0
    probabilities = logits.softmax(dim=1)
    intersection, predicted, present = [], [], []
    for k in range(n_classes):
        p, y = probabilities[:, k], codes == k + 1
        intersection.append((p * y).sum())
        predicted.append((p * labelled).sum())
        present.append(y.sum())
    sizes = torch.stack(present).to(logits.dtype)
    overlap = 2 * torch.stack(intersection) / (torch.stack(predicted) + sizes).clamp(min=1e-6)
    there = (sizes > 0).to(logits.dtype)
    return ((1 - overlap) * there).sum() / there.sum().clamp(min=1)


def segmentation_loss(logits: Tensor, codes: Tensor, dice_weight: float) -> Tensor:
    """Cross entropy plus `dice_weight` times soft Dice, in float32 whatever the logits are."""
    logits = logits.float()
    loss = cross_entropy(logits, codes)
    return loss + dice_weight * soft_dice(logits, codes) if dice_weight else loss
