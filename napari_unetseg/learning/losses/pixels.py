"""Losses that are means over labelled pixels, and what single pixels weigh in them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, codes: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross entropy of the labelled pixels.

    Parameters
    ----------
    logits : Tensor, shape (B, K, …), float32
        With 2 or 3 spatial axes.
    codes : Tensor, shape (B, …), integer
        0 unlabelled, k + 1 for channel k.
    weights : Tensor, shape (B, …), optional
        Of pixels, as from `pixel_weights`; all alike by default.

    Returns
    -------
    Tensor, scalar
        0 where nothing is labelled.
    """
    targets = codes.long() - 1
    if weights is None:
        total = F.cross_entropy(logits, targets, ignore_index=-1, reduction="sum")
        return total / (targets >= 0).sum().clamp(min=1)
    return _mean(F.cross_entropy(logits, targets, ignore_index=-1, reduction="none"), weights)


def binary(logits: Tensor, codes: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross entropy of one sigmoid per channel, its class against all others.

    Parameters
    ----------
    logits : Tensor, shape (B, K, …), float32
        With 2 or 3 spatial axes.
    codes : Tensor, shape (B, …), integer
    weights : Tensor, shape (B, …), optional
        Of pixels; all alike by default.

    Returns
    -------
    Tensor, scalar
        Mean over pixels and channels; 0 where nothing is labelled.
    """
    per_pixel = torch.zeros_like(logits[:, 0])
    for k in range(logits.shape[1]):
        is_k = (codes == k + 1).to(logits.dtype)
        per_pixel = per_pixel + F.binary_cross_entropy_with_logits(
            logits[:, k], is_k, reduction="none"
        )
    return _mean(per_pixel / logits.shape[1], _labelled(codes) if weights is None else weights)


def focal(logits: Tensor, codes: Tensor, gamma: float, weights: Tensor | None = None) -> Tensor:
    """Mean of ``−(1 − p)^γ log p``, p the softmax probability of the labelled class.

    Pixels of which the network is certain hardly count; with γ = 0 it is `cross_entropy`.

    Parameters
    ----------
    logits : Tensor, shape (B, K, …), float32
        With 2 or 3 spatial axes.
    codes : Tensor, shape (B, …), integer
    gamma : float
        0 or more.
    weights : Tensor, shape (B, …), optional
        Of pixels; all alike by default.

    Returns
    -------
    Tensor, scalar
        0 where nothing is labelled.

    References
    ----------
    T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; its α is the class
    balance of `pixel_weights`.
    """
    surprise = F.cross_entropy(logits, codes.long() - 1, ignore_index=-1, reduction="none")
    # At 0 a power below 1 has no finite slope.
    doubt = (-torch.expm1(-surprise)).clamp(min=1e-6)
    return _mean(doubt**gamma * surprise, _labelled(codes) if weights is None else weights)


def pixel_weights(codes: Tensor, class_balanced: bool, border: Tensor | None) -> Tensor | None:
    """Return what each labelled pixel weighs; None where all weigh the same.

    ``w(x) = w_c(x) + w_border(x)``, as in the U-Net's paper. The class balance w_c is the inverse
    of how frequent a pixel's class is among the labelled pixels of the batch, scaled so that its
    mean is 1; without it, w_c is 1.

    Parameters
    ----------
    codes : Tensor, shape (B, …), integer
    class_balanced : bool
    border : Tensor, shape (B, …), or None
        Extra weights, as from `border_weights`.

    Returns
    -------
    Tensor, shape (B, …), float32, or None
        0 where nothing is labelled.
    """
    if not class_balanced and border is None:
        return None
    weights = _labelled(codes)
    if class_balanced:
        counts = torch.bincount(codes.flatten())[1:].float()
        per_class = counts.sum() / ((counts > 0).sum() * counts)
        # Infinite only for classes that no pixel has.
        weights = torch.cat([weights.new_zeros(1), per_class])[codes.long()]
    return weights if border is None else weights + border.float() * (codes > 0)


def _labelled(codes: Tensor) -> Tensor:
    return (codes > 0).float()


def _mean(per_pixel: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean; weights are 0 where nothing is labelled, else about 1 or more."""
    return (per_pixel * weights).sum() / weights.sum().clamp(min=1)
