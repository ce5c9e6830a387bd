"""What every classical step has in common: what it sees, its parameters, and how it is called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import Config, LabelClass, default_color

Pixels: TypeAlias = npt.NDArray[Any]
Codes: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]
Kind: TypeAlias = Literal["classes", "objects"]
UseOfStrokes: TypeAlias = Literal["unused", "used", "needed"]

#: Description of `sigma_px` of steps that blur the image before they look at it.
SMOOTHING = (
    "how much the image is blurred beforehand, in px (standard deviation of a Gaussian): more "
    "evens out grain, and loses what is narrower; 0 for none"
)

#: Description of the switch that steps have which can look along Z; `in_3d` by name.
#: Squares of squares of what lies between two such values can be told in 32-bit floats.
LARGEST_GREY = 2.0**32

IN_3D = "off: every slice by itself; on: the stack as one volume, neighbouring slices included"


@dataclass(frozen=True, slots=True)
class View:
    """What a step looks at: a slice, or a volume.

    Attributes
    ----------
    pixels : ndarray, shape (C, Y, X) or (C, Z, Y, X), any dtype
        Finite values. Never modified.
    z_px : float
        A step along Z, in px of Y and X; 1 where that is not known.
    strokes : ndarray of the same shape without C, uint8, or None
        What is annotated: 0 nothing, 1 background, k + 1 class k. None where nothing is.
    probabilities : ndarray, shape (classes, …), float32, or None
        Of background and classes 1, 2, …, where a method or a network told them; they add up to 1.
    """

    pixels: Pixels
    z_px: float = 1.0
    strokes: Codes | None = None
    probabilities: npt.NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X) or (Z, Y, X)."""
        return self.pixels.shape[1:]

    @property
    def ndim(self) -> int:
        """2 for a slice, 3 for a volume."""
        return self.pixels.ndim - 1

    def per_axis(self, length_px: float) -> tuple[float, ...]:
        """Return a length in px of Y and X along every axis, in steps of that axis.

        >>> View(np.zeros((1, 4, 8, 8)), z_px=5.0).per_axis(10.0)
        (2.0, 10.0, 10.0)
        """
        along_z = (length_px / self.z_px,) if self.ndim == 3 else ()
        return (*along_z, length_px, length_px)


P = TypeVar("P", bound=Config)


class Step(ABC, Generic[P]):
    """A step of a chain.

    Attributes
    ----------
    name : str
        As in the registry and on the command line.
    title : str
        For a menu.
    family : str
        The heading in that menu.
    summary : str
        What it does, in one sentence.
    good_for : str
        When a biologist would use it, in one sentence.
    params : type of Config
        Fields with ranges, and descriptions with units, from which forms are made. A field
        ``in_3d: bool`` says that it can look along Z.
    is_slow : bool
        Whether a slice takes so long that a preview shows the part in view alone, and comparisons
        leave it for last.
    previews_part : bool
        Whether a preview of a large slice shows the part in view alone, though the step is not
        slow.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    family: ClassVar[str]
    summary: ClassVar[str]
    good_for: ClassVar[str]
    params: type[P]
    is_slow: ClassVar[bool] = False
    previews_part: ClassVar[bool] = False

    @staticmethod
    def sees_volumes(params: Config) -> bool:
        """Return whether it is shown volumes, (C, Z, Y, X), rather than slices, (C, Y, X)."""
        return bool(getattr(params, "in_3d", False))


class Filter(Step[P]):
    """A step that changes pixels before they are segmented."""

    @abstractmethod
    def apply(self, view: View, params: P) -> Pixels:
        """Return pixels of the same shape, or of fewer channels, as floats or in their dtype."""


class Method(Step[P]):
    """A step that segments.

    Attributes
    ----------
    answers : {'classes', 'objects'}
        What `segment` returns unless its parameters say otherwise: codes, or ids.
    needs_strokes : bool
        Whether nothing can be said without annotations.
    groups : bool
        Whether what it answers are groups of pixels that look alike, so that an image in their mean
        colours looks like the image.
    mixes_channels : bool
        Whether it looks at one grey value per pixel: of several channels, the mean.
    """

    answers: ClassVar[Kind] = "classes"
    needs_strokes: ClassVar[bool] = False
    groups: ClassVar[bool] = False
    mixes_channels: ClassVar[bool] = False

    def answers_with(self, params: P) -> Kind:
        """Return what `segment` returns with these parameters: codes, or ids."""
        return self.answers

    def use_of_strokes(self, params: P) -> UseOfStrokes:
        """Return whether `segment` looks at annotations, and whether it can do without."""
        return "needed" if self.needs_strokes else "unused"

    def n_codes_needed(self, params: P) -> int:
        """Return of how many codes, background being one, something has to be painted."""
        return 1 if self.use_of_strokes(params) == "needed" else 0

    def prepare_on(self, params: P) -> Literal["nothing", "slices", "strokes"]:
        """Return which views `prepare` wants: none, some of the stack, or those with strokes."""
        return "nothing"

    def prepare(self, views: Sequence[View], params: P) -> Any:
        """Return what all slices have in common, such as a threshold of the whole stack."""
        return None

    def to_arrays(self, prepared: Any) -> dict[str, Pixels]:
        """Return what was learned from strokes, so that it can be kept without them."""
        return {}

    def from_arrays(self, arrays: Mapping[str, Pixels]) -> Any:
        """Return what `prepare` did when `to_arrays` returned these.

        Raises
        ------
        ValueError
            If they are not those of this method.
        """
        return None

    @abstractmethod
    def segment(self, view: View, params: P, prepared: Any = None) -> Labels:
        """Decide.

        Parameters
        ----------
        prepared : object
            What `prepare` returned; None where nothing was prepared.

        Returns
        -------
        ndarray, shape of the view
            For classes uint8: 1 background, 2 and up the classes. For objects uint32: ids,
            0 background.
        """

    def by_grey_value(self, view: View, params: P) -> dict[str, float]:
        """Return by field what grey values come to that are set in % of an image's range."""
        return {}

    def probabilities(
        self, view: View, params: P, prepared: Any = None
    ) -> npt.NDArray[np.float32] | None:
        """Return how probable background and the classes are, shape (classes, …), or None."""
        return None

    def grid(self, views: Sequence[View]) -> Iterable[P]:
        """Return the parameters that a search on `views` tries."""
        return [self.params()]

    def refine(self, best: P) -> Iterable[P]:
        """Return what a search tries around the best of the grid."""
        return ()

    def classes(self, params: P) -> tuple[LabelClass, ...]:
        """Return the classes 1, 2, … that codes 2, 3, … stand for."""
        return (LabelClass(name="foreground", color=default_color(1)),)


class Refinement(Step[P]):
    """A step that betters what a method or a network answered.

    Attributes
    ----------
    answers : {'objects'} or None
        Where it makes objects of classes; None where it keeps what it is given.
    wants_probabilities : bool
        Whether `apply` looks at the view's probabilities, where a method can tell them.
    """

    answers: ClassVar[Literal["objects"] | None] = None
    wants_probabilities: ClassVar[bool] = False

    @abstractmethod
    def apply(self, labels: Labels, view: View, params: P) -> Labels:
        """Return labels of the same shape.

        Parameters
        ----------
        labels : ndarray, shape of the view
            uint8 codes (1 background, 2 and up classes; 0 where nothing was answered, and stays)
            or uint32 ids. Never modified.
        view : View
            The image, as filters left it.

        Returns
        -------
        ndarray
            Codes or ids, as `labels`, unless the step is one that makes objects.
        """
