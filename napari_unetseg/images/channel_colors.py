"""The colour in which a channel is shown, from the ways in which files say it."""

from __future__ import annotations

import re
from typing import Any

_HEX = re.compile(r"#?(?:[0-9a-fA-F]{2})?([0-9a-fA-F]{6})")

_NAMED = {
    "red": "#ff0000",
    "green": "#00ff00",
    "blue": "#0000ff",
    "cyan": "#00ffff",
    "magenta": "#ff00ff",
    "yellow": "#ffff00",
    "gray": "#ffffff",
    "grey": "#ffffff",
}


def color_of_hex(text: object) -> str:
    """Return a colour written as RRGGBB or AARRGGBB, the opacity left out; "" where it is none.

    >>> color_of_hex("#FF00A0FF"), color_of_hex("00A0FF"), color_of_hex("blue")
    ('#00a0ff', '#00a0ff', '')
    """
    found = _HEX.fullmatch(str(text).strip())
    return f"#{found[1].lower()}" if found else ""


def color_of_name(text: object) -> str:
    """Return the colour that a lookup table is named after; "" where it is none of the usual.

    >>> color_of_name("Green"), color_of_name("Glow")
    ('#00ff00', '')
    """
    return _NAMED.get(str(text).strip().lower(), "")


def color_of_rgba(text: object) -> str:
    """Return a colour that is a number, signed or not, of the bytes R, G, B, A, as in OME-XML.

    >>> color_of_rgba("-1"), color_of_rgba(16711935), color_of_rgba("")
    ('#ffffff', '#00ff00', '')
    """
    try:
        number = int(str(text))
    except ValueError:
        return ""
    return f"#{number >> 8 & 0xFFFFFF:06x}" if -(1 << 31) <= number < 1 << 32 else ""


def rgba_of_color(color: str) -> int:
    """Return a colour as OME-XML has it: a signed number of 32 bits.

    >>> rgba_of_color("#ffffff"), rgba_of_color("#00ff00")
    (-1, 16711935)
    """
    number = int(color[1:], 16) << 8 | 0xFF
    return number - (1 << 32) if number >= 1 << 31 else number


def color_of_lut(table: Any) -> str:
    """Return the colour of the brightest pixels in a table of shape (3, N), 0 to 255.

    >>> color_of_lut([[0, 255], [0, 128], [0, 0]])
    '#ff8000'
    """
    try:
        red, green, blue = (int(row[-1]) & 0xFF for row in table)
    except (TypeError, ValueError, LookupError):
        return ""
    return f"#{red:02x}{green:02x}{blue:02x}"
