"""A pixel classifier: a forest that learns from strokes what pixels of each class look like."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from napari_unetseg.config import BACKGROUND, UNLABELLED, Config
from napari_unetseg.errors import UserError

from .features_at import features_at, squares_around
from .filter_bank import Bank, Image, filter_bank, in_blocks
from .kept import Kept, digest
from .step import IN_3D, Codes, Method, View
from .threads import parts_pool
from .trees import TrainedForest, forest_from_arrays, grown

#: Features of slices seen last are kept, so that after a stroke trees alone are to be waited for:
#: of four slices of 1024 × 1024 px with one channel.
_KEPT_BYTES = 2**29

#: And the sampled pixels of annotated slices, until something is painted there.
_KEPT_SAMPLE_BYTES = 2**28

#: Pixels that one thread takes through all trees, so that they stay in its cache.
_CHUNK_PX = 2**15

_Samples = tuple[Image, Codes]

_features: Kept[Image] = Kept(_KEPT_BYTES, lambda features: features.nbytes)
_samples: Kept[_Samples] = Kept(_KEPT_SAMPLE_BYTES, lambda sample: sample[0].nbytes)


class ForestParams(Config):
    """Parameters of the pixel classifier."""

    sigma_min_px: float = Field(
        1.0,
        ge=0.3,
        le=50,
        description="the finest detail that is looked at, in px; higher ignores grain",
    )
    sigma_max_px: float = Field(
        8.0,
        ge=0.3,
        le=50,
        description="how far around a pixel is looked, in px, in steps that double from the "
        "finest; higher tells apart what differs in its surroundings, and takes longer",
    )
    edges: bool = Field(True, description="look at edges: how steep and how bent brightness is")
    lines: bool = Field(True, description="look at lines and spots, bright and dark")
    texture: bool = Field(
        True, description="look at texture: how strong edges nearby are, and if they run one way"
    )
    balance: float = Field(
        0.5,
        ge=0,
        le=1,
        description="how much a class counts of which little is painted; higher: more of it is "
        "found; 1: it counts as much as the others; 0: as little as is painted of it, for slices "
        "that are painted completely",
    )
    n_trees: int = Field(
        20, ge=1, le=500, description="trees that vote; more are steadier and slower"
    )
    n_px: int = Field(
        40_000,
        ge=100,
        le=1_000_000,
        description="annotated pixels that are learned from, drawn evenly from classes and slices; "
        "more are steadier and slower",
    )
    in_3d: bool = Field(False, description=IN_3D)
    seed: int = Field(
        0, ge=0, le=2**32 - 1, description="another number makes other random choices"
    )

    @model_validator(mode="after")
    def _check_scales(self) -> Self:
        if self.sigma_max_px < self.sigma_min_px:
            raise ValueError("sigma_max_px must be at least sigma_min_px")
        return self

    def bank(self) -> Bank:
        """Return the filters."""
        n = int(np.log2(self.sigma_max_px / self.sigma_min_px) + 1e-9) + 1
        scales = tuple(self.sigma_min_px * 2.0**i for i in range(n))
        return Bank(scales, self.edges, self.lines, self.texture)


class Forest(Method[ForestParams]):
    """Extremely randomised trees on a bank of filters, grown from annotated pixels.

    References
    ----------
    P. Geurts, D. Ernst, L. Wehenkel, "Extremely randomized trees", Machine Learning 63 (2006) 3–42.

    C. Sommer, C. Straehle, U. Köthe, F. A. Hamprecht, "ilastik: interactive learning and
    segmentation toolkit", IEEE International Symposium on Biomedical Imaging (2011) 230–233.
    """

    name: ClassVar[str] = "forest"
    title: ClassVar[str] = "Pixel classifier"
    family: ClassVar[str] = "Pixel classifier"
    summary: ClassVar[str] = (
        "A random forest learns from your strokes what pixels of each class look like."
    )
    good_for: ClassVar[str] = (
        "Structures that differ in texture, edges or colour rather than in brightness alone, once "
        "you have painted some of each class."
    )
    needs_strokes: ClassVar[bool] = True
    #: While one paints, half a second for a slice of 1024 × 1024 px would be long.
    previews_part: ClassVar[bool] = True
    params = ForestParams

    def n_codes_needed(self, params: ForestParams) -> int:
        """Need two to tell apart."""
        return 2

    def prepare_on(self, params: ForestParams) -> Literal["strokes"]:
        """Ask for all views with strokes."""
        return "strokes"

    def prepare(self, views: Sequence[View], params: ForestParams) -> TrainedForest:
        """Grow the forest from the annotated pixels of all views.

        Raises
        ------
        UserError
            If fewer than two classes are annotated, or views differ in channels.
        """
        return grown(*learned_from(views, params), n_trees=params.n_trees, seed=params.seed)

    def to_arrays(self, prepared: TrainedForest) -> dict[str, npt.NDArray[Any]]:
        """Return the trees."""
        return prepared.to_arrays()

    def from_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> TrainedForest:
        """Return the forest of these trees."""
        return forest_from_arrays(arrays)

    def segment(
        self, view: View, params: ForestParams, prepared: TrainedForest | None = None
    ) -> Codes:
        """Return the class that most trees vote for.

        Raises
        ------
        UserError
            If the forest is of images with other channels, or nothing was prepared and the view
            has no strokes of two classes.
        """
        forest = self._forest(view, params, prepared)
        codes = np.empty(view.shape, np.uint8)
        for part, describe in _described(view, params.bank()):
            codes[part] = _asked(forest.decide, describe())
        return codes

    def probabilities(
        self, view: View, params: ForestParams, prepared: TrainedForest | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the share of votes of background and each class, shape (classes, …)."""
        forest = self._forest(view, params, prepared)
        shares = np.zeros((int(forest.codes[-1]), *view.shape), np.float32)
        for part, describe in _described(view, params.bank()):
            told = np.moveaxis(_asked(forest.shares, describe()), -1, 0)
            shares[forest.codes - BACKGROUND, part] = told
        return shares

    def grid(self, views: Sequence[View]) -> Iterator[ForestParams]:
        """Try to look farther, and to count classes as they are painted."""
        for sigma_max_px in (8.0, 16.0):
            for balance in (0.5, 0.0):
                yield ForestParams(sigma_max_px=sigma_max_px, balance=balance, n_px=60_000)

    def _forest(
        self, view: View, params: ForestParams, prepared: TrainedForest | None
    ) -> TrainedForest:
        forest = self.prepare([view], params) if prepared is None else prepared
        if forest.n_features != params.bank().n_features(view):
            raise UserError(
                f"The pixel classifier learned from {forest.n_features} features of each pixel, "
                f"and this image has {params.bank().n_features(view)}: the number of channels, or "
                "of filters, is another."
            )
        return forest


def _described(view: View, bank: Bank) -> Iterator[tuple[slice, Callable[[], Image]]]:
    """Yield parts of a view along its first axis, and what returns their features, (F, …)."""
    if bank.n_features(view) * math.prod(view.shape) * 4 <= _KEPT_BYTES:
        key = _key(view, bank)
        yield (
            slice(0, view.shape[0]),
            lambda: _features.once(key, lambda: filter_bank(view, bank)),
        )
        return
    for part, around, inner in in_blocks(view, bank):
        yield part, partial(_of_block, around, bank, inner)


def _of_block(around: View, bank: Bank, inner: slice) -> Image:
    return filter_bank(around, bank)[:, inner]


def _asked(ask: Callable[[Image], npt.NDArray[Any]], features: Image) -> npt.NDArray[Any]:
    """Ask the trees about every pixel, on all cores; features have the shape (F, …)."""
    flat = features.reshape(len(features), -1)
    starts = range(0, flat.shape[1], _CHUNK_PX)

    def part(start: int) -> npt.NDArray[Any]:
        return ask(np.ascontiguousarray(flat[:, start : start + _CHUNK_PX].T))

    found = np.concatenate(list(parts_pool().map(part, starts)))
    return found.reshape(*features.shape[1:], *found.shape[1:])


def _key(view: View, bank: Bank) -> tuple[object, ...]:
    return digest(view.pixels), view.z_px if view.ndim == 3 else 1.0, bank


# ------------------------------------------------------------------- samples


def learned_from(
    views: Sequence[View], params: ForestParams
) -> tuple[Image, Codes, npt.NDArray[np.float32]]:
    """Return the annotated pixels that a forest grows from.

    Returns
    -------
    features : ndarray, shape (n, F), float32
    codes : ndarray, shape (n,), uint8
    weights : ndarray, shape (n,), float32
        How much each counts; 1 on average.

    Raises
    ------
    UserError
        If fewer than two classes are annotated, or views differ in channels.
    """
    painted = [view for view in views if view.strokes is not None and view.strokes.any()]
    n_painted = sum((_n_painted(view) for view in painted), np.zeros(256, np.int64))
    if np.count_nonzero(n_painted) < 2:
        raise UserError(
            "The pixel classifier needs annotations of at least two classes (background is "
            f"one); got {np.count_nonzero(n_painted)}. Paint some of each."
        )
    n_channels = {len(view.pixels) for view in painted}
    if len(n_channels) > 1:
        raise UserError(
            "The pixel classifier learns from images with as many channels; got some with "
            f"{' and some with '.join(map(str, sorted(n_channels)))}."
        )
    features, codes = _drawn([_sampled(view, params) for view in painted], params)
    wanted = n_painted ** (1 - params.balance)
    weights = (wanted / np.maximum(np.bincount(codes, minlength=256), 1))[codes]
    weights = (weights / weights.mean()).astype(np.float32)
    return features, codes, weights


def _n_painted(view: View) -> npt.NDArray[np.int64]:
    """Return how many pixels of each code there are, shape (256,); 0 of those without one."""
    counts = np.bincount(np.ravel(view.strokes), minlength=256)  # type: ignore[arg-type]
    counts[UNLABELLED] = 0
    return counts


def _sampled(view: View, params: ForestParams) -> _Samples:
    """Return features, shape (n, F), and codes of some annotated pixels: of each code enough."""
    strokes = np.asarray(view.strokes)
    bank = params.bank()
    key = (_key(view, bank), digest(strokes), params.n_px, params.seed)
    return _samples.once(key, lambda: _sample(view, strokes.ravel(), bank, params))


def _sample(view: View, strokes: Codes, bank: Bank, params: ForestParams) -> _Samples:
    random = np.random.default_rng(params.seed)
    chosen = []
    for code in np.unique(strokes[strokes != UNLABELLED]):
        of_code = np.flatnonzero(strokes == code)
        n = min(len(of_code), params.n_px)
        chosen.append(np.sort(random.choice(of_code, n, replace=False, shuffle=False)))
    where = np.sort(np.concatenate(chosen))
    return _features_of(view, bank, where), strokes[where]


def _features_of(view: View, bank: Bank, where: npt.NDArray[np.int64]) -> Image:
    """Return features of some pixels, numbered in the order of rows, shape (n, F).

    Of slices they are computed around these alone, where that is less work.
    """
    if view.ndim == 2 and _features.found(_key(view, bank)) is None:
        y, x = np.divmod(where, view.shape[1])
        squares = squares_around(y, x, bank)
        if squares.cost_px(bank) < math.prod(view.shape):
            return features_at(view.pixels, y, x, squares, bank)
    features = np.empty((len(where), bank.n_features(view)), np.float32)
    per_step = math.prod(view.shape[1:])
    for part, describe in _described(view, bank):
        first, last = np.searchsorted(where, (part.start * per_step, part.stop * per_step))
        if first < last:
            found = describe().reshape(features.shape[1], -1)
            features[first:last] = found[:, where[first:last] - part.start * per_step].T
    return features


def _drawn(samples: Sequence[_Samples], params: ForestParams) -> _Samples:
    """Draw pixels evenly from classes, and of each class evenly from views."""
    random = np.random.default_rng(params.seed)
    counts = np.stack([np.bincount(codes, minlength=256) for _, codes in samples])
    features, codes = [], []
    for code, n in enumerate(fair_shares(counts.sum(axis=0), params.n_px)):
        for (of_view, at), n_here in zip(samples, fair_shares(counts[:, code], n), strict=True):
            if n_here:
                here = np.flatnonzero(at == code)
                chosen = np.sort(random.choice(here, n_here, replace=False, shuffle=False))
                features.append(of_view[chosen])
                codes.append(at[chosen])
    return np.concatenate(features), np.concatenate(codes)


def fair_shares(available: npt.NDArray[np.int64], total: int) -> list[int]:
    """Share `total` out as evenly as what is available allows.

    >>> fair_shares(np.array([3, 100, 0, 100]), 43)
    [3, 20, 0, 20]
    """
    shares = np.zeros(len(available), np.int64)
    left = min(int(total), int(available.sum()))
    for rank, i in enumerate(np.argsort(available, kind="stable")):
        shares[i] = min(int(available[i]), left // (len(available) - rank))
        left -= int(shares[i])
    return shares.tolist()


FOREST = Forest()
