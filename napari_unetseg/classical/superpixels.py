"""Superpixels: a slice or volume cut into small even areas, which strokes can claim whole."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_unetseg.config import Config

from .channels import steepness, unit_channels
from .flooding import flood
from .step import IN_3D, SMOOTHING, Codes, Kind, Labels, Method, UseOfStrokes, View

_SIZE = "how wide a superpixel is about, in px; larger: fewer of them, which may miss fine detail"


class SuperpixelParams(Config):
    """Parameters of all superpixels."""

    claim: bool = Field(
        False,
        description="off: every superpixel is an object; on: a superpixel takes the class that is "
        "painted most in it, and stays empty without strokes",
    )
    sigma_px: float = Field(1.0, ge=0, le=50, description=SMOOTHING)


class SlicParams(SuperpixelParams):
    """Parameters of SLIC."""

    size_px: float = Field(16.0, ge=2, le=1000, description=_SIZE)
    compactness: float = Field(
        0.2,
        gt=0,
        le=100,
        description="higher: superpixels are square and of one size; lower: they keep to edges. At "
        "0.2, a fifth of the range of grey values counts as much as the width of a superpixel",
    )
    in_3d: bool = Field(False, description=IN_3D)


class FelzenszwalbParams(SuperpixelParams):
    """Parameters of Felzenszwalb's superpixels."""

    scale: float = Field(
        50.0, gt=0, le=1_000_000, description="larger: fewer and larger superpixels"
    )
    min_area_px: int = Field(
        50, ge=1, le=1_000_000, description="smaller superpixels are joined to a neighbour, in px"
    )


class CompactWatershedParams(SuperpixelParams):
    """Parameters of the compact watershed."""

    size_px: float = Field(16.0, ge=2, le=1000, description=_SIZE)
    compactness: float = Field(
        0.03,
        ge=0,
        le=1000,
        description="higher: superpixels are square and of one size; 0: they keep to edges. At 1, "
        "the usual steepness of the image counts as much as a px of distance",
    )
    in_3d: bool = Field(False, description=IN_3D)


P = TypeVar("P", bound=SuperpixelParams)


class _Superpixels(Method[P]):
    """A method that cuts a view up, and gives the pieces to strokes where that is asked for."""

    family: ClassVar[str] = "Superpixels"
    answers: ClassVar[Kind] = "objects"
    groups: ClassVar[bool] = True
    is_slow: ClassVar[bool] = True

    def answers_with(self, params: P) -> Kind:
        """Return classes where strokes claim superpixels."""
        return "classes" if params.claim else "objects"

    def use_of_strokes(self, params: P) -> UseOfStrokes:
        """Need strokes where they claim superpixels."""
        return "needed" if params.claim else "unused"

    def segment(self, view: View, params: P, prepared: Any = None) -> Labels:
        """Cut the view up."""
        if not params.claim:
            return self.cut(view, params)
        if view.strokes is None or not view.strokes.any():
            return np.zeros(view.shape, np.uint8)
        return claimed(self.cut(view, params), view.strokes)

    @abstractmethod
    def cut(self, view: View, params: P) -> npt.NDArray[np.uint32]:
        """Return ids from 1 on; every pixel has one."""


class Slic(_Superpixels[SlicParams]):
    """k-means of grey value or colour and position, from a regular grid.

    Channels count alike, as they are: colours are not converted.

    References
    ----------
    R. Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", IEEE
    Transactions on Pattern Analysis and Machine Intelligence 34 (2012) 2274–2282.
    """

    name: ClassVar[str] = "slic"
    title: ClassVar[str] = "SLIC superpixels"
    summary: ClassVar[str] = "Cuts the image into pieces of about equal size that keep to edges."
    good_for: ClassVar[str] = (
        "Painting faster: dab at pieces of a structure, and each is filled to its outline."
    )
    params = SlicParams

    def cut(self, view: View, params: SlicParams) -> npt.NDArray[np.uint32]:
        """Cluster pixels around a regular grid."""
        from skimage.segmentation import slic

        channels = unit_channels(view, params.sigma_px)
        steps = view.per_axis(1.0)
        # Along an axis that is shorter than a superpixel, there is one.
        along = np.array(view.shape) / view.per_axis(params.size_px)
        ids: Any = slic(
            channels,
            n_segments=max(1, round(np.prod(np.maximum(along, 1)))),
            compactness=params.compactness,
            spacing=[1 / step for step in steps],
            convert2lab=False,
            channel_axis=0,
        )
        return np.asarray(ids, np.uint32)

    def grid(self, views: Sequence[View]) -> Iterator[SlicParams]:
        """Try sizes, where strokes claim them."""
        for size in (8, 16, 32):
            yield SlicParams(claim=True, size_px=size)


class Felzenszwalb(_Superpixels[FelzenszwalbParams]):
    """Neighbours are joined as long as they differ less than each does within itself.

    Of single slices alone.

    References
    ----------
    P. F. Felzenszwalb and D. P. Huttenlocher, "Efficient graph-based image segmentation",
    International Journal of Computer Vision 59 (2004) 167–181.
    """

    name: ClassVar[str] = "felzenszwalb"
    title: ClassVar[str] = "Felzenszwalb superpixels"
    summary: ClassVar[str] = (
        "Joins pixels to pieces that are small where there is detail and large where there is none."
    )
    good_for: ClassVar[str] = (
        "Images with large even areas beside fine detail, such as stained tissue on glass."
    )
    params = FelzenszwalbParams

    def cut(self, view: View, params: FelzenszwalbParams) -> npt.NDArray[np.uint32]:
        """Join pixels."""
        from skimage.segmentation import felzenszwalb

        channels = unit_channels(view, params.sigma_px)
        # Four channels and more are meant; threads share filters, so that none is set for a moment.
        warnings.filterwarnings("ignore", "Got image with third dimension", RuntimeWarning)
        ids: Any = felzenszwalb(
            channels, params.scale, sigma=0, min_size=params.min_area_px, channel_axis=0
        )
        return np.asarray(ids + 1, np.uint32)

    def grid(self, views: Sequence[View]) -> Iterator[FelzenszwalbParams]:
        """Try scales, where strokes claim the pieces."""
        for scale in (30, 100, 300):
            yield FelzenszwalbParams(claim=True, scale=scale)


class CompactWatershed(_Superpixels[CompactWatershedParams]):
    """A watershed from a regular grid of points in which distance counts beside steepness.

    References
    ----------
    P. Neubert and P. Protzel, "Compact watershed and preemptive SLIC: on improving trade-offs of
    superpixel segmentation algorithms", International Conference on Pattern Recognition 2014.
    """

    name: ClassVar[str] = "compact_watershed"
    title: ClassVar[str] = "Compact watershed"
    summary: ClassVar[str] = "Floods the image from a grid of points, each to a small piece."
    good_for: ClassVar[str] = (
        "Painting faster where outlines are lines, such as membranes: pieces end on them."
    )
    params = CompactWatershedParams

    def cut(self, view: View, params: CompactWatershedParams) -> npt.NDArray[np.uint32]:
        """Flood from a grid."""
        steep = steepness(view, params.sigma_px)
        usual = float(steep.mean())
        markers = grid_points(view.shape, view.per_axis(params.size_px))
        found = flood(steep, markers, compactness=params.compactness * (usual or 1.0))
        return found.astype(np.uint32)

    def grid(self, views: Sequence[View]) -> Iterator[CompactWatershedParams]:
        """Try sizes, where strokes claim them."""
        for size in (8, 16, 32):
            yield CompactWatershedParams(claim=True, size_px=size)


def grid_points(shape: Sequence[int], steps: Sequence[float]) -> npt.NDArray[np.int32]:
    """Return numbers from 1 on at the points of a regular grid, 0 elsewhere.

    >>> grid_points((2, 5), (2.0, 2.0))
    array([[0, 0, 0, 0, 0],
           [0, 1, 0, 2, 0]], dtype=int32)
    """
    axes = []
    for length, step in zip(shape, steps, strict=True):
        n = max(1, int(length / max(step, 1)))
        axes.append(((np.arange(n) + 0.5) * length / n).astype(int))
    points = np.zeros(tuple(shape), np.int32)
    where = np.ix_(*axes)
    points[where] = np.arange(1, points[where].size + 1).reshape(points[where].shape)
    return points


def claimed(ids: npt.NDArray[np.uint32], strokes: Codes) -> Codes:
    """Give each superpixel the code that most of the strokes in it have; 0 without strokes.

    Of codes that are as frequent, the lowest counts.
    """
    painted = strokes > 0
    n_codes = int(strokes.max()) + 1
    pairs = ids[painted].astype(np.int64) * n_codes + strokes[painted]
    counts = np.bincount(pairs, minlength=(int(ids.max()) + 1) * n_codes).reshape(-1, n_codes)
    return np.asarray(counts.argmax(axis=1), np.uint8)[ids]


SLIC = Slic()
FELZENSZWALB = Felzenszwalb()
COMPACT_WATERSHED = CompactWatershed()
