"""Losses of whole classes: how far what is predicted and what is labelled overlap."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_dice(logits: Tensor, codes: Tensor) -> Tensor:
    """Mean over classes of ``1 − 2 Σ p y / (Σ p + Σ y)``, sums over the batch's labelled pixels.

    Classes that are not among the labels of the batch are left out of the mean: for them the
    quotient is 0 however good the prediction.

    Parameters
    ----------
    logits : Tensor, shape (B, K, …), float32
        With 2 or 3 spatial axes.
    codes : Tensor, shape (B, …), integer

    Returns
    -------
    Tensor, scalar, in [0, 1]
        0 where nothing is labelled.

    References
    ----------
    F. Milletari, N. Navab, S.-A. Ahmadi, "V-Net", 3DV 2016, with the unsquared denominator.
    """
    both, predicted, present = _sums(logits, codes)
    return _mean_loss(2 * both / (predicted + present).clamp(min=1e-6), present)


def tversky(logits: Tensor, codes: Tensor, alpha: float, beta: float) -> Tensor:
    """Mean over the classes present of ``1 − TP / (TP + α FP + β FN)``, with soft counts.

    With α = β = 0.5 it is `soft_dice`; a larger β makes the network miss less.

    Parameters
    ----------
    logits : Tensor, shape (B, K, …), float32
        With 2 or 3 spatial axes.
    codes : Tensor, shape (B, …), integer
    alpha, beta : float
        Weights of false positives and of false negatives.

    Returns
    -------
    Tensor, scalar, in [0, 1]
        0 where nothing is labelled.

    References
    ----------
    S. S. M. Salehi, D. Erdogmus, A. Gholipour, "Tversky loss function for image segmentation
    using 3D fully convolutional deep networks", MLMI 2017.
    """
    both, predicted, present = _sums(logits, codes)
    union = both + alpha * (predicted - both) + beta * (present - both)
    return _mean_loss(both / union.clamp(min=1e-6), present)


def _sums(logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``Σ p y``, ``Σ p`` and ``Σ y`` over labelled pixels, each of shape (K,)."""
    labelled = codes > 0
    probabilities = logits.softmax(dim=1)
    both, predicted, present = [], [], []
    for k in range(logits.shape[1]):
        p, y = probabilities[:, k], codes == k + 1
        both.append((p * y).sum())
        predicted.append((p * labelled).sum())
        present.append(y.sum())
    return torch.stack(both), torch.stack(predicted), torch.stack(present).to(logits.dtype)


def _mean_loss(overlap: Tensor, present: Tensor) -> Tensor:
    there = (present > 0).to(overlap.dtype)
    return ((1 - overlap) * there).sum() / there.sum().clamp(min=1)
