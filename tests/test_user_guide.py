"""The guide names pictures and keys that exist."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from PIL import Image

from napari_unetseg.widgets.shortcuts import ON_THE_STRIP, PAGE, REPLACED, SHORTCUTS

DOCS = Path(__file__).parents[1] / "docs"
GUIDE = (DOCS / "guide.md").read_text(encoding="utf-8")


def test_every_picture_exists_is_modest_and_is_named_once():
    named = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", GUIDE)
    assert len(named) > 10
    assert sorted(named) == sorted(f"guide/{p.name}" for p in (DOCS / "guide").glob("*.png"))
    sizes = [(DOCS / name).stat().st_size for name in named]
    assert max(sizes) <= 150_000
    assert sum(sizes) < 2_000_000
    for name in named:
        with Image.open(DOCS / name) as picture:
            assert min(picture.size) >= 600


def test_every_key_is_one_of_the_window():
    ours = {
        shortcut.key for shortcut in (*SHORTCUTS.values(), *REPLACED.values(), *ON_THE_STRIP, PAGE)
    }
    named = {unescape(key) for key in re.findall("<kbd>(.+?)</kbd>", GUIDE)}
    assert len(named) > 10
    assert named <= ours
    assert {shortcut.key for shortcut in SHORTCUTS.values()} <= named, "a key is not explained"
