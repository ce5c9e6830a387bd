"""What somebody writes who calls scikit-image, scikit-learn or SciPy on one slice.

Each takes a slice, (Y, X), and its strokes, 0 unlabelled, and is given the same settings as our
defaults as far as the library has them. scikit-image has no regions of extremal stability, only the
tree of components that they are found in; no library here has the conditional random field.
"""

# mypy: disallow-untyped-calls=False
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage
from skimage import (
    exposure,
    feature,
    filters,
    measure,
    morphology,
    restoration,
    segmentation,
    util,
)
from sklearn.cluster import KMeans
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.mixture import GaussianMixture

from napari_unetseg.classical.region_growing import GrowParams

Plain = Callable[[Any, Any], Any]


def smooth(plane: Any, sigma: float = 1.0) -> Any:
    """Return a slice as floats after a Gaussian."""
    return filters.gaussian(plane, sigma, preserve_range=True)


def beyond(threshold: Callable[[Any], Any]) -> Plain:
    """Return a method that smooths and compares with a threshold."""

    def call(plane: Any, _: Any) -> Any:
        grey = smooth(plane)
        return grey > threshold(grey)

    return call


def filled(edges: Callable[[Any], Any]) -> Plain:
    """Return a method that closes edges and fills what they enclose."""

    def call(plane: Any, _: Any) -> Any:
        found = edges(plane)
        closed = morphology.closing(found, morphology.footprint_rectangle((3, 3)))
        return ndimage.binary_fill_holes(closed)

    return call


def steep(magnitude: Callable[[Any], Any]) -> Plain:
    """Return a method that takes the steepest fifth for edges."""

    def edges(plane: Any) -> Any:
        found = magnitude(smooth(plane))
        return found > np.percentile(found, 80)

    return filled(edges)


def crossings(second: Callable[[Any], Any]) -> Plain:
    """Return a method that fills what is bounded by a change of sign."""

    def edges(plane: Any) -> Any:
        is_above = second(plane.astype(float)) > 0
        return is_above & ~ndimage.binary_erosion(is_above)

    return filled(edges)


def clusters(model: Any) -> Plain:
    """Return a method that fits on 50,000 pixels and predicts all."""

    def call(plane: Any, _: Any) -> Any:
        grey = smooth(plane).reshape(-1, 1)
        some = np.random.default_rng(0).choice(len(grey), 50_000, replace=False)
        return model().fit(grey[some]).predict(grey).reshape(plane.shape)

    return call


def after_otsu(refine: Callable[[Any], Any]) -> Plain:
    """Return a refinement of Otsu's threshold."""

    def call(plane: Any, _: Any) -> Any:
        grey = smooth(plane)
        return refine(grey > filters.threshold_otsu(grey))

    return call


def before_otsu(change: Callable[[Any], Any]) -> Plain:
    """Return a filter before Otsu's threshold."""

    def call(plane: Any, _: Any) -> Any:
        grey = smooth(change(plane))
        return grey > filters.threshold_otsu(grey)

    return call


PLAIN: dict[str, Plain] = {
    "threshold": beyond(lambda grey: (grey.min() + grey.max()) / 2),
    "otsu": beyond(filters.threshold_otsu),
    "li": beyond(filters.threshold_li),
    "triangle": beyond(filters.threshold_triangle),
    "yen": beyond(filters.threshold_yen),
    "isodata": beyond(filters.threshold_isodata),
    "minimum": beyond(filters.threshold_minimum),
    "mean": beyond(filters.threshold_mean),
    "multiotsu": lambda plane, _: np.digitize(
        grey := smooth(plane), filters.threshold_multiotsu(grey, 3)
    ),
    "local": beyond(lambda grey: filters.threshold_local(grey, 51)),
    "sauvola": beyond(lambda grey: filters.threshold_sauvola(grey, 25)),
    "niblack": beyond(lambda grey: filters.threshold_niblack(grey, 25)),
    "hysteresis": lambda plane, _: filters.apply_hysteresis_threshold(
        grey := smooth(plane), *np.percentile(grey, (25, 50))
    ),
    "sobel": steep(filters.sobel),
    "scharr": steep(filters.scharr),
    "prewitt": steep(filters.prewitt),
    "farid": steep(filters.farid),
    "canny": filled(lambda plane: feature.canny(plane.astype(float), 2)),
    "laplacian": crossings(lambda grey: ndimage.laplace(ndimage.gaussian_filter(grey, 2))),
    "log": crossings(lambda grey: ndimage.gaussian_laplace(grey, 2)),
    "dog": crossings(lambda grey: filters.difference_of_gaussians(grey, 2, 3.2)),
    "kmeans": clusters(lambda: KMeans(4, n_init=1, random_state=0)),
    "mixture": clusters(lambda: GaussianMixture(3, random_state=0)),
    "chan_vese": lambda plane, _: segmentation.morphological_chan_vese(smooth(plane), 60),
    "slic": lambda plane, _: segmentation.slic(
        smooth(plane), plane.size // 256, 0.2, channel_axis=None
    ),
    "felzenszwalb": lambda plane, _: segmentation.felzenszwalb(plane, 50, 1, 50),
    "compact_watershed": lambda plane, _: segmentation.watershed(
        filters.sobel(smooth(plane)), plane.size // 256, compactness=0.1
    ),
    "blob_log": lambda plane, _: feature.blob_log(plane, 2.8, 14, threshold=0.1),
    "blob_dog": lambda plane, _: feature.blob_dog(plane, 2.3, 11.4, threshold=0.1),
    "blob_doh": lambda plane, _: feature.blob_doh(plane, 2.8, 14),
    "mser": lambda plane, _: morphology.max_tree(smooth(plane).astype(np.uint8), 1),
    "random_walker": lambda plane, strokes: segmentation.random_walker(
        # Its weights depend on the range of grey values: ours are of shares of it.
        plane.astype(float),
        strokes,
        3000 / 255,
        "cg_j",
    ),
    "watershed": lambda plane, strokes: segmentation.watershed(
        filters.sobel(smooth(plane)), strokes
    ),
    "grow": lambda plane, strokes: flooded(smooth(plane), strokes),
    "forest": lambda plane, strokes: classified(plane, strokes),
    "gaussian": before_otsu(smooth),
    "median": before_otsu(lambda plane: filters.median(plane, morphology.disk(1))),
    "background": before_otsu(lambda plane: plane - filters.gaussian(plane, 50)),
    "total_variation": before_otsu(restoration.denoise_tv_chambolle),
    "nl_means": before_otsu(
        lambda plane: restoration.denoise_nl_means(plane, 5, 6, 8, preserve_range=True)
    ),
    "clahe": before_otsu(lambda plane: exposure.equalize_adapthist(plane, 128)),
    "invert": before_otsu(util.invert),
    "channel": before_otsu(np.asarray),
    "fill_holes": after_otsu(lambda mask: morphology.remove_small_holes(mask, max_size=100)),
    "remove_small": after_otsu(lambda mask: morphology.remove_small_objects(mask, max_size=63)),
    "open": after_otsu(lambda mask: morphology.opening(mask, morphology.disk(1))),
    "close": after_otsu(lambda mask: morphology.closing(mask, morphology.disk(1))),
    "smooth": after_otsu(lambda mask: filters.gaussian(mask, 1) > 0.5),
    "keep_largest": after_otsu(lambda mask: largest(measure.label(mask))),
    "split": after_otsu(lambda mask: split(mask)),
}


def flooded(grey: Any, strokes: Any) -> Any:
    """Return what a flood reaches from each stroke over values near its mean."""
    pieces = measure.label(strokes, connectivity=2)
    found = np.ones(grey.shape, np.uint8)
    nearest = np.full(grey.shape, np.inf)
    tolerance = GrowParams().percent / 100 * np.ptp(grey)
    for piece in measure.regionprops(pieces):
        seed = tuple(piece.coords[0])
        own = pieces == piece.label
        apart = np.abs(grey - grey[own].mean()) / tolerance
        area = segmentation.flood((apart <= 1) | own, seed, connectivity=1)
        wins = area & (apart < nearest)
        found[wins], nearest[wins] = strokes[seed], apart[wins]
    return found


def classified(plane: Any, strokes: Any) -> Any:
    """Return what as many trees say as ours have, on scikit-image's features, slice by slice."""
    features = feature.multiscale_basic_features(plane, sigma_min=1, sigma_max=8)
    trees = ExtraTreesClassifier(20, random_state=0, n_jobs=1)
    trees.fit(features[strokes > 0], strokes[strokes > 0])
    return trees.predict(features.reshape(-1, features.shape[-1])).reshape(plane.shape)


def largest(pieces: Any) -> Any:
    """Return the largest of connected pieces."""
    return pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])


def split(mask: Any) -> Any:
    """Return pieces cut apart where they are narrow."""
    distance = ndimage.distance_transform_edt(mask)
    peaks = feature.peak_local_max(distance, min_distance=7, labels=measure.label(mask))
    markers = np.zeros(mask.shape, int)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(-distance, markers, mask=mask)
