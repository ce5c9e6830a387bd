"""A fully connected conditional random field, inferred by mean field."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_unetseg.config import BACKGROUND, UNLABELLED, Config
from napari_unetseg.errors import UserError

from .grey import sample
from .step import IN_3D, Codes, Labels, Pixels, Refinement, View

Image: TypeAlias = npt.NDArray[np.float32]

#: No class is less probable than this: a network may err.
_LEAST = 1e-4

#: Cells per standard deviation along an axis, and how far a Gaussian reaches, in standard
#: deviations: kernels are right within 0.2 %.
_CELLS, _REACH = 1.25, 2.6

#: Pixels along an axis that are added up in cells at once: few, as matrices of few pixels and the
#: cells near them have hardly any zeros; not too few, as each is a call.
_BLOCK_PX = 32

#: Different greys or colours that are told apart at most, and what of a kernel between them may be
#: left out.
_MOST_COLOURS, _LEFT_OUT = 512, 0.01

#: Features of colours at most: images of very many colours are told apart less well.
_MOST_FEATURES = 64


class CRFParams(Config):
    """Parameters of the conditional random field."""

    appearance: float = Field(
        2.0,
        ge=0,
        le=20,
        description="how much pixels that are near and look alike sway each other; higher: "
        "outlines follow edges of the image; 0: not",
    )
    appearance_px: float = Field(
        2.0,
        ge=1,
        le=100,
        description="how near these are: standard deviation in px; higher reaches farther, and "
        "takes longer",
    )
    contrast_percent: float = Field(
        20.0,
        ge=2,
        le=100,
        description="how alike these look: standard deviation in % of the range of grey values; "
        "lower: faint edges part classes, too",
    )
    smoothness: float = Field(
        1.0,
        ge=0,
        le=20,
        description="how much pixels that are near sway each other, however they look; higher: "
        "smoother outlines, and specks go; 0: not",
    )
    smoothness_px: float = Field(
        2.0,
        ge=0.5,
        le=50,
        description="how near these are: standard deviation in px; higher: larger specks go",
    )
    confidence_percent: float = Field(
        65.0,
        ge=51,
        le=99,
        description="how certain labels are where no method tells how probable classes are; higher "
        "changes less",
    )
    n_iterations: int = Field(
        5,
        ge=1,
        le=20,
        description="how often all pixels hear of each other; more lets far ones agree, and takes "
        "longer",
    )
    in_3d: bool = Field(False, description=IN_3D)


class ConditionalRandomField(Refinement[CRFParams]):
    r"""The most probable classes, where each pixel listens to the image and to all other pixels.

    The field of labels :math:`Y` given the image :math:`X` is a product of factors,

    .. math:: P(Y | X) = \frac{1}{Z(X)} \prod_i \phi_i(X, Y_i) \prod_{i < j} \phi_{ij}(X, Y_i, Y_j)

    *Node factors* :math:`\phi_i(X, Y_i)` can use any features of the image; here they are how
    probable a method or a network finds each class at pixel :math:`i`. Where nothing tells that,
    or a step in between has decided otherwise, the label has a stated confidence.

    *Pairwise factors* are :math:`\phi_{ij} = \exp\{-\mathbf{1}\{Y_i \ne Y_j\} \sum_m w_m
    k_m(i, j)\}`: labels that differ cost (Potts), the more so the nearer and the more alike pixels
    are. With positions :math:`p` and grey values or colours :math:`I`, the appearance kernel is
    :math:`\exp(-|p_i - p_j|^2 / 2\theta_\alpha^2 - |I_i - I_j|^2 / 2\theta_\beta^2)` and the
    smoothness kernel :math:`\exp(-|p_i - p_j|^2 / 2\theta_\gamma^2)`. Both are normalised
    symmetrically, so that weights mean the same at all widths.

    Without pairwise factors, and with one feature, this is logistic regression. With them,
    inference is approximate: mean field, where all pixels' distributions are updated at once.

    Notes
    -----
    Messages are exact up to about 1 %: a Gaussian of differences is a sum of products of Gaussians
    around cells of a coarse grid, and the kernel between grey values, or colours, a sum of
    products of its largest eigenvectors. Beyond three channels, their principal components count.

    References
    ----------
    P. Krähenbühl and V. Koltun, "Efficient inference in fully connected CRFs with Gaussian edge
    potentials", NIPS (2011) 109–117; J. Lafferty, A. McCallum and F. Pereira, "Conditional random
    fields: probabilistic models for segmenting and labeling sequence data", ICML (2001) 282–289.
    """

    name: ClassVar[str] = "crf"
    title: ClassVar[str] = "Conditional random field"
    family: ClassVar[str] = "Refinement"
    summary: ClassVar[str] = "Lets pixels that are near and look alike agree on a class."
    good_for: ClassVar[str] = (
        "Grainy answers of a pixel classifier, whose outlines should follow the image; a network "
        "gains little; slow."
    )
    params = CRFParams
    is_slow: ClassVar[bool] = True
    wants_probabilities: ClassVar[bool] = True

    def apply(self, labels: Labels, view: View, params: CRFParams) -> Codes:
        """Return the most probable code of each pixel.

        Raises
        ------
        UserError
            If labels are ids of objects.
        """
        if labels.dtype != np.uint8:
            raise UserError(
                "A conditional random field weighs classes, not objects: put it before the step "
                "that makes objects."
            )
        codes = np.array(labels, np.uint8)
        said = codes != UNLABELLED
        if not said.any():
            return codes
        probabilities = node_factors(codes, view, params.confidence_percent / 100)
        factors = pairwise_factors(view, said, params)
        inferred = mean_field(probabilities, factors, params.n_iterations)
        found = (inferred.argmax(axis=0) + BACKGROUND).astype(np.uint8)
        return np.where(said, found, np.uint8(UNLABELLED))


def node_factors(labels: Codes, view: View, confidence: float) -> Image:
    """Return how probable each class is before pixels have heard of each other.

    Parameters
    ----------
    labels : ndarray, uint8
    confidence : float
        How probable the class of `labels` is where the view does not tell.

    Returns
    -------
    ndarray, shape (classes, …), float32
        Background first. Where nothing is said, all are alike.
    """
    told = view.probabilities
    n = max(2, int(labels.max()), 0 if told is None else len(told))
    shape = (n, *labels.shape)
    factors = np.full(shape, (1 - confidence) / (n - 1), np.float32)
    for k in range(n):
        factors[k][labels == k + 1] = confidence
    if told is not None:
        agrees = told.argmax(axis=0) + BACKGROUND == labels
        agrees &= told.max(axis=0) > 0
        factors[:, agrees] = 0
        factors[: len(told), agrees] = told[:, agrees]
    factors[:, labels == UNLABELLED] = 1 / n
    return np.maximum(factors, np.float32(_LEAST))


@dataclass(frozen=True, slots=True)
class PairwiseFactor:
    """A kernel between all pixels, normalised and weighed.

    Attributes
    ----------
    product : callable
        The kernel, each pixel with itself included, times an image.
    scale : ndarray
        √w / √(sum of the kernel); 0 where nothing is said.
    """

    product: Callable[[Image], Image]
    scale: Image

    @classmethod
    def of(cls, product: Callable[[Image], Image], weight: float, said: Any) -> PairwiseFactor:
        """Normalise a kernel by what pixels hear of all others and of themselves."""
        heard = np.maximum(product(said.astype(np.float32)), 1)
        return cls(product, np.where(said, np.sqrt(np.float32(weight) / heard), 0))

    def message(self, image: Image) -> Image:
        """Return what each pixel hears of the others: Σⱼ≠ᵢ w k(i, j) imageⱼ."""
        scaled = self.scale * image
        heard = self.product(scaled)
        heard -= scaled
        heard *= self.scale
        return heard


def pairwise_factors(view: View, said: Any, params: CRFParams) -> list[PairwiseFactor]:
    """Return the appearance and the smoothness factor, those that weigh anything."""
    factors = []
    if params.appearance > 0:
        kernel = AppearanceKernel(view, params.appearance_px, params.contrast_percent / 100)
        factors.append(PairwiseFactor.of(kernel, params.appearance, said))
    if params.smoothness > 0:
        near = SmoothnessKernel(view, params.smoothness_px)
        factors.append(PairwiseFactor.of(near, params.smoothness, said))
    return factors


def mean_field(probabilities: Image, factors: Sequence[PairwiseFactor], n_iterations: int) -> Image:
    """Return each pixel's distribution over classes, after so many rounds of updates.

    Parameters
    ----------
    probabilities : ndarray, shape (classes, …), float32
        Node factors, above 0.

    Returns
    -------
    ndarray, shape (classes, …), float32
    """
    unary = np.log(probabilities)
    inferred = _softmax(unary.copy())
    everything = np.ones(unary.shape[1:], np.float32)
    # What is heard of all classes together does not change.
    totals = [factor.message(everything) for factor in factors]
    for _ in range(n_iterations):
        energy = unary.copy()
        for factor, total in zip(factors, totals, strict=True):
            rest = total.copy()
            for k in range(len(unary) - 1):
                heard = factor.message(inferred[k])
                energy[k] += heard
                rest -= heard
            energy[-1] += rest
        inferred = _softmax(energy)
    return inferred


def _softmax(energy: Image) -> Image:
    energy -= energy.max(axis=0)
    np.exp(energy, out=energy)
    energy /= energy.sum(axis=0)
    return energy


class SmoothnessKernel:
    """A Gaussian of the distance.

    Parameters
    ----------
    view : View
    sigma_px : float
        Standard deviation.
    """

    def __init__(self, view: View, sigma_px: float) -> None:
        self._grids = [
            Grid.over(size, sigma)
            for size, sigma in zip(view.shape, view.per_axis(sigma_px), strict=True)
        ]

    def __call__(self, image: Image) -> Image:
        """Return the kernel times an image."""
        for axis, grid in enumerate(self._grids):
            image = grid.to_cells(image, axis)
        for axis, grid in enumerate(self._grids):
            image = grid.to_pixels(image, axis)
        return image


class AppearanceKernel(SmoothnessKernel):
    """A Gaussian of the distance times one of the difference in grey value or colour.

    Parameters
    ----------
    view : View
    sigma_px : float
        Standard deviation of positions.
    contrast : float
        That of grey values, as a share of their range.
    """

    def __init__(self, view: View, sigma_px: float, contrast: float) -> None:
        super().__init__(view, sigma_px)
        self._index, self._features = colour_features(view.pixels, contrast)

    def __call__(self, image: Image) -> Image:
        """Return the kernel times an image."""
        total = np.zeros_like(image)
        for feature in self._features:
            weight = np.take(feature, self._index)
            weight *= super().__call__(weight * image)
            total += weight
        return total


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells along an axis, such that going to cells and back is a Gaussian.

    A Gaussian of the distance of pixels is the sum over cells of the product of Gaussians of their
    distances from the cell, of standard deviation `sigma` / √2.

    Attributes
    ----------
    n : int
        Of pixels.
    n_cells : int
    blocks : list of (slice, slice, ndarray)
        Pixels, the cells that are near them, and weights, shape (cells, pixels).
    """

    n: int
    n_cells: int
    blocks: list[tuple[slice, slice, Image]]

    @classmethod
    def over(cls, n: int, sigma: float) -> Grid:
        """Lay a grid over pixels, and beyond their ends as far as a Gaussian reaches."""
        step, reach = sigma / _CELLS, _REACH * sigma
        n_cells = math.ceil((n - 1) / step) + 2 * math.ceil(reach / step) + 1
        middles = (np.arange(n_cells) - (n_cells - 1) / 2) * step + (n - 1) / 2
        height = math.sqrt(step / (sigma * math.sqrt(math.pi / 2)))
        blocks = []
        for first in range(0, n, _BLOCK_PX):
            x = np.arange(first, min(first + _BLOCK_PX, n))
            near = slice(*np.searchsorted(middles, (x[0] - reach, x[-1] + reach)))
            apart = x - middles[near, np.newaxis]
            weights = (height * np.exp(-((apart / sigma) ** 2))).astype(np.float32)
            blocks.append((slice(first, first + len(x)), near, weights))
        return cls(n, n_cells, blocks)

    def to_cells(self, image: Image, axis: int) -> Image:
        """Add pixels up in cells."""
        flat, out = _opened(image, axis, self.n_cells)
        for pixels, cells, weights in self.blocks:
            out[:, cells] += _product(weights, flat[:, pixels])
        return out.reshape(*image.shape[:axis], self.n_cells, *image.shape[axis + 1 :])

    def to_pixels(self, image: Image, axis: int) -> Image:
        """Add cells up in pixels."""
        flat, out = _opened(image, axis, self.n)
        for pixels, cells, weights in self.blocks:
            out[:, pixels] = _product(weights.T, flat[:, cells])
        return out.reshape(*image.shape[:axis], self.n, *image.shape[axis + 1 :])


def _opened(image: Image, axis: int, n: int) -> tuple[Image, Image]:
    """Return an image as (before, axis, after), and zeros with `n` along that axis."""
    before, after = math.prod(image.shape[:axis]), math.prod(image.shape[axis + 1 :])
    flat = image.reshape(before, image.shape[axis], after)
    return flat, np.zeros((before, n, after), np.float32)


def _product(weights: Image, block: Image) -> Image:
    """Multiply weights with a block along its middle axis."""
    if block.shape[-1] == 1:
        return np.asarray(block[..., 0] @ weights.T)[..., np.newaxis]
    return np.asarray(weights @ block)


def colour_features(pixels: Pixels, contrast: float) -> tuple[npt.NDArray[np.intp], Image]:
    """Return which colour each pixel has, and features whose products are the kernel of colours.

    Returns
    -------
    index : ndarray, shape without C
    features : ndarray, shape (R, colours), float32
    """
    index, colours = _palette(_scaled(pixels) / np.float32(contrast))
    apart = ((colours[:, np.newaxis] - colours) ** 2).sum(axis=-1)
    values, vectors = np.linalg.eigh(np.exp(-0.5 * apart))
    features = vectors[:, ::-1] * np.sqrt(np.maximum(values[::-1], 0))
    left_out = 1 - (features**2).cumsum(axis=1).min(axis=0)
    n = min(1 + np.count_nonzero(left_out > _LEFT_OUT), len(colours), _MOST_FEATURES)
    return index, np.ascontiguousarray(features[:, :n].T, np.float32)


def _scaled(pixels: Pixels) -> Image:
    """Return channels, or their three principal components, from 0 to 1; shape (C, …)."""
    scaled = np.empty(pixels.shape, np.float32)
    if pixels.dtype == bool:
        pixels = pixels.view(np.uint8)
    for channel, out in zip(pixels, scaled, strict=True):
        low, high = np.percentile(sample([channel]), (1, 99))
        span = high - low
        out[...] = np.clip((channel - low) / span, 0, 1) if span > 0 else 0
    if len(scaled) <= 3:
        return scaled
    flat = scaled.reshape(len(scaled), -1)
    _, axes = np.linalg.eigh(np.cov(flat))
    turned = axes[:, -3:].T.astype(np.float32) @ (flat - flat.mean(axis=1, keepdims=True))
    return np.asarray(turned.reshape(3, *pixels.shape[1:]))


def _palette(scaled: Image) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return the colour of each pixel as a number, and colours, shape (colours, C).

    Colours are told apart as finely as their number allows.

    Parameters
    ----------
    scaled : ndarray, shape (C, …)
        In standard deviations of the kernel.
    """
    for fineness in (16.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.125):
        cells = np.rint(scaled * fineness).astype(np.int32)
        cells -= cells.reshape(len(cells), -1).min(axis=1).reshape(-1, *[1] * (cells.ndim - 1))
        sides = cells.reshape(len(cells), -1).max(axis=1) + 1
        number = np.ravel_multi_index(tuple(cells), tuple(sides))
        counts = np.bincount(number.ravel())
        n = np.count_nonzero(counts)
        if n <= _MOST_COLOURS:
            break
    place = (counts > 0).cumsum() - 1
    index = place[number]
    sums = [np.bincount(index.ravel(), channel.ravel(), n) for channel in scaled]
    return index, np.stack(sums, axis=1) / np.bincount(index.ravel())[:, np.newaxis]


CRF = ConditionalRandomField()
