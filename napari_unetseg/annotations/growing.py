"""An area of similar grey values, grown from a pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import disk

from .outlines import smooth_shape
from .pieces import Mask

Grey = npt.NDArray[np.float32]

#: Finer noise is no outline. With this, the neck and the weight of compactness, areas grown from
#: the middle of mitochondria, neurites and nuclei of the sample stacks were most alike to these.
_SIGMA_PX = 1.5
_OUTLINE_SIGMA_PX = 1.0
#: Through what is no wider the flood does not run.
_NECK: Mask = disk(3, bool)  # type: ignore[no-untyped-call]
#: How many tolerances are compared.
_N_TOLERANCES = 24
_MIN_AREA_PX = 12
#: Every pixel counts in comparing them no farther than this from the first.
_SEEN_PX = 80
#: An outline farther away is taken where it is so much sharper: gaps in membranes are seen there.
_MUCH_SHARPER = 2.0


def grow(grey: Grey, point: tuple[int, int], within: Mask, reach_px: float) -> Mask:
    """Grow from a pixel over similar grey values, to where the image has the sharpest outline.

    Of the areas that a flood with one tolerance after another gives, that one is taken along whose
    outline the grey values change most, compact ones before ragged ones; then its outline is made
    smooth and its holes are filled.

    Parameters
    ----------
    grey : ndarray, shape (Y, X), float32
    point : tuple of int
        (y, x), where the flood begins.
    within : ndarray of bool, shape (Y, X)
        Where it may run.
    reach_px : float
        It runs no farther than this from the point.

    Returns
    -------
    ndarray of bool, shape (Y, X)
        Empty where it may not begin.
    """
    grown = np.zeros_like(within)
    if not within[point]:
        return grown
    margin = int(np.ceil(reach_px)) + 2
    top, left = (max(0, p - margin) for p in point)
    window = np.s_[top : point[0] + margin + 1, left : point[1] + margin + 1]
    seed = point[0] - top, point[1] - left
    rows, columns = np.indices(within[window].shape)
    near = (rows - seed[0]) ** 2 + (columns - seed[1]) ** 2 <= reach_px**2
    area = _sharpest(grey[window], seed, within[window] & near)
    smooth = smooth_shape(ndimage.binary_fill_holes(area), _OUTLINE_SIGMA_PX) & within[window]
    smooth[seed] = True
    areas, _ = ndimage.label(smooth)
    grown[window] = areas == areas[seed]
    return grown


def _sharpest(grey: Grey, seed: tuple[int, int], within: Mask) -> Mask:
    """Return the best area of those that one tolerance after another gives."""
    gradient = ndimage.gaussian_gradient_magnitude(grey, _SIGMA_PX)
    even = ndimage.gaussian_filter(grey, _SIGMA_PX)
    y, x = seed
    level = float(np.median(even[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]))
    apart = np.abs(even - level)
    top, left = max(0, y - _SEEN_PX), max(0, x - _SEEN_PX)
    near = np.s_[top : y + _SEEN_PX + 1, left : x + _SEEN_PX + 1]
    sharpness, tolerance = _best_tolerance(
        apart[near], gradient[near], (y - top, x - left), within[near]
    )
    step = -(-max(grey.shape) // (2 * _SEEN_PX + 1))
    if step > 1:  # the outline may lie farther away, where some of the pixels are enough to see it
        some = np.s_[y % step :: step, x % step :: step]
        farther = _best_tolerance(apart[some], gradient[some], (y // step, x // step), within[some])
        if farther[0] > _MUCH_SHARPER * sharpness:
            tolerance = farther[1]
    return _flood((apart <= tolerance) & within, seed)


def _best_tolerance(
    apart: Grey, gradient: Grey, seed: tuple[int, int], within: Mask
) -> tuple[float, float]:
    """Return how sharp an outline can be, and with which tolerance it is."""
    best = least = float(apart[seed])
    most = max(least, float(np.quantile(apart[within], 0.9)))
    sharpest = -1.0
    for tolerance in np.linspace(least, most, _N_TOLERANCES):
        area = _flood((apart <= tolerance) & within, seed)
        n_px = np.count_nonzero(area)
        # Where the flood came to its limits, the outline counts as well, and the image is even.
        outline = area ^ ndimage.binary_erosion(area)
        compactness = np.sqrt(n_px) / np.count_nonzero(outline)
        sharpness = float(gradient[outline].mean() * np.sqrt(compactness))
        if n_px >= _MIN_AREA_PX and sharpness > sharpest:
            best, sharpest = float(tolerance), sharpness
    return sharpest, best


def _flood(even: Mask, seed: tuple[int, int]) -> Mask:
    """Return the area of a pixel, without what is joined to it by a narrow neck alone."""
    cores, _ = ndimage.label(ndimage.binary_erosion(even, _NECK, border_value=1))
    y, x = seed
    reach = len(_NECK) // 2
    near = cores[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
    mine = np.zeros(cores.max() + 1, bool)
    mine[near] = True
    mine[0] = False
    if mine.any():
        area: Mask = ndimage.binary_dilation(mine[cores], _NECK) & even
        return area
    areas, _ = ndimage.label(even)  # as narrow as a neck itself
    thin: Mask = areas == areas[seed]
    return thin
