"""How fine and how complete annotations are, how wide objects: how small a network sees them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from napari_unetseg.config import NetworkConfig
from napari_unetseg.images import code_counts

from .data import TrainingImage

#: Share of painted pixels, in the annotated slices, from which they count as dense.
DENSE_SHARE = 0.25

#: Painted pixels from which strokes are many. EM membranes, mean IoU on crops of other slices after
#: about 110 s of one core, reduced (8 filters) and not (16): of 10 strokes (6,000 px) 0.556 and
#: 0.686, of 30 (16,000 px) 0.742 and 0.718, of 60 (32,000 px) 0.747 and 0.746, of 117 (63,000 px)
#: 0.789 and, after 176 s, 0.762. On the corrected strokes of the demo 0.721 and 0.763.
MANY_PX = 30_000

#: What images are reduced by where that loses next to nothing. Three slices of EM membranes, mean
#: IoU on crops of others: after 33 s of one core 0.754 to 0.781 with it (five runs) and 0.733 to
#: 0.751 without (four), after 122 s 0.843 and 0.823.
REDUCTION = 2

#: IoU of every class with itself, reduced and enlarged again, from which little is lost. Membranes
#: (4.7 px wide) have 0.996, nuclei 9 px wide 0.975, discs 8 and 6 px wide 0.94 and 0.83, lines of 3
#: and 2 px 0.96 and 0.83.
LITTLE_LOST = 0.9

#: The most that images are reduced by.
MOST_REDUCED = 8

#: Slices that are looked at, evenly spread over the annotated ones of an image.
MOST_SLICES = 16


@dataclass(frozen=True, slots=True)
class Painted:
    """How much is painted.

    Attributes
    ----------
    px : int
    annotated_px : int
        Painted or not, of the slices on which anything is painted.
    """

    px: int
    annotated_px: int

    @property
    def dense(self) -> bool:
        """Whether slices are painted completely, or nearly so, rather than with strokes."""
        return 0 < self.annotated_px * DENSE_SHARE <= self.px

    @property
    def much(self) -> bool:
        """Whether slices are painted completely, or with many strokes."""
        return self.dense or self.px >= MANY_PX


def count_painted(images: Sequence[TrainingImage]) -> Painted:
    """Count painted pixels."""
    painted = annotated = 0
    for image in images:
        of_slices = code_counts(image.codes)[:, 1:].sum(axis=1)
        painted += int(of_slices.sum())
        annotated += int(np.count_nonzero(of_slices)) * math.prod(image.stack.plane_shape)
    return Painted(painted, annotated)


def with_reduction(
    network: NetworkConfig, images: Sequence[TrainingImage], painted: Painted
) -> NetworkConfig:
    """Fill in by how much images are reduced before a network sees them, where that is open.

    The fewer pixels, the farther a network sees, and the more it learns in the same time. So
    images are reduced unless annotations have details that would get lost, or are a few strokes:
    from those a network that sees far learns what lies around them.
    """
    if network.kind != "unet" or network.reduction:
        return network
    if not painted.much:
        return network.replace(reduction=1)
    coarse = agreement_when_reduced(images, REDUCTION) >= LITTLE_LOST
    return network.replace(reduction=REDUCTION if coarse else 1)


def with_reduction_of_objects(
    network: NetworkConfig, diameter_px: float, wanted_px: float
) -> NetworkConfig:
    """Fill in the reduction by which objects become about as wide as wanted, where that is open.

    Parameters
    ----------
    network : UNetConfig or UNet2015Config
    diameter_px : float
        Of the median object.
    wanted_px : float
        What the network should see of that; images are never enlarged.
    """
    if network.kind != "unet" or network.reduction:
        return network
    reduction = min(max(round(diameter_px / wanted_px), 1), MOST_REDUCED)
    return network.replace(reduction=reduction)


def median_diameter(images: Sequence[TrainingImage]) -> float | None:
    """Return the median diameter of the annotated objects of all slices.

    Returns
    -------
    float or None
        Of the circle of the same area, in px. None where the objects of an annotated image are not
        known, or there is none.
    """
    areas: list[npt.NDArray[np.uint32]] = []
    for image in images:
        for plane in image.annotated_planes():
            if image.ids is None:
                return None
            annotated = image.ids[plane][image.codes[plane] > 1]
            _, of_objects = np.unique(annotated[annotated > 0], return_counts=True)
            areas.append(of_objects.astype(np.uint32))
    every = np.concatenate(areas) if areas else np.zeros(0)
    return math.sqrt(4 * float(np.median(every)) / math.pi) if every.size else None


def agreement_when_reduced(images: Sequence[TrainingImage], reduction: int) -> float:
    """Return the IoU of annotations with themselves, averaged over squares and enlarged linearly.

    Parameters
    ----------
    images : sequence of TrainingImage
    reduction : int
        Side of the squares in px.

    Returns
    -------
    float
        Of the class that changes most, background left out where there are others; in [0, 1].
    """
    overlaps: dict[int, npt.NDArray[np.int64]] = {}
    for codes in _annotated_slices(images):
        present = [int(code) for code in np.unique(codes) if code]
        for code in present:
            counted = overlaps.setdefault(code, np.zeros(2, np.int64))
            counted += _overlap(_cut_out(codes == code, reduction), reduction)
    classes = [code for code in overlaps if code > 1] or list(overlaps)
    return min((overlaps[c][0] / overlaps[c][1] for c in classes), default=0.0)


def _annotated_slices(images: Sequence[TrainingImage]) -> Iterator[npt.NDArray[np.uint8]]:
    for image in images:
        annotated = image.annotated_planes()
        n_slices = min(len(annotated), MOST_SLICES)
        for i in np.linspace(0, len(annotated) - 1, n_slices).round().astype(int):
            yield image.codes[annotated[i]]


def _cut_out(inside: npt.NDArray[np.bool_], reduction: int) -> npt.NDArray[np.bool_]:
    """Return the rows and columns where anything is inside, and some around, in whole squares."""
    margin = 2 * reduction
    kept = []
    for axis in (0, 1):
        hits = np.flatnonzero(inside.any(axis=1 - axis))
        first = max(0, int(hits[0]) - margin) // reduction * reduction
        kept.append(slice(first, int(hits[-1]) + 1 + margin))
    cut = inside[kept[0], kept[1]]
    return np.pad(cut, [(0, -n % reduction) for n in cut.shape], mode="edge")


def _overlap(inside: npt.NDArray[np.bool_], reduction: int) -> tuple[int, int]:
    """Return pixels in both and in either of a mask and the same reduced and enlarged again."""
    image = torch.from_numpy(inside.astype(np.float32))[None, None]
    small = F.avg_pool2d(image, reduction)
    again = F.interpolate(small, size=inside.shape, mode="bilinear")[0, 0].numpy() >= 0.5
    return int((again & inside).sum()), int((again | inside).sum())
