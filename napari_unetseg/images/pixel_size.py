"""Whether an image is at the scale a model knows."""

from __future__ import annotations

import math

from napari_unetseg.config import ModelInfo
from napari_unetseg.errors import UserError

from .stack import Stack

#: Sizes that differ by more than this factor are worth a word.
_TOLERANCE = 1.2

#: Sizes that differ by more than this factor are a mistake: no structure is recognised across it.
_MOST_RESAMPLED = 20


def pixel_size_ratio(model_info: ModelInfo, stack: Stack) -> float | None:
    """Say by what factor to enlarge an image in Y and X to have the model's pixel size.

    Returns
    -------
    float or None
        Pixel size of the image ÷ that of the model, the geometric mean over Y and X; None where
        one of them is unknown.
    """
    ratios = [
        stack.pixel_size_um[axis] / model_info.pixel_size_um[axis]
        for axis in "YX"
        if axis in stack.pixel_size_um and axis in model_info.pixel_size_um
    ]
    return math.prod(ratios) ** (1 / len(ratios)) if ratios else None


def is_scale_open(model_info: ModelInfo, stack: Stack) -> bool:
    """Return whether a model for everybody's images is not told at which scale to see this one."""
    return model_info.card is not None and pixel_size_ratio(model_info, stack) is None


def check_resampling(model_info: ModelInfo, stack: Stack) -> None:
    """Raise `UserError` where an image and a model are too far apart in scale to resample."""
    for axis in "YX":
        theirs, ours = stack.pixel_size_um.get(axis), model_info.pixel_size_um.get(axis)
        if theirs and ours and not 1 / _MOST_RESAMPLED <= theirs / ours <= _MOST_RESAMPLED:
            raise UserError(
                f"{stack.name} has pixels of {format_length(theirs)} and the model "
                f"{model_info.name!r} learned at {format_length(ours)}, more than "
                f"{_MOST_RESAMPLED} times apart; check the pixel sizes, or do not resample."
            )


def pixel_size_note(model_info: ModelInfo, stack: Stack, *, resample: bool = False) -> str | None:
    """Say in a sentence that pixel sizes differ by more than 20 %; None where they do not.

    Parameters
    ----------
    resample : bool
        Differences are going to be removed: then only say so where that cannot be done.
    """
    ratio = pixel_size_ratio(model_info, stack)
    if resample:
        if ratio is not None or is_scale_open(model_info, stack):
            return None
        lacking = stack.name if model_info.pixel_size_um else f"the model {model_info.name!r}"
        return f"The pixel size of {lacking} is unknown, so {stack.name} is not resampled."
    if ratio is None or 1 / _TOLERANCE <= ratio <= _TOLERANCE:
        return None
    axis = "X" if "X" in stack.pixel_size_um and "X" in model_info.pixel_size_um else "Y"
    ours, models = stack.pixel_size_um[axis], model_info.pixel_size_um[axis]
    return (
        f"{stack.name} has pixels of {format_length(ours)} and the model {model_info.name!r} "
        f"learned at {format_length(models)}, so it may see everything "
        f"{f'{ratio:.2g} times too small' if ratio > 1 else f'{1 / ratio:.2g} times too large'}; "
        "resample the image to the model's pixel size."
    )


def format_length(um: float) -> str:
    """Write a length in nm, µm or mm, whichever reads best.

    >>> format_length(0.0046)
    '4.6 nm'
    """
    if um < 0.1:
        return f"{um * 1000:.4g} nm"
    return f"{um:.4g} µm" if um < 1000 else f"{um / 1000:.4g} mm"
