"""The figure of ``napari-unetseg demo``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from napari_unetseg.config import BACKGROUND, BACKGROUND_COLOR, LabelClass
from napari_unetseg.measure import Scores

from .demo_result import BEFORE, CONTROL, CORRECTED, DemoResult

Codes: TypeAlias = npt.NDArray[np.uint8]
Pixels: TypeAlias = npt.NDArray[np.uint8]

_COLUMNS = 4
_PANEL = 372
_GAP = 18
_TITLE = 50
_HEAD = 96
_FOOT = 54
_PAPER = (255, 255, 255)
_INK = (28, 30, 34)
_FAINT = (105, 110, 118)
_BEST = (0, 114, 178)
_OPACITY = 0.5


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture with its title; `best` frames it."""

    pixels: Pixels
    title: str
    subtitle: str
    best: bool = False


def draw_figure(result: DemoResult) -> Image.Image:
    """Draw image, annotations, every baseline, the networks and the truth, side by side."""
    panels = list(_panels(result))
    n_rows = -(-len(panels) // _COLUMNS)
    width = _COLUMNS * (_PANEL + _GAP) + _GAP
    height = _HEAD + n_rows * (_PANEL + _TITLE + _GAP) + _FOOT
    figure = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(figure)
    _head(draw, result)
    for i, panel in enumerate(panels):
        row, column = divmod(i, _COLUMNS)
        left = _GAP + column * (_PANEL + _GAP)
        top = _HEAD + row * (_PANEL + _TITLE + _GAP)
        _draw_panel(figure, draw, panel, left, top)
    _legend(draw, result.sample.classes, height - _FOOT + 10)
    return figure


def _panels(result: DemoResult) -> Iterator[Panel]:
    settings, stack = result.settings, result.sample.image
    shown = settings.held_out[len(settings.held_out) * 3 // 5]
    painted = settings.annotated[len(settings.annotated) // 2]
    image, canvas = stack.plane(shown)[0], stack.plane(painted)[0]
    classes = result.sample.classes
    yield Panel(_grey(image), "Image", f"slice {shown}, held out: nobody paints here")
    yield Panel(
        _strokes(canvas, result.annotations[painted], None, classes),
        f"{len(result.strokes)} strokes on {len(settings.annotated)} slices",
        f"slice {painted}; unpainted pixels are ignored",
    )
    yield Panel(
        _strokes(canvas, result.corrected[painted], result.annotations[painted], classes),
        f"{len(result.corrections)} corrections",
        f"slice {painted}; new strokes are bright",
    )
    yield Panel(
        _overlay(image, result.sample.codes[shown], classes), "Truth", f"slice {shown}, generated"
    )
    best = max(result.scores, key=lambda name: result.scores[name].mean_iou)
    for name in [*result.parameters, BEFORE, CONTROL, CORRECTED]:
        yield Panel(
            _overlay(image, result.segmentations[name][shown], classes),
            f"{name}: {result.scores[name].mean_iou:.3f}",
            _by_class(result.scores[name]),
            best=name == best,
        )


def _by_class(scores: Scores) -> str:
    return "IoU " + ", ".join(f"{name} {iou:.2f}" for name, iou in scores.iou.items())


def _grey(image: npt.NDArray[np.generic]) -> Pixels:
    return np.repeat(np.asarray(image, np.uint8)[..., None], 3, axis=2)


def _overlay(image: npt.NDArray[np.generic], codes: Codes, classes: Sequence[LabelClass]) -> Pixels:
    pixels = _grey(image).astype(float)
    for k, label_class in enumerate(classes, 1):
        where = codes == BACKGROUND + k
        pixels[where] = (1 - _OPACITY) * pixels[where] + _OPACITY * _rgb(label_class.color)
    return pixels.astype(np.uint8)


def _strokes(
    image: npt.NDArray[np.generic],
    codes: Codes,
    earlier: Codes | None,
    classes: Sequence[LabelClass],
) -> Pixels:
    """Draw strokes opaquely; what `earlier` had already stands back."""
    pixels = _grey(image).astype(float)
    colors = {BACKGROUND: BACKGROUND_COLOR}
    colors |= {BACKGROUND + k: c.color for k, c in enumerate(classes, 1)}
    for code, color in colors.items():
        where = codes == code
        pixels[where] = _rgb(color)
        if earlier is not None:
            old = where & (earlier == code)
            pixels[old] = 0.65 * _grey(image)[old] + 0.35 * _rgb(color)
    return pixels.astype(np.uint8)


def _rgb(color: str) -> npt.NDArray[np.float64]:
    return np.frombuffer(bytes.fromhex(color[1:]), np.uint8).astype(float)


def _draw_panel(
    figure: Image.Image, draw: ImageDraw.ImageDraw, panel: Panel, left: int, top: int
) -> None:
    color = _BEST if panel.best else _INK
    draw.text((left, top), panel.title, color, _font(20))
    draw.text((left, top + 25), panel.subtitle, _FAINT, _font(14))
    picture = Image.fromarray(panel.pixels).resize((_PANEL, _PANEL), Image.Resampling.LANCZOS)
    figure.paste(picture, (left, top + _TITLE))
    if panel.best:
        box = (left - 4, top + _TITLE - 4, left + _PANEL + 3, top + _TITLE + _PANEL + 3)
        draw.rectangle(box, outline=_BEST, width=4)


def _head(draw: ImageDraw.ImageDraw, result: DemoResult) -> None:
    settings = result.settings
    n, height, width = settings.shape
    draw.text((_GAP, 16), "napari-unetseg demo", _INK, _font(30))
    draw.text(
        (_GAP, 56),
        f"A generated stack of {n} sections of {width} by {height} px (seed {settings.seed}). "
        f"Numbers are mean IoU on the {len(settings.held_out)} slices that were never painted on: "
        f"{result.gain_over_baseline:+.3f} over the best baseline, "
        f"{result.gain_by_correcting:+.3f} by correcting.",
        _FAINT,
        _font(17),
    )


def _legend(draw: ImageDraw.ImageDraw, classes: Sequence[LabelClass], top: int) -> None:
    entries = [("background, where it was painted", BACKGROUND_COLOR)]
    entries += [(c.name, c.color) for c in classes]
    left = float(_GAP)
    for name, color in entries:
        draw.rectangle((left, top + 2, left + 20, top + 18), fill=color, outline=_FAINT)
        draw.text((left + 28, top), name, _INK, _font(16))
        left += 28 + draw.textlength(name, _font(16)) + 32


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
