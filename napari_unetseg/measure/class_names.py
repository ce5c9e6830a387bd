"""What classes are called in tables."""

from __future__ import annotations

from collections.abc import Sequence

from napari_unetseg.config import default_class


def names_of(codes: Sequence[int], given: Sequence[str]) -> dict[int, str]:
    """Name each code, no two alike, so that a table by name loses none.

    Which codes are asked for besides makes no difference to the name of one.
    """
    names: dict[int, str] = {}
    for code in range(1, max(codes, default=0) + 1):
        plain = "background" if code == 1 else default_class(code - 1).name
        name = given[code - 1] if code <= len(given) else plain
        names[code] = f"{name} ({code - 1})" if name in names.values() else name
    return {code: names[code] for code in codes}
