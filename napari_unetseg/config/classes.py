"""What pixels can be: named, coloured classes."""

from __future__ import annotations

from pydantic import Field

from .base import Config

#: Okabe and Ito's colours, told apart with every common form of colour blindness; without black.
#: M. Okabe and K. Ito, "Color Universal Design", 2008.
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00")

#: The colour in which people see strokes of code 1, background: the seventh of that palette, for
#: grey strokes cannot be told from a grey image.
BACKGROUND_COLOR = "#cc79a7"

#: Codes as they stand in annotations: see `LabelClass.code`.
UNLABELLED = 0
BACKGROUND = 1

#: uint8 annotations hold codes up to 255, of which 0 and 1 are taken.
MAX_CLASSES = 254


class LabelClass(Config):
    """One class of pixels.

    Class `k` (1, 2, …) has code ``k + 1`` in annotations and channel `k` in a network's output;
    background is class 0, code 1, channel 0.
    """

    name: str = Field(min_length=1, max_length=80)
    color: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")


def default_color(k: int) -> str:
    """Return the colour of class `k` ≥ 1 where nobody chose one."""
    return PALETTE[(k - 1) % len(PALETTE)]


def default_class(k: int) -> LabelClass:
    """Return class `k` ≥ 1 with a name and a colour nobody chose."""
    return LabelClass(name=f"class {k}", color=default_color(k))
