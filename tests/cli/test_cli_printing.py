"""What is printed shows names from files, and lets none of them move a terminal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg import cli
from napari_unetseg.cli import main
from napari_unetseg.cli.printing import console, printable
from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack, write_image, write_labels

HOSTILE = "\x1b[2J\x1b]0;own\x07\x9b1A[red]x[/]:smile:\u202e"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with an image, labels and a table that are called something hostile."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 90, (2, 3, 40, 48), np.uint8)
    pixels[..., 8:24, 8:24] += 120
    names = (HOSTILE, "GFP")
    # In a name of a file "/" is none.
    image = Stack(pixels, "CZYX", {"Y": 0.1, "X": 0.1}, channels=names)
    write_image("image.zarr", image)
    Path("image.zarr").rename(f"{file_name()}.zarr")
    codes = np.ones((3, 40, 48), np.uint8)
    codes[:, 8:24, 8:24] = 2
    classes = (LabelClass(name=HOSTILE, color="#123456"),)
    write_labels("labels.zarr", codes, like=image, kind="masks", classes=classes)
    return tmp_path


def file_name() -> str:
    return HOSTILE.replace("/", "")


def commands() -> dict[str, list[str]]:
    image, out = f"{file_name()}.zarr", "out.tif"
    return {
        "info image": ["info", image],
        "info labels": ["info", "labels.zarr"],
        "baseline": ["baseline", "otsu", image, "-o", out],
        "evaluate": ["evaluate", "labels.zarr", "-t", "labels.zarr", "--all"],
        "measure": ["measure", "labels.zarr", "-i", image, "-o", f"{file_name()}.csv"],
        "convert": ["convert", "labels.zarr", "-o", f"{file_name()}.tif"],
        "error": ["predict", image, "-m", file_name(), "-o", out],
    }


@pytest.mark.skipif(sys.platform == "win32", reason="no file is called so there")
@pytest.mark.parametrize("name", commands())
def test_nothing_is_printed_that_a_terminal_obeys(folder, name) -> None:
    command = [sys.executable, "-m", "napari_unetseg", *commands()[name]]
    done = subprocess.run(command, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == (2 if name == "error" else 0), said
    assert not OBEYED.findall(said)
    assert "\\u001b[2J" in said.replace("\n", "")
    assert "Traceback" not in said


def test_what_is_printed_for_programs_is_what_was_in_the_file(folder, capsys) -> None:
    assert main(["info", "labels.zarr", "--json"]) == 0
    said = capsys.readouterr().out
    assert not OBEYED.findall(said)
    assert json.loads(said)["classes"][0]["name"] == HOSTILE


def test_a_terminal_gets_colours_and_no_names_that_it_obeys(capsys) -> None:
    printed = console()
    with printed.capture() as captured:
        printed.print(HOSTILE, style="bold")
    assert captured.get() == f"{printable(HOSTILE)}\n"
    assert printable("µm × 2\n\tα") == "µm × 2\n\tα"
    assert printable(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf\\udce9"


def test_nothing_is_printed_elsewhere() -> None:
    for path in Path(cli.__file__).parent.glob("*.py"):
        if path.name != "printing.py":
            found = re.search(r"(?<![\w.])(print|typer\.echo|Console|Progress)\(", path.read_text())
            assert found is None or path.name == "progress.py", f"{path.name}: {found}"


def test_a_log_gets_lines_while_images_are_segmented(folder, capsys, monkeypatch) -> None:
    monkeypatch.setattr("napari_unetseg.cli.progress.LINE_EVERY_S", 0.0)
    assert main(["baseline", "otsu", f"{file_name()}.zarr", "-o", "out.tif"]) == 0
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if line.startswith("Segmenting")]
    assert [int(n) for n in re.findall(r", (\d+)%", "\n".join(said))] == [0, 33, 67, 100]
