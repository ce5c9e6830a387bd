"""Losses over labelled pixels; an unlabelled pixel changes neither value nor gradient."""

from __future__ import annotations

from torch import Tensor

from napari_unetseg.config import LossConfig

from .pixels import binary, cross_entropy, focal, pixel_weights
from .regions import soft_dice, tversky

__all__ = [
    "binary",
    "cross_entropy",
    "focal",
    "pixel_weights",
    "segmentation_loss",
    "soft_dice",
    "tversky",
]


def segmentation_loss(
    logits: Tensor, codes: Tensor, config: LossConfig, border: Tensor | None = None
) -> Tensor:
    """Compute the weighted sum of losses that `config` asks for.

    Parameters
    ----------
    logits : Tensor, shape (B, K, …)
        With 2 or 3 spatial axes; computed with in float32 whatever they are.
    codes : Tensor, shape (B, …), integer
        0 unlabelled, k + 1 for channel k.
    border : Tensor, shape (B, …), optional
        Extra weights of pixels, as from `border_weights`.

    Returns
    -------
    Tensor, scalar, float32
        0 where nothing is labelled.
    """
    logits = logits.float()
    weights = pixel_weights(codes, config.class_balanced, border)
    parts = []
    if config.cross_entropy:
        parts.append(config.cross_entropy * cross_entropy(logits, codes, weights))
    if config.dice:
        parts.append(config.dice * soft_dice(logits, codes))
    if config.binary:
        parts.append(config.binary * binary(logits, codes, weights))
    if config.focal:
        parts.append(config.focal * focal(logits, codes, config.focal_gamma, weights))
    if config.tversky:
        alpha, beta = config.tversky_alpha, config.tversky_beta
        parts.append(config.tversky * tversky(logits, codes, alpha, beta))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
