"""The program's own window."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from napari_unetseg.images import Stack, write_image

pytestmark = pytest.mark.window

_OPENED = """
import gc, napari
from napari_unetseg.widgets import app
def run():
    looked_through = len(gc.get_objects())
    print(gc.get_freeze_count(), looked_through, len(napari.current_viewer().window.dock_widgets))
    napari.current_viewer().close()
napari.run = run
app.open_window()
"""


def test_what_stays_until_the_end_is_spared_from_garbage_collection(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path))
    ran = subprocess.run([sys.executable, "-c", _OPENED], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    frozen, looked_through, docks = map(int, ran.stdout.split()[-3:])
    assert docks == 1
    assert frozen > 100_000
    assert looked_through < frozen / 10


_COMMAND_LINE = """
import sys, napari
def run():
    for layer in napari.current_viewer().layers:
        print(layer.name, type(layer).__name__, *layer.data.shape)
    napari.current_viewer().close()
napari.run = run
from napari_unetseg.cli import main
{}
sys.exit(main())
"""

_PLUGIN = """
import numpy, npe2
made = npe2.DynamicPlugin("reads-zeiss")
made.register()
@made.contribute.reader(filename_patterns=["*.vsi"])
def get_reader(path):
    return lambda path: [(numpy.zeros((4, 5, 6)),)]
"""


def on_the_command_line(*paths, before=""):
    return subprocess.run(
        [sys.executable, "-c", _COMMAND_LINE.format(before), *map(str, paths)],
        capture_output=True,
        text=True,
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with images of all kinds and with what is none, in which the program is started."""
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    pixels = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
    Image.fromarray(pixels).save("grey.png")
    Image.fromarray(pixels).save("LOUD.PNG")
    Image.fromarray(np.dstack([pixels] * 3)).save("colour.jpg")
    write_image("deep.tif", Stack(np.stack([pixels] * 3), "ZYX", {}, "deep"))
    np.save("array.npy", pixels)
    (tmp_path / "slices").mkdir()
    for z in range(2):
        Image.fromarray(pixels).save(f"slices/{z}.png")
    (tmp_path / "note.txt").write_text("cells")
    (tmp_path / "script.py").write_text("print('this was run')")
    (tmp_path / "table.csv").write_text("index,axis-0,axis-1\n0,1,2\n1,3,4\n")
    (tmp_path / "cells.vsi").write_bytes(b"VSI")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    (tmp_path / "torn.npy").write_bytes(b"cells")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_images_of_every_kind_open_in_the_window(folder):
    paths = ["grey.png", "LOUD.PNG", "colour.jpg", "deep.tif", "array.npy", "slices"]
    ran = on_the_command_line(*paths)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "grey Image 48 64",
        "LOUD Image 48 64",
        "colour Image 48 64 3",
        "deep Image 3 48 64",
        "array Image 48 64",
        "slices Image 2 48 64",
    ]


def test_what_another_plugin_reads_opens_in_the_window(folder):
    ran = on_the_command_line("cells.vsi", before=_PLUGIN)
    assert (ran.returncode, ran.stdout) == (0, "cells Image 4 5 6\n"), ran.stderr


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("note.txt", "is not an image this program reads; it reads TIFF"),
        ("script.py", "is not an image this program reads; it reads TIFF"),
        ("table.csv", "holds no image; give a TIFF"),
        ("cells.vsi", "is an Olympus VSI file, which cannot be read yet; save it as OME-TIFF"),
        ("torn.png", "it may be damaged or incomplete"),
        ("torn.npy", "it may be damaged or incomplete"),
        ("empty", "holds no images; it reads TIFF, PNG and JPEG files"),
        ("nowhere/", "There is no file or folder nowhere; check the path."),
    ],
)
def test_what_is_no_image_is_one_sentence_and_no_window(folder, path, said):
    ran = on_the_command_line("grey.png", path)
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("error: ")
    assert path.rstrip("/") in line
    assert said in line
    assert not (folder / "home").exists()  # no window, no session
