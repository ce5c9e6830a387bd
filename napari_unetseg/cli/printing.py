"""What the program prints: never a character that a terminal would obey instead of showing.

Names of classes, channels and files come from elsewhere. Everything is printed by `say`, or on a
`console`.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

#: Controls but tab and new line, what turns the direction of writing, and halves of characters.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Return a text with what a terminal obeys spelled out, as JSON would.

    >>> print(printable("cells\x1b[2J"))
    cells\u001b[2J
    """
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(*parts: object, err: bool = False) -> None:
    """Print a line, on stderr where it is no result."""
    print(*(printable(str(part)) for part in parts), file=sys.stderr if err else sys.stdout)


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return where tables and coloured lines are printed; texts are taken as they are written."""
    from rich.console import Console
    from rich.text import Text

    class Harmless(Console):
        """A console whose every text passes `printable`."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

    return Harmless(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)
