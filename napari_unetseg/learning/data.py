"""Training images and the patches drawn from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_unetseg.annotations import BLOCK_PX, held_out_mask
from napari_unetseg.config import LabelClass, NormalisationConfig
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, check_same_slices, fit_normalisation
from napari_unetseg.networks.padding import mirrored

#: Positions kept of each class, from which patches are centred; more would change nothing.
MAX_POSITIONS = 200_000


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """A stack with its annotations.

    Attributes
    ----------
    stack : Stack
    codes : ndarray, shape (planes, Y, X), uint8
        0 unlabelled, 1 background, k + 1 class k.
    blocks : ndarray or None, shape (planes, blocks_y, blocks_x), uint8
        Which blocks are held out, as `annotations.assign_blocks` has it; None: nothing is.
    """

    stack: Stack
    codes: npt.NDArray[np.uint8]
    blocks: npt.NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        """Check that the annotations fit the stack."""
        check_same_slices(self.codes, self.stack, f"The labels of {self.stack.name}")

    def annotated_planes(self) -> list[int]:
        """Return the slices in which anything is labelled."""
        return [index for index, codes in enumerate(self.codes) if codes.any()]

    def held_out(self, plane: int) -> npt.NDArray[np.bool_]:
        """Return which pixels of a slice are held out, annotated or not."""
        if self.blocks is None:
            return np.zeros(self.stack.plane_shape, bool)
        return held_out_mask(self.blocks, plane, self.stack.plane_shape)


@dataclass(frozen=True, slots=True)
class LabelledPlane:
    """What training needs of one slice, in memory.

    Attributes
    ----------
    pixels : Tensor, shape (C, Y, X), float16
        Normalised grey values of the annotated region and its surroundings.
    targets : Tensor, shape (Y, X), uint8
        Codes that may enter a loss; 0 where nothing is annotated or it is held out.
    held_out : Tensor, shape (Y, X), uint8
        Codes to score with; 0 elsewhere.
    """

    pixels: Tensor
    targets: Tensor
    held_out: Tensor


def load_planes(
    images: Sequence[TrainingImage], normalisation: NormalisationConfig, margin_px: int
) -> Iterator[LabelledPlane]:
    """Read and normalise every annotated slice, cut to its annotations and `margin_px` around."""
    for image in images:
        annotated = image.annotated_planes()
        if not annotated:
            continue
        fitted = fit_normalisation(image.stack, normalisation)
        for index in annotated:
            held = image.held_out(index)
            where = _region(image.codes[index] > 0, margin_px)
            codes, held = image.codes[index][where], held[where]
            pixels = fitted.apply(image.stack.plane(index)[(slice(None), *where)])
            yield LabelledPlane(
                torch.from_numpy(np.ascontiguousarray(pixels, np.float16)),
                torch.from_numpy(np.where(held, 0, codes).astype(np.uint8)),
                torch.from_numpy(np.where(held, codes, 0).astype(np.uint8)),
            )


def check_annotations(
    planes: Sequence[LabelledPlane],
    classes: Sequence[LabelClass],
    known: frozenset[str] = frozenset(),
) -> None:
    """Raise `UserError` unless every class has pixels that may enter a loss.

    Parameters
    ----------
    known : frozenset of str
        Names of the classes that the network knows already; these need no pixels.
    """
    n_codes = len(classes) + 2
    trains, held = np.zeros(n_codes, np.int64), np.zeros(n_codes, np.int64)
    for plane in planes:
        for counts, codes in ((trains, plane.targets), (held, plane.held_out)):
            found = np.bincount(codes.numpy().ravel(), minlength=n_codes)
            if len(found) > n_codes:
                raise UserError(
                    f"The labels hold class {len(found) - 2}, but only {len(classes)} classes "
                    "are named; name every class."
                )
            counts += found
    for k, name in enumerate((c.name for c in classes), start=1):
        if name in known or trains[k + 1]:
            continue
        if held[k + 1]:
            raise UserError(
                f"All pixels of class {name!r} lie in blocks kept to score with; "
                "paint some of it elsewhere."
            )
        raise UserError(f"Class {name!r} has no pixel; paint some of it, or delete the class.")


def _region(labelled: npt.NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Return the rows and columns of everything labelled, with `margin` px around it."""
    spans = []
    for axis, size in enumerate(labelled.shape):
        hits = np.flatnonzero(labelled.any(axis=1 - axis))
        # Whole blocks, so that held-out windows are cut alike whatever else is painted.
        start = max(0, int(hits[0]) - margin) // BLOCK_PX * BLOCK_PX
        spans.append(slice(start, min(size, int(hits[-1]) + 1 + margin)))
    return spans[0], spans[1]


class PatchSampler:
    """Draws square crops where annotations are, each class as often as the others.

    Parameters
    ----------
    planes : sequence of LabelledPlane
    crop_px : int
        Side of a crop: a patch and what its rotation, scaling and bending need around it.
    jitter_px : int
        How far, along each axis, the labelled pixel that was drawn may lie from the middle.
    generator : Generator
        Of the CPU.
    """

    def __init__(
        self,
        planes: Sequence[LabelledPlane],
        crop_px: int,
        jitter_px: int,
        generator: torch.Generator,
    ) -> None:
        self._planes = planes
        self._crop = crop_px
        self._jitter = jitter_px
        self._generator = generator
        codes = sorted(set().union(*(np.unique(p.targets.numpy()).tolist() for p in planes)))
        self._positions = [self._positions_of(code) for code in codes if code]

    def _positions_of(self, code: int) -> Tensor:
        """Return (plane, y, x) of pixels of a class, at most `MAX_POSITIONS` of them."""
        found = []
        for index, plane in enumerate(self._planes):
            yx = torch.nonzero(plane.targets == code)
            found.append(torch.cat([torch.full((len(yx), 1), index), yx], dim=1).int())
        positions = torch.cat(found)
        if len(positions) <= MAX_POSITIONS:
            return positions
        keep = torch.randint(len(positions), (MAX_POSITIONS,), generator=self._generator)
        return positions[keep]

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """Draw `batch` crops.

        Returns
        -------
        pixels : Tensor, shape (batch, C, crop_px, crop_px), float32
            Mirrored where a crop reaches beyond its slice.
        codes : Tensor, shape (batch, crop_px, crop_px), uint8
        """
        pixels, codes = [], []
        for _ in range(batch):
            positions = self._positions[self._integer(len(self._positions))]
            index, y, x = positions[self._integer(len(positions))].tolist()
            plane = self._planes[index]
            top = y - self._crop // 2 + self._offset()
            left = x - self._crop // 2 + self._offset()
            window = (top, left), (top + self._crop, left + self._crop)
            pixels.append(mirrored(plane.pixels, *window))
            codes.append(mirrored(plane.targets, *window))
        return torch.stack(pixels).float(), torch.stack(codes)

    def _integer(self, n: int) -> int:
        return int(torch.randint(n, (), generator=self._generator))

    def _offset(self) -> int:
        return self._integer(2 * self._jitter + 1) - self._jitter
