"""The table as a figure: how good, how sure, how fast."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from napari_unetseg.events import MethodCompared, Recommended

_WIDTH = 1100
_MARGIN = 24
_ROW = 34
_BAR = 18
_SCORES = (330, 720)
_SECONDS = (800, 1060)
_INK = (28, 30, 34)
_FAINT = (105, 110, 118)
_GRID = (225, 228, 232)
#: Okabe and Ito's colours, by kind of row.
_COLORS = {"classical": (86, 180, 233), "model": (0, 158, 115), "network": (230, 159, 0)}
_KINDS = {
    "classical": "classical method",
    "model": "model as it is",
    "network": "network trained here",
}
_SENTENCE = 105  # characters that fit into a line
_TITLE, _LONG_TITLE = 38, 46
#: What the font that comes with Pillow has no letters for.
_LETTERS = str.maketrans({"×": "x", "→": ">", "–": "-", "−": "-", "…": "...", "≠": "/"})


@dataclass(frozen=True, slots=True)
class _Axis:
    """Places numbers between two columns of pixels, evenly or by their logarithms."""

    columns: tuple[int, int]
    low: float
    high: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, value = (math.log10(v) for v in (low, high, value))
        left, right = self.columns
        return left + (value - low) / (high - low) * (right - left)


def draw_figure(
    rows: Sequence[MethodCompared], recommended: Recommended, scored_on: str
) -> Image.Image:
    """Draw mean IoU as bars with their spreads, and beside them seconds for a slice.

    Parameters
    ----------
    rows : sequence of MethodCompared
        At least one; the best first.
    scored_on : str
        A sentence.
    """
    lines = textwrap.wrap(recommended.sentence.translate(_LETTERS), _SENTENCE)
    notes = textwrap.wrap(scored_on, _SENTENCE + 25)
    top = _MARGIN + 30 * len(lines) + 22 * len(notes) + 60
    bottom = top + _ROW * len(rows)
    figure = Image.new("RGB", (_WIDTH, bottom + 96), (255, 255, 255))
    draw = ImageDraw.Draw(figure)
    for i, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + 30 * i), line, _INK, _font(20))
    for i, line in enumerate(notes):
        at = _MARGIN + 30 * len(lines) + 22 * i
        draw.text((_MARGIN, at), line, _FAINT, _font(15))
    scores, seconds = _Axis(_SCORES, 0.0, 1.0), _axis_of_seconds(rows)
    _draw_axis(draw, scores, [0, 0.2, 0.4, 0.6, 0.8, 1.0], "mean IoU", top, bottom)
    _draw_axis(draw, seconds, _powers(seconds), "seconds for a slice", top, bottom)
    for i, row in enumerate(rows):
        middle = top + _ROW * i + _ROW // 2
        _draw_row(draw, row, scores, seconds, middle, bold=row.name == recommended.name)
    _draw_legend(draw, [row.kind for row in rows], bottom + 60)
    return figure


def _draw_row(
    draw: ImageDraw.ImageDraw,
    row: MethodCompared,
    scores: _Axis,
    seconds: _Axis,
    middle: int,
    *,
    bold: bool,
) -> None:
    color = _COLORS[row.kind]
    right = _SCORES[0] - 12
    name = row.title.translate(_LETTERS)
    lines = [name]
    if len(name) > _TITLE:
        lines = textwrap.wrap(name, _LONG_TITLE, max_lines=2, placeholder=" ...")
    title, font = "\n".join(lines), _font(16 if len(name) <= _TITLE else 13)
    if bold:
        width = draw.textlength(max(lines, key=len), font)
        below = middle + (12 if len(lines) == 1 else 17)
        draw.line((right - width, below, right, below), _INK, 2)
    draw.text((right, middle), title, _INK, font, anchor="rm", align="right", spacing=2)
    end = scores.at(row.mean_iou)
    draw.rectangle((scores.at(0), middle - _BAR // 2, end, middle + _BAR // 2), fill=color)
    if row.spread is not None:
        low, high = scores.at(row.mean_iou - row.spread), scores.at(row.mean_iou + row.spread)
        draw.line((low, middle, high, middle), _INK, 2)
        for at in (low, high):
            draw.line((at, middle - 5, at, middle + 5), _INK, 2)
        end = high
    draw.text((end + 8, middle), f"{row.mean_iou:.3f}", _INK, _font(14), anchor="lm")
    at = seconds.at(row.slice_s)
    draw.ellipse((at - 6, middle - 6, at + 6, middle + 6), fill=color, outline=_INK)


def _draw_axis(
    draw: ImageDraw.ImageDraw,
    axis: _Axis,
    ticks: Sequence[float],
    title: str,
    top: int,
    bottom: int,
) -> None:
    for tick in ticks:
        at = axis.at(tick)
        draw.line((at, top, at, bottom), _GRID, 1)
        draw.text((at, bottom + 6), f"{tick:g}", _FAINT, _font(14), anchor="ma")
    draw.text((sum(axis.columns) / 2, top - 26), title, _INK, _font(16), anchor="ma")


def _draw_legend(draw: ImageDraw.ImageDraw, kinds: Sequence[str], top: int) -> None:
    left = float(_SCORES[0])
    for kind, title in _KINDS.items():
        if kind in kinds:
            draw.rectangle((left, top, left + 16, top + 16), fill=_COLORS[kind])
            draw.text((left + 24, top + 8), title, _INK, _font(15), anchor="lm")
            left += 24 + draw.textlength(title, _font(15)) + 28


def _axis_of_seconds(rows: Sequence[MethodCompared]) -> _Axis:
    """Return an axis in powers of ten that holds all rows."""
    seconds = [max(row.slice_s, 1e-4) for row in rows]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    return _Axis(_SECONDS, 10.0**low, 10.0 ** max(high, low + 1), logarithmic=True)


def _powers(axis: _Axis) -> list[float]:
    first, last = round(math.log10(axis.low)), round(math.log10(axis.high))
    return [10.0**power for power in range(first, last + 1)]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
