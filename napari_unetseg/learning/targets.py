"""What a network learns of objects beside classes: how deep inside its own a pixel lies."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from napari_unetseg.config import LossConfig, Recipe

from .border_weights import border_weights
from .data import FromIds

#: Errors of a distance below this count quadratically.
SMALL_ERROR = 0.1


def maps_of_objects(loss: LossConfig, anisotropy: float, *, distances: bool) -> dict[str, FromIds]:
    """Return what computes the numbers that a training needs of objects, by their name.

    Parameters
    ----------
    loss : LossConfig
        Says whether borders between objects weigh more.
    anisotropy : float
        Size of a voxel along Z ÷ along X, for volumes.
    distances : bool
        Whether distances to the border of the object are learned.
    """
    maps: dict[str, FromIds] = {}
    if loss.border_weight:
        maps["border"] = partial(
            border_weights,
            weight=loss.border_weight,
            sigma_px=loss.border_sigma_px,
            anisotropy=anisotropy,
        )
    if distances:
        maps["distance"] = partial(object_distances, anisotropy=anisotropy)
    return maps


def distance_weight(recipe: Recipe, object_diameter_px: float | None) -> float:
    """Return what the error of distances weighs; 0 where a network does not answer with them."""
    if recipe.objects is None or object_diameter_px is None:
        return 0.0
    return recipe.objects.distance_weight


def object_distances(
    ids: npt.NDArray[np.integer[Any]], anisotropy: float = 1.0
) -> npt.NDArray[np.float32]:
    """Return the distance of every pixel to the border of its object, 1 where that is largest.

    The edge of the image is no border: objects are taken to go on behind it.

    Parameters
    ----------
    ids : ndarray, shape (Y, X) or (Z, Y, X), integer
        0 for no object.
    anisotropy : float
        Size of a voxel along Z ÷ along X, for volumes.

    Returns
    -------
    ndarray, shape of `ids`, float32, in [0, 1]
        0 outside of objects.

    References
    ----------
    T. Scherr, K. Löffler, M. Böhland, R. Mikut, "Cell segmentation and tracking using CNN-based
    distance predictions and a graph-based matching strategy", PLoS ONE 15 (2020) e0243219.

    Examples
    --------
    >>> object_distances(np.array([[0, 0, 3, 3, 3, 0, 0]]))[0].tolist()
    [0.0, 0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    numbers, consecutive = np.unique(ids, return_inverse=True)
    labels = consecutive.reshape(ids.shape) + int(numbers[0] > 0)
    distances = np.zeros(ids.shape, np.float32)
    spacing = (anisotropy, 1.0, 1.0)[-ids.ndim :]
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        # With the pixels around it, where the image has any.
        around = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
        inside = labels[around] == label
        depth = np.ones(inside.shape)
        if not inside.all():
            depth = ndimage.distance_transform_edt(inside, spacing)
        distances[around][inside] = (depth / depth.max())[inside]
    return distances


def distance_loss(predicted: Tensor, distances: Tensor, codes: Tensor) -> Tensor:
    """Mean error over the labelled pixels, quadratic where it is small.

    Parameters
    ----------
    predicted, distances : Tensor, shape (B, …)
        Computed with in float32 whatever they are.
    codes : Tensor, shape (B, …), integer
        0 unlabelled.

    Returns
    -------
    Tensor, scalar
        0 where nothing is labelled.
    """
    labelled = codes > 0
    errors = distance_errors(predicted, distances)
    return (errors * labelled).sum() / labelled.sum().clamp(min=1)


def distance_errors(predicted: Tensor, distances: Tensor) -> Tensor:
    """Return the error of every pixel, quadratic where it is small, in float32."""
    return F.smooth_l1_loss(
        predicted.float(), distances.float(), reduction="none", beta=SMALL_ERROR
    )
