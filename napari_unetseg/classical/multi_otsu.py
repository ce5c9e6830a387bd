"""Otsu's thresholds between more than two groups of grey values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from napari_unetseg.config import BACKGROUND, LabelClass, default_color

from .histogram import Histogram, count
from .method import SIGMAS_PX, BaselineParams, Levels
from .step import Codes, Pixels, View
from .threshold import GreyLevelMethod

#: Bins of the histogram; all ways to cut it are compared, in 10 ms.
_BINS = 512


class MultiOtsuParams(BaselineParams):
    """Parameters of Otsu's method for several classes."""

    n_classes: int = Field(
        3,
        ge=2,
        le=5,
        description="groups of grey values, the first of them being background; more tell fainter "
        "differences apart",
    )
    foreground: Literal["bright", "dark"] = Field(
        "bright", description="bright: groups are numbered from dark to bright; dark: reversed"
    )


class MultiOtsu(GreyLevelMethod[MultiOtsuParams]):
    """The thresholds that best split the histogram into several groups.

    The optimum is found by dynamic programming, as in the second paper.

    References
    ----------
    P.-S. Liao, T.-S. Chen and P.-C. Chung, "A fast algorithm for multilevel thresholding", Journal
    of Information Science and Engineering 17 (2001) 713–727.

    M. Luessi, M. Eichmann, G. M. Schuster and A. K. Katsaggelos, "Framework for efficient optimal
    multilevel image thresholding", Journal of Electronic Imaging 18 (2009) 013004.
    """

    name: ClassVar[str] = "multiotsu"
    title: ClassVar[str] = "Multi-Otsu threshold"
    family: ClassVar[str] = "Threshold"
    summary: ClassVar[str] = "Splits grey values into 2 to 5 groups that differ most."
    good_for: ClassVar[str] = (
        "Several phases of different brightness, such as background, cytoplasm and nuclei."
    )
    groups: ClassVar[bool] = True
    params = MultiOtsuParams

    def measure(self, features: Sequence[Pixels], params: MultiOtsuParams) -> Levels:
        """Return the thresholds, ascending; fewer where there are fewer grey values."""
        histogram = count([plane[0] for plane in features], _BINS, exact=False)
        return best_cuts(histogram, params.n_classes)

    def label(self, features: Pixels, params: MultiOtsuParams, levels: Levels) -> Codes:
        """Give each group of grey values its number, from background on."""
        above = np.zeros(features.shape[1:], np.uint8)
        for level in levels:
            above += features[0] > level
        if params.foreground == "dark":
            np.subtract(np.uint8(len(levels)), above, out=above)
        above += np.uint8(BACKGROUND)
        return above

    def grid(self, views: Sequence[View]) -> Iterator[MultiOtsuParams]:
        """Try 2 to 5 classes, per slice and for all."""
        for sigma in SIGMAS_PX:
            for n_classes in range(2, 6):
                base = MultiOtsuParams(sigma_px=sigma, n_classes=n_classes)
                yield base
                yield base.replace(per_slice=False)

    def classes(self, params: MultiOtsuParams) -> tuple[LabelClass, ...]:
        """Name groups 2, 3, …; the first is background."""
        return tuple(
            LabelClass(name=f"level {k + 1}", color=default_color(k))
            for k in range(1, params.n_classes)
        )


def best_cuts(histogram: Histogram, n_classes: int) -> Levels:
    """Return the thresholds between classes of greatest variance.

    Returns
    -------
    ndarray, shape (n_classes − 1,), float64
        The brightest grey value of every class but the last, ascending; fewer where there are
        fewer grey values.
    """
    filled = histogram.counts > 0
    grey = histogram.grey[filled]
    if len(grey) <= n_classes:
        return np.asarray(grey[:-1])
    n = np.concatenate([[0.0], histogram.counts[filled].cumsum()])
    total = np.concatenate([[0.0], (histogram.counts[filled] * (grey - grey.mean())).cumsum()])
    # Of bins i to j − 1, at [i, j]: what they add to the variance between classes.
    n_between = n[np.newaxis] - n[:, np.newaxis]
    between = (total[np.newaxis] - total[:, np.newaxis]) ** 2 / np.maximum(n_between, 1)
    between[n_between <= 0] = -np.inf
    best, chosen = between[0], []
    for _ in range(n_classes - 1):
        sums = best[:, np.newaxis] + between
        chosen.append(sums.argmax(axis=0))
        best = sums.max(axis=0)
    cuts = []
    end = len(grey)
    for begins in reversed(chosen):
        end = int(begins[end])
        cuts.append(end - 1)
    return np.asarray(grey[cuts[::-1]])


MULTI_OTSU = MultiOtsu()
