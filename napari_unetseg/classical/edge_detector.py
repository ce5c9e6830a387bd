"""What all edge detectors have in common: lines, or the areas that lines bound."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from .areas_between_edges import EdgeOutput, Mask, close_gaps, fill_regions, flood_regions, widen
from .gradients import Image
from .grey import sample
from .method import BaselineParams, LevelMethod, Levels, foreground_codes, nowhere
from .step import Codes, Pixels


class EdgeParams(BaselineParams):
    """Parameters of every edge detector; `foreground` says which side of the edges is meant."""

    output: EdgeOutput = Field(
        "regions",
        description="regions: all areas between edges; enclosed: only areas closed on all sides; "
        "watershed: areas grown from all flat places until they meet on the steepest lines; "
        "edges: the edge lines themselves",
    )
    close_px: int = Field(
        1,
        ge=0,
        le=20,
        description="bridge gaps in the edges up to twice this many px; more closes more outlines, "
        "and may join what lies close together",
    )
    widen_px: int = Field(
        1,
        ge=0,
        le=20,
        description="by how many px edge lines are widened on each side, where edges are segmented",
    )


E = TypeVar("E", bound=EdgeParams)


class EdgeDetector(LevelMethod[E]):
    """Features are the smoothed intensity and how steep edges are, shape (2 or more, …).

    Levels are the grey value halfway up the edges, then thresholds of the steepness. The former is
    the mean grey value weighted by steepness (J. Kittler, J. Illingworth and J. Föglein,
    "Threshold selection based on a simple image statistic", Computer Vision, Graphics and Image
    Processing 30 (1985) 125–147).

    Attributes
    ----------
    wide : bool
        Whether edges are as wide as it is steep, not lines of one pixel.
    """

    wide: ClassVar[bool] = False
    family: ClassVar[str] = "Edges"
    pixelwise: ClassVar[bool] = False
    is_mirrored: ClassVar[bool] = False
    mixes_channels: ClassVar[bool] = True

    def measure(self, features: Sequence[Pixels], params: E) -> Levels:
        """Return the grey value halfway up the edges, then thresholds of steepness."""
        grey = sample([plane[0] for plane in features])
        steepness = sample([plane[1] for plane in features]).astype(float)
        total = steepness.sum()
        halfway = (
            nowhere(params.foreground) if total == 0 else float((grey * steepness).sum() / total)
        )
        return np.array([halfway, *self.thresholds(steepness, params)])

    def label(self, features: Pixels, params: E, levels: Levels) -> Codes:
        """Find edges, and what lies between them where that is asked for."""
        if params.output == "watershed":
            relief = self.relief(features, levels)
            return foreground_codes(
                flood_regions(relief, features[0], levels[0], params.foreground)
            )
        edges = close_gaps(self.edges(features, params, levels), params.close_px)
        if params.output == "edges":
            return foreground_codes(widen(edges, params.widen_px))
        filled = fill_regions(
            edges,
            features[0],
            levels[0],
            params.foreground,
            enclosed=params.output == "enclosed",
            wide=self.wide,
        )
        return foreground_codes(filled)

    @abstractmethod
    def thresholds(self, steepness: Image, params: E) -> Sequence[float]:
        """Return thresholds of steepness, of which a sample is given, shape (n,)."""

    @abstractmethod
    def edges(self, features: Pixels, params: E, levels: Levels) -> Mask:
        """Return the edges, shape (Y, X) or (Z, Y, X)."""

    @abstractmethod
    def relief(self, features: Pixels, levels: Levels) -> Image:
        """Return what a watershed floods, steep where edges are."""

    def refine(self, best: E) -> Iterator[E]:
        """Try the watershed with the edges of the best."""
        for foreground in ("bright", "dark"):
            yield best.replace(output="watershed", foreground=foreground)


def outputs(base: E) -> Iterator[E]:
    """Vary what is made of the same edges, for a search."""
    for widen_px in (0, 1, 2):
        yield base.replace(output="edges", close_px=0, widen_px=widen_px)
    for foreground in ("bright", "dark"):
        for output, close_px in (("regions", 0), ("regions", 2), ("enclosed", 2)):
            yield base.replace(output=output, foreground=foreground, close_px=close_px)
