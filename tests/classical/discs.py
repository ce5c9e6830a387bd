"""Bright discs on a dark ground, which every method finds with the right parameters."""

import numpy as np

DTYPES = ("uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")

#: What methods whose defaults answer something else need, to answer discs and ground.
FOR_DISCS = {
    "kmeans": ["n_clusters=2"],
    "mixture": ["n_clusters=2"],
    "multiotsu": ["n_classes=2"],
    # Narrower neighbourhoods of plain ground hold noise alone, of which it takes a part.
    "niblack": ["window_px=201"],
    # They cut at the foot of the ground's peak, so discs grow by what is smoothed.
    "triangle": ["sigma_px=0.5"],
    "yen": ["sigma_px=0"],
}


def discs(shape=(96, 80), seed=0):
    """A noisy image of bright discs on a dark ground, float in [0, 1], and where the discs are."""
    random = np.random.default_rng(seed)
    truth = np.zeros(shape, bool)
    y, x = np.indices(shape)
    for cy, cx, r in ((20, 20, 9), (60, 50, 13), (30, 60, 7)):
        truth |= (y - cy) ** 2 + (x - cx) ** 2 < r**2
    image = 0.25 + 0.5 * truth + random.normal(0, 0.04, shape)
    return np.clip(image, 0, 1), truth


def balls(z_px=1.0, seed=0):
    """A noisy volume of bright balls, float in [0, 1], and where they are."""
    random = np.random.default_rng(seed)
    truth = np.zeros((int(32 / z_px), 40, 36), bool)
    z, y, x = np.indices(truth.shape)
    for cz, cy, cx, r in ((15, 12, 12, 8), (16, 27, 25, 9)):
        truth |= (z * z_px - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < r**2
    image = 0.25 + 0.5 * truth + random.normal(0, 0.04, truth.shape)
    return np.clip(image, 0, 1), truth


def cast(image, dtype):
    """An image in [0, 1] as one of a dtype, with negative values where it is a float."""
    if np.dtype(dtype).kind == "f":
        return (image * 1000 - 300).astype(dtype)
    return (image * min(np.iinfo(dtype).max, 10**9)).astype(dtype)


def iou(codes, truth):
    """How well class 1 is `truth`."""
    found = codes == 2
    return (found & truth).sum() / (found | truth).sum()
