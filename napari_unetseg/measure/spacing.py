"""In which unit distances are measured, and how large voxels are in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_unetseg.errors import UserError

from .sources import Pair


@dataclass(frozen=True, slots=True)
class Spacing:
    """The unit of all distances, and the axes that are measured.

    Attributes
    ----------
    unit : str
        ``"µm"``, or ``"px"`` where the pixel size of an image is not known.
    axes : str
        ``"ZYX"`` or ``"YX"``.
    """

    unit: str
    axes: str

    def of(self, pair: Pair) -> tuple[float, float, float]:
        """Return the size of a voxel of an image along Z, Y and X."""
        if self.unit == "px":
            return 1.0, 1.0, 1.0
        known = _pixel_size(pair, self.axes)
        return known.get("Z", 1.0), known["Y"], known["X"]


def spacing_of(pairs: Sequence[Pair], *, in_3d: bool) -> Spacing:
    """Choose µm if the pixel sizes of all images are known, else pixels.

    Raises
    ------
    UserError
        If surfaces are to be measured and of an image is known how large pixels are, but not how
        far apart its slices are.
    """
    axes = "ZYX" if in_3d else "YX"
    for pair in pairs:
        known = _pixel_size(pair, axes)
        several = pair.truth.labels.planes_per_volume > 1
        if in_3d and several and "X" in known and "Z" not in known:
            raise UserError(
                f"{pair.names[0]} says how large its pixels are but not how far apart its slices "
                "are; leave out in_3d (--in-3d), or save it with its voxel depth."
            )
    known_axes = [_pixel_size(pair, axes).keys() for pair in pairs]
    all_known = all({"Y", "X"} <= keys for keys in known_axes)
    return Spacing("µm" if all_known else "px", axes)


def _pixel_size(pair: Pair, axes: str) -> dict[str, float]:
    """Return what the prediction says, or the truth where that says nothing."""
    sizes = (side.labels.pixel_size_um for side in (pair.predicted, pair.truth))
    return next((size for size in sizes if {"Y", "X"} <= size.keys()), {})
