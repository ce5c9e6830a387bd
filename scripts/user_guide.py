"""Make docs/guide.md and its pictures: a window on the sample, led through every step.

    make guide
    make guide ARGS="--look pictures"

Everything is done with real mouse and key events. `--look` writes a picture of every scene in both
themes and two sizes, to be looked at. Scenes and their words are in guide_scenes.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "widgets"))

import napari  # noqa: E402
import numpy as np  # noqa: E402
from guide_scenes import BEGINNING, END, SCENES  # noqa: E402
from person import Person  # noqa: E402
from PIL import Image  # noqa: E402
from qtpy.QtCore import QEvent, Qt  # noqa: E402
from qtpy.QtTest import QTest  # noqa: E402
from qtpy.QtWidgets import QApplication, QScrollArea  # noqa: E402

from napari_unetseg.samples import Annotator, nuclei_stack  # noqa: E402

DOCS = ROOT / "docs"
SIZES = ((1280, 800), (2560, 1440))
THEMES = ("dark", "light")

#: Of pictures in the guide: bytes at most, and numbers of colours to try until they fit.
MOST_BYTES, COLORS = 150_000, (256, 128, 64, 32)


class Author:
    """A window on the sample, and the hand that works it.

    Parameters
    ----------
    look : Path or None
        Folder for pictures in all themes and sizes.
    seconds : int
        Of training.
    """

    def __init__(self, look: Path | None, seconds: int) -> None:
        self.seconds = seconds
        self._look = look
        self.viewer = napari.Viewer(show=True)
        self.viewer.theme = THEMES[0]
        self.viewer.window.resize(*SIZES[0])
        _, self.dock = self.viewer.window.add_plugin_dock_widget(
            "napari-unetseg", "U-Net segmentation"
        )
        self.context = self.dock.context
        self.controller = self.context.controller
        self.person = Person(self.viewer)
        self._truth = nuclei_stack().codes
        self._annotator = Annotator(self._truth)
        self.viewer.window._qt_window.activateWindow()  # noqa: SLF001
        self.run(2)

    # ------------------------------------------------------------ what it does

    @property
    def entry(self):
        """The sample in the data set."""
        return next(iter(self.context.workspace.images.values()))

    def step(self, index: int):
        """Click the button of a step; return the step."""
        self.person.click(self.dock.step_button(index))
        self.run(0.5)
        return self.dock.panels[index]

    def reveal(self, widget) -> None:
        """Scroll the step until something in it is in view."""
        around = widget.parentWidget()
        while not isinstance(around, QScrollArea):
            around = around.parentWidget()
        around.ensureWidgetVisible(widget)
        self.run(0.3)

    def take_class(self, row: int) -> None:
        """Click a class in the table of the Data step."""
        table = self.dock.panels[0].classes.table
        place = table.visualItemRect(table.item(row, 1)).center()
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
        self.run(0.2)

    def choose(self, box, text: str) -> None:
        """Choose from a list with the keyboard."""
        box.setFocus()
        QTest.keyClicks(box, text[:3])
        self.run(0.1)

    def paint(self, code: int, n_strokes: int, brush_px: int = 5) -> None:
        """Paint strokes of a class on the slice in view, along what is not painted yet."""
        plane = self.context.layers.current_plane(self.entry)
        codes = np.array(self.entry.codes)
        self.stroke(self._annotator.annotate(codes, plane, [code] * n_strokes, 40.0), brush_px)

    def correct(self, n_strokes: int, brush_px: int = 5) -> list:
        """Return strokes where most is wrong on the slice in view."""
        plane = self.context.layers.current_plane(self.entry)
        shown = np.zeros(self.entry.shape, np.uint8)
        shown[plane] = self.entry.segmentation(plane)
        codes = np.array(self.entry.codes)
        return self._annotator.correct(codes, shown, [plane], n_strokes, 30.0)

    def stroke(self, strokes: list, brush_px: int = 5) -> None:
        """Drag the mouse along strokes, each with the brush of its class."""
        for stroke in strokes:
            layer = self.viewer.layers.selection.active
            layer.mode, layer.brush_size = "paint", brush_px
            layer.selected_label = stroke.code
            path = stroke.path[:: max(1, len(stroke.path) // 6)]
            self.person.stroke(layer, [tuple(at) for at in path], steps=3)
            self.run(0.2)

    def run(self, seconds: float) -> None:
        """Let the window run."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def wait(self, until: Callable[[], object], seconds: float = 240) -> None:
        """Let the window run until something is so."""
        self.person.wait(until, seconds)

    # ---------------------------------------------------------------- pictures

    def picture(self, name: str) -> None:
        """Take the picture of the guide, and those to be looked at; the mouse is elsewhere."""
        QApplication.sendEvent(self.person.canvas, QEvent(QEvent.Type.Leave))
        self._save_small(self._shot(), DOCS / "guide" / f"{name}.png")
        print(name, flush=True)
        if self._look is None:
            return
        camera = self.viewer.scene.camera
        zoom, height = camera.zoom, self.viewer.canvas.size[0]
        for width_px, height_px in SIZES:
            self.viewer.window.resize(width_px, height_px)
            self.run(0.4)
            camera.zoom = zoom * self.viewer.canvas.size[0] / height
            for theme in THEMES:
                self.viewer.theme = theme
                shot = self._shot()
                shot.save(self._look / f"{name}-{theme}-{width_px}x{height_px}.png")
        self.viewer.theme = THEMES[0]
        self.viewer.window.resize(*SIZES[0])
        self.run(0.4)
        camera.zoom = zoom

    def keep(self, name: str, widget) -> None:
        """Take the picture of a window beside the viewer's."""
        self.run(0.5)
        shot = widget.grab().toImage()
        path = (self._look or Path(tempfile.gettempdir())) / f"{name}-{THEMES[0]}.png"
        shot.save(str(path))
        self._save_small(Image.open(path).convert("RGB"), DOCS / "guide" / f"{name}.png")
        print(name, flush=True)

    def _shot(self) -> Image.Image:
        self.run(0.6)
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        return Image.fromarray(np.asarray(pixels)[..., :3])

    def _save_small(self, shot: Image.Image, path: Path) -> None:
        """Write with as many colours as there is room for."""
        for n_colors in COLORS:
            file = BytesIO()
            shot.quantize(n_colors, dither=Image.Dither.NONE).save(file, "png", optimize=True)
            if file.tell() <= MOST_BYTES:
                break
        else:
            sys.exit(f"{path.name} has {file.tell():,} bytes with {n_colors} colours.")
        path.write_bytes(file.getvalue())


def write_guide() -> None:
    """Put the words of all scenes together."""
    parts = [BEGINNING]
    for scene in SCENES:
        parts.append(f"## {scene.title}\n\n![{scene.caption}](guide/{scene.name}.png)\n")
        parts.append(scene.text)
    parts.append(END)
    text = "\n".join(part.strip("\n") + "\n" for part in parts)
    (DOCS / "guide.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Lead through all scenes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=30, help="of training")
    parser.add_argument("--look", type=Path, help="folder for pictures of all themes and sizes")
    parser.add_argument("--text", action="store_true", help="write the words alone")
    options = parser.parse_args()
    write_guide()
    if options.text:
        return
    (DOCS / "guide").mkdir(exist_ok=True)
    if options.look:
        options.look.mkdir(parents=True, exist_ok=True)
    author = Author(options.look, options.seconds)
    for scene in SCENES:
        scene.act(author)
    author.viewer.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_UNETSEG_HOME"] = folder
        main()
