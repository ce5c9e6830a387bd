"""Thresholds that a histogram chooses: Otsu, Li, triangle, Yen, isodata, minimum and mean."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from skimage import filters

from .histogram import N_BINS, Histogram, count
from .method import SIGMAS_PX, BaselineParams, Levels, nowhere
from .step import Pixels, View
from .threshold import GreyLevelMethod

#: Bins for methods that look at a histogram's shape, which more would make ragged; scikit-image's.
_COARSE_BINS = 256


class AutomaticParams(BaselineParams):
    """Parameters of thresholds that a histogram chooses."""


class _Automatic(GreyLevelMethod[AutomaticParams]):
    """A threshold between the bins of a histogram.

    Attributes
    ----------
    n_bins, exact :
        Of the histogram: see `count`.
    """

    family: ClassVar[str] = "Threshold"
    params = AutomaticParams
    n_bins: ClassVar[int] = N_BINS
    exact: ClassVar[bool] = True

    def measure(self, features: Sequence[Pixels], params: AutomaticParams) -> Levels:
        """Return the threshold as a grey value, shape (1,)."""
        histogram = count([plane[0] for plane in features], self.n_bins, exact=self.exact)
        level = None if histogram.is_flat else self.level(histogram)
        return np.array([nowhere(params.foreground) if level is None else level])

    @abstractmethod
    def level(self, histogram: Histogram) -> float | None:
        """Return the threshold; None where the histogram, of two bins or more, has none."""

    def grid(self, views: Sequence[View]) -> Iterable[AutomaticParams]:
        """Try every smoothing, with levels per slice and for all."""
        return [
            AutomaticParams(sigma_px=sigma, per_slice=per_slice)
            for sigma in SIGMAS_PX
            for per_slice in (True, False)
        ]


class Otsu(_Automatic):
    """The threshold that best splits the histogram into two groups.

    References
    ----------
    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on
    Systems, Man and Cybernetics 9 (1979) 62–66.
    """

    name: ClassVar[str] = "otsu"
    title: ClassVar[str] = "Otsu threshold"
    summary: ClassVar[str] = "Splits grey values where the two groups differ most."
    good_for: ClassVar[str] = (
        "Nuclei or cells that are clearly brighter, or darker, than an even background."
    )

    def level(self, histogram: Histogram) -> float:
        """Return scikit-image's."""
        return _by(filters.threshold_otsu, histogram)


class Li(_Automatic):
    """The threshold whose two mean grey values tell most about the image: least cross entropy.

    The iteration of the second paper, started at the mean.

    References
    ----------
    C. H. Li and C. K. Lee, "Minimum cross entropy thresholding", Pattern Recognition 26 (1993)
    617–625.

    C. H. Li and P. K. S. Tam, "An iterative algorithm for minimum cross entropy thresholding",
    Pattern Recognition Letters 19 (1998) 771–776.
    """

    name: ClassVar[str] = "li"
    title: ClassVar[str] = "Li threshold"
    summary: ClassVar[str] = "Splits grey values where least is lost (minimum cross entropy)."
    good_for: ClassVar[str] = (
        "Dim fluorescence on a dark background, of which Otsu's threshold cuts the edges off."
    )

    def level(self, histogram: Histogram) -> float:
        """Iterate until the threshold moves by less than half a bin.

        scikit-image's takes no histogram, and a hundred times as long on floats.
        """
        # Logarithms need grey values above 0.
        grey = histogram.grey - histogram.lowest
        n, total = histogram.counts.cumsum(), (histogram.counts * grey).cumsum()
        level, last = total[-1] / n[-1], -np.inf
        while abs(level - last) > (grey[1] - grey[0]) / 2:
            last = level
            dark = int(np.searchsorted(grey, level, side="right")) - 1
            mean_dark = total[dark] / n[dark]
            mean_bright = (total[-1] - total[dark]) / (n[-1] - n[dark])
            if mean_dark == 0:
                break
            level = (mean_bright - mean_dark) / np.log(mean_bright / mean_dark)
        return float(level + histogram.lowest)


class Triangle(_Automatic):
    """The grey value farthest below a line from the histogram's peak to its farther end.

    References
    ----------
    G. W. Zack, W. E. Rogers and S. A. Latt, "Automatic measurement of sister chromatid exchange
    frequency", Journal of Histochemistry and Cytochemistry 25 (1977) 741–753.
    """

    name: ClassVar[str] = "triangle"
    title: ClassVar[str] = "Triangle threshold"
    summary: ClassVar[str] = "Cuts where the foot of the histogram's main peak ends."
    good_for: ClassVar[str] = (
        "Small or sparse structures, such as spots, in an image that is mostly background."
    )
    n_bins: ClassVar[int] = _COARSE_BINS
    exact: ClassVar[bool] = False

    def level(self, histogram: Histogram) -> float:
        """Return the grey value with the longest perpendicular to the line.

        scikit-image's, which takes no histogram.
        """
        counts, grey = histogram.counts, histogram.grey
        peak = int(counts.argmax())
        if peak < len(counts) - 1 - peak:
            counts, grey, peak = counts[::-1], grey[::-1], len(counts) - 1 - peak
        below_line = counts[peak] * np.arange(peak) - peak * counts[:peak]
        return float(grey[below_line.argmax()])


class Yen(_Automatic):
    """The threshold whose two groups correlate most with what the histogram holds.

    References
    ----------
    J.-C. Yen, F.-J. Chang and S. Chang, "A new criterion for automatic multilevel thresholding",
    IEEE Transactions on Image Processing 4 (1995) 370–378.
    """

    name: ClassVar[str] = "yen"
    title: ClassVar[str] = "Yen threshold"
    summary: ClassVar[str] = "Splits grey values where both groups are most uniform (entropy)."
    good_for: ClassVar[str] = (
        "Few bright structures on a wide dark background, where Otsu's threshold takes in haze."
    )
    n_bins: ClassVar[int] = _COARSE_BINS
    exact: ClassVar[bool] = False

    def level(self, histogram: Histogram) -> float:
        """Return scikit-image's."""
        with np.errstate(divide="ignore"):  # log 0, where rounding leaves nothing beyond a bin
            return _by(filters.threshold_yen, histogram)


class Isodata(_Automatic):
    """The threshold halfway between the means of the two groups that it makes.

    References
    ----------
    T. W. Ridler and S. Calvard, "Picture thresholding using an iterative selection method", IEEE
    Transactions on Systems, Man and Cybernetics 8 (1978) 630–632.
    """

    name: ClassVar[str] = "isodata"
    title: ClassVar[str] = "Isodata threshold"
    summary: ClassVar[str] = "Halfway between the mean of what is bright and of what is dark."
    good_for: ClassVar[str] = (
        "Structures and background of even brightness; the default of ImageJ, to compare with it."
    )

    def level(self, histogram: Histogram) -> float:
        """Return scikit-image's."""
        return _by(filters.threshold_isodata, histogram)


class Minimum(_Automatic):
    """The valley between the two peaks of a histogram, smoothed until there are only two.

    Where there are not two peaks there is no threshold, and nothing is foreground.

    References
    ----------
    J. M. S. Prewitt and M. L. Mendelsohn, "The analysis of cell images", Annals of the New York
    Academy of Sciences 128 (1966) 1035–1053.
    """

    name: ClassVar[str] = "minimum"
    title: ClassVar[str] = "Minimum threshold"
    summary: ClassVar[str] = (
        "The valley between two peaks of the histogram; finds nothing where there are not two."
    )
    good_for: ClassVar[str] = (
        "Images whose histogram has two clear humps; slices without structure stay empty."
    )
    n_bins: ClassVar[int] = _COARSE_BINS
    exact: ClassVar[bool] = False

    def level(self, histogram: Histogram) -> float | None:
        """Return scikit-image's; None where there are not two peaks."""
        try:
            return _by(filters.threshold_minimum, histogram)
        except RuntimeError:
            return None


class Mean(_Automatic):
    """The mean grey value.

    References
    ----------
    C. A. Glasbey, "An analysis of histogram-based thresholding algorithms", CVGIP: Graphical
    Models and Image Processing 55 (1993) 532–537.
    """

    name: ClassVar[str] = "mean"
    title: ClassVar[str] = "Mean threshold"
    summary: ClassVar[str] = "Everything beyond the mean grey value."
    good_for: ClassVar[str] = (
        "Structures that fill about half of the image; a first look that is never far off there."
    )

    def level(self, histogram: Histogram) -> float:
        """Return the mean of the bins, which is exact for small integers."""
        return float(np.average(histogram.grey, weights=histogram.counts))


def _by(threshold: Callable[..., Any], histogram: Histogram) -> float:
    """Return what a function of scikit-image makes of a histogram."""
    return float(threshold(hist=(histogram.counts, histogram.grey)))


OTSU = Otsu()
LI = Li()
TRIANGLE = Triangle()
YEN = Yen()
ISODATA = Isodata()
MINIMUM = Minimum()
MEAN = Mean()
