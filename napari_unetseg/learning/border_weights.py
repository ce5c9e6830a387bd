"""Extra weights of pixels between objects, so that touching ones are learned apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

#: Standard deviations of distance beyond which a weight is nothing: exp(−6² / 2) = 1.5e-8.
_REACH_SIGMA = 6.0


def border_weights(
    ids: npt.NDArray[np.integer], weight: float, sigma_px: float, anisotropy: float = 1.0
) -> npt.NDArray[np.float32]:
    """Compute ``w₀ exp(−(d₁ + d₂)² / 2σ²)``, high where two objects are close.

    d₁ and d₂ are the distances to the nearest and to the second nearest object, 0 inside it. So
    where objects touch, pixels on both sides of the border weigh more.

    Parameters
    ----------
    ids : ndarray, shape (Y, X) or (Z, Y, X), integer
        0 background; the pixels of an object share an id.
    weight : float
        w₀.
    sigma_px : float
        σ, in px along Y and X.
    anisotropy : float
        Size of a voxel along Z ÷ along X, for volumes.

    Returns
    -------
    ndarray, float32, of the shape of `ids`
        Between 0 and `weight`; 0 where there are fewer than two objects.

    References
    ----------
    O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image
    Segmentation", MICCAI 2015, equation 2; the balance of classes, its first term, is in
    `losses.pixel_weights`.

    Examples
    --------
    >>> border_weights(np.array([[1, 1, 0, 0, 2, 2]]), weight=10, sigma_px=3).round(1)
    array([[4.1, 6.1, 6.1, 6.1, 6.1, 4.1]], dtype=float32)
    """
    names, numbered = np.unique(ids, return_inverse=True)
    numbered = numbered.reshape(ids.shape) + (names[0] != 0)
    reach = _REACH_SIGMA * sigma_px
    nearest = np.full(ids.shape, np.inf, np.float32)
    second = nearest.copy()
    spacing = (anisotropy, 1.0, 1.0)[-ids.ndim :]
    margins = [int(np.ceil(reach / size)) for size in spacing]
    # Only an object's surroundings matter, and every pixel of it lies within them.
    for number, box in enumerate(ndimage.find_objects(numbered), start=1):
        where = tuple(
            slice(max(span.start - margin, 0), span.stop + margin)
            for span, margin in zip(box, margins, strict=True)
        )
        outside = numbered[where] != number
        distance = ndimage.distance_transform_edt(outside, spacing).astype(np.float32)
        second[where] = np.minimum(second[where], np.maximum(nearest[where], distance))
        nearest[where] = np.minimum(nearest[where], distance)
    both = nearest + second
    result: npt.NDArray[np.float32] = weight * np.exp(-0.5 * (both / sigma_px) ** 2)
    return result.astype(np.float32)
