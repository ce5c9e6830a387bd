"""One image of the data set, with all that belongs to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_unetseg.annotations import Presence, new_blocks
from napari_unetseg.config import UNLABELLED
from napari_unetseg.images import Stack, written_planes
from napari_unetseg.project import Session, keep_texts

from .annotation_sources import AnnotationSources
from .slots import Codes, Slots

#: Codes of the region layer.
INSIDE, EXCLUDED = 1, 2


@dataclass(eq=False)
class ImageEntry:
    """An image, its annotations, its prediction and where both may be.

    All arrays are file-backed, of shape (planes, Y, X), uint8.

    Attributes
    ----------
    id : str
        Stays the same when the image is renamed.
    codes : ndarray
        Annotations; the truth of which layers hold copies.
    blocks : ndarray, shape (planes, blocks_y, blocks_x)
        Which parts train and which are held out: see `annotations.held_out`.
    prediction : ndarray
        What a network answered, in *slots*: 0 where it has not been asked. Written by `answer`.
    predicted : set of int
        Slices on which it is not 0 everywhere.
    slots : Slots
        What they are shown as; the same for all images.
    sources : AnnotationSources
        Which annotations no person has painted.
    region : ndarray or None
        1 inside the region of interest, 2 excluded; None while nobody asked for one.
    has_inside : bool
        Whether any pixel is inside: then all others are outside.
    presence : dict
        Which codes occur where, so that a stroke need not look for them on every slice: see
        `annotations.assign_blocks`.
    """

    id: str
    stack: Stack
    codes: Codes
    blocks: Codes
    prediction: Codes
    slots: Slots
    sources: AnnotationSources
    region: Codes | None = None
    has_inside: bool = False
    predicted: set[int] = field(default_factory=set)
    presence: Presence = field(default_factory=dict)

    @classmethod
    def create(cls, image_id: str, stack: Stack, session: Session, slots: Slots) -> ImageEntry:
        """Make the arrays of an image in a session's folder."""
        shape = (stack.n_planes, *stack.plane_shape)
        prediction = session.array(image_id, "prediction", shape)
        slots.keep(prediction)
        return cls(
            image_id,
            stack,
            codes=session.array(image_id, "annotations", shape),
            blocks=session.array(image_id, "blocks", new_blocks(shape).shape),
            prediction=prediction,
            slots=slots,
            sources=AnnotationSources(
                lambda: session.array(image_id, "sources", shape),
                lambda texts: keep_texts(session.path(image_id, "sources"), texts),
            ),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, height and width in px."""
        n_planes, height, width = self.codes.shape
        return n_planes, height, width

    def segmentation(self, plane: int) -> Codes:
        """Return what is shown of a slice: annotations first, the prediction under them."""
        codes = self.codes[plane]
        return np.where(codes == UNLABELLED, self.shown(plane, self.prediction[plane]), codes)

    def shown(self, plane: int, slots: Codes) -> Codes:
        """Return what an answer for a slice, in slots, is shown as: codes, 0 outside the region."""
        return np.where(self.allowed(plane), self.slots.shown_as[slots], np.uint8(UNLABELLED))

    def allowed(self, plane: int) -> npt.NDArray[np.bool_]:
        """Return where a slice may be learned from and segmented."""
        region = self.region  # threads ask as well, and it may be forgotten meanwhile
        if region is None:
            return np.ones(self.shape[1:], bool)
        allowed: npt.NDArray[np.bool_]
        allowed = region[plane] == INSIDE if self.has_inside else region[plane] != EXCLUDED
        return allowed

    def training_codes(self, plane: int) -> Codes:
        """Return the annotations of a slice without those outside the region."""
        return np.where(self.allowed(plane), self.codes[plane], np.uint8(UNLABELLED))

    def annotated_planes(self) -> list[int]:
        """Return the slices on which anything is annotated; reads none of them."""
        return sorted(plane for plane, there in list(self.presence.items()) if there.any())

    def segmented_planes(self) -> list[int]:
        """Return the slices of which anything is annotated or answered; reads none of them."""
        return sorted({*self.annotated_planes(), *self.predicted})

    def answer(self, plane: int, slots: Codes) -> None:
        """Take over what a network answered for a slice."""
        self.prediction[plane] = slots
        (self.predicted.add if slots.any() else self.predicted.discard)(plane)

    def codes_painted(self) -> set[int]:
        """Return which codes occur in the annotations, inside the region or not."""
        there = (np.flatnonzero(of_plane.any(axis=(1, 2))) for of_plane in self.presence.values())
        return {int(code) for codes in there for code in codes}

    def first_annotated(self, planes: Iterable[int]) -> int | None:
        """Return the first of some slices on which anything is annotated."""
        annotated = set(self.annotated_planes())
        return next((plane for plane in planes if plane in annotated), None)

    def update_region(self) -> None:
        """Take note that the region was painted on."""
        region = self.region
        self.has_inside = region is not None and any(
            (region[plane] == INSIDE).any() for plane in written_planes(region)
        )
