"""Scenes, series or positions: several images in one file of a microscope."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_unetseg.errors import UserError

#: More than this are not listed in a sentence.
_LISTED = 8


def chosen_scene(path: Path, part: str, names: Sequence[str]) -> int:
    """Return which scene is meant: by its name, or its number from 0; the first by default.

    Raises
    ------
    UserError
        If there is no such scene.
    """
    if not part:
        return 0
    if part in names:
        return list(names).index(part)
    if part.isdecimal() and int(part) < len(names):
        return int(part)
    raise UserError(f"{path} holds no image {part!r}; it holds {_listed(names)}.")


def scene_note(path: Path, part: str, names: Sequence[str], index: int) -> list[str]:
    """Say which of several scenes was opened, where a person did not choose."""
    if part or len(names) < 2:
        return []
    others = [name for i, name in enumerate(names) if i != index]
    return [
        f"{path.name} holds {len(names)} images; this is {names[index]}, others are "
        f"{_listed(others)}."
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (" …" if len(names) > _LISTED else "")
