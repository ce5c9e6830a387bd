"""``compare``: the table, its files, and what is said of it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_unetseg.cli import main


@pytest.fixture
def board(tmp_path, monkeypatch):
    """Write a noisy checkerboard and its masks; leave two methods to be quick."""
    from napari_unetseg.classical import METHODS
    from napari_unetseg.comparison import baselines

    y, x = np.mgrid[:256, :256]
    truth = ((y // 16 + x // 16) % 2).astype(np.uint8)
    pixels = np.random.default_rng(0).normal(60, 20, truth.shape) + 100 * truth
    tifffile.imwrite(tmp_path / "board.tif", np.clip(pixels, 0, 255).astype(np.uint8))
    tifffile.imwrite(tmp_path / "truth.tif", truth)
    monkeypatch.chdir(tmp_path)
    two = {name: METHODS[name] for name in ("otsu", "sobel")}
    monkeypatch.setattr(baselines, "METHODS", two)
    return tmp_path


#: The clock begins with the process, which here is that of all tests.
TIME = ["--max-time", "9h"]

ASKED = [
    *("compare", "board.tif", "-l", "truth.tif", "--labels-kind", "masks", "--no-networks"),
    *TIME,
]


def test_the_table_is_printed_with_a_recommendation(board, capsys):
    assert main(ASKED) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert "mean IoU" in lines[1]
    assert {lines[2].split("  ")[0], lines[3].split("  ")[0]} == {
        "Otsu threshold",
        "Sobel gradient",
    }
    assert "use it" in captured.out
    assert "held out" in captured.err


def test_the_table_is_written_with_a_figure_and_a_recipe_that_runs(board, capsys):
    assert main([*ASKED, "-o", "table"]) == 0
    with Path("table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mean_iou"]) for row in rows] == sorted(
        (float(row["mean_iou"]) for row in rows), reverse=True
    )
    assert {row["name"] for row in rows} == {"otsu", "sobel"}
    assert float(rows[0]["iou background"]) > 0.8
    assert "sigma 1 px" in rows[0]["settings"]
    with Image.open("table.png") as figure:
        assert figure.size[0] == 1100
    assert "napari-unetseg run table.json" in capsys.readouterr().out
    assert main(["run", "table.json", "board.tif", "-o", "masks.tif"]) == 0
    found, truth = tifffile.imread("masks.tif"), tifffile.imread("truth.tif")
    assert (found == truth).mean() > 0.9


def test_nothing_is_overwritten_unless_told(board, capsys):
    (board / "table.csv").write_text("mine")
    assert main([*ASKED, "-o", "table.csv"]) == 2
    assert (board / "table.csv").read_text() == "mine"
    assert main([*ASKED, "-o", "table.csv", "--overwrite"]) == 0
    assert (board / "table.csv").read_text() != "mine"


def test_json_holds_everything_and_nothing_else_is_printed(board, capsys):
    assert main([*ASKED, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {"scored_on", "rows", "not_run", "recommended"}
    assert found["recommended"]["name"] in {row["name"] for row in found["rows"]}
    assert found["rows"][0]["recipe"]["chain"]["steps"]


def test_what_did_not_fit_is_listed_with_its_reason(board, capsys):
    assert main([*ASKED, "--max-time", "0.01s"]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "Not in the table (no time was left): Otsu threshold" in said
    assert "No method could be compared" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["-m", "nuclei"], "leave out --no-networks"),
        (["--max-time", "soon"], "no length of time"),
        (["-o", ""], "no name for a table"),
    ],
)
def test_bad_input_is_one_sentence(board, capsys, more, said):
    assert main([*ASKED, *more]) == 2
    assert said in capsys.readouterr().err


def test_a_model_that_is_not_there_is_one_sentence(board, capsys):
    asked = [argument for argument in ASKED if argument != "--no-networks"]
    assert main([*asked, "-m", "nowhere.unet"]) == 2
    assert "There is no model nowhere.unet" in capsys.readouterr().err


def spoiled(folder, how):
    pixels = np.random.default_rng(0).normal(60, 20, (2, 256, 256)).astype(np.float32)
    truth = np.stack([tifffile.imread(folder / "truth.tif")] * 2)
    if how == "constant":
        pixels[:] = 7
    else:
        pixels[1, 200, 3] = how
        truth[1] = 0
    tifffile.imwrite(folder / "spoiled.tif", pixels, photometric="minisblack")
    codes = truth + np.uint8(how == "constant")
    codes[0] = truth[0] + 1
    tifffile.imwrite(folder / "codes.tif", codes, photometric="minisblack")


@pytest.mark.parametrize(
    ("how", "said"),
    [(np.nan, "contains NaN in slice 1"), (np.inf, "infinite values"), ("constant", "everywhere")],
)
def test_pixels_that_are_none_are_one_sentence(board, capfd, how, said):
    spoiled(board, how)
    asked = ["compare", "spoiled.tif", "-l", "codes.tif", "--no-networks", *TIME]
    assert main(asked) == 2
    captured = capfd.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_masks_taken_for_annotations_are_pointed_out(board, capsys):
    assert main(["compare", "board.tif", "-l", "truth.tif", "--no-networks", *TIME]) == 2
    assert "say --labels-kind masks" in capsys.readouterr().err


def test_a_table_without_a_row_is_a_failure_that_says_why(board, capfd, monkeypatch):
    from napari_unetseg.classical import METHODS

    def broken(self, *_):
        raise ValueError("a wheel came off")

    for name in ("otsu", "sobel"):
        monkeypatch.setattr(type(METHODS[name]), "features", broken)
    assert main(ASKED) == 2
    captured = capfd.readouterr()
    assert "a wheel came off" in captured.out
    assert "Traceback" not in captured.err
    assert "No method could be compared" in captured.err


def test_ctrl_c_keeps_what_is_done_by_then(board, capsys, monkeypatch):
    from napari_unetseg.classical import METHODS

    def interrupted(self, features, params):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(METHODS["sobel"]), "measure", interrupted)
    assert main([*ASKED, "-o", "table"]) == 130
    captured = capsys.readouterr()
    assert "Otsu threshold after smoothing is best" in captured.out
    assert "stopped" in captured.err
    with Path("table.csv").open(encoding="utf-8") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["otsu"]


def test_ctrl_c_before_the_first_row_leaves_nothing(board, capsys, monkeypatch):
    from napari_unetseg.classical import METHODS

    def interrupted(self, features, params):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(METHODS["otsu"]), "measure", interrupted)
    assert main([*ASKED, "-o", "table"]) == 130
    assert capsys.readouterr().out == ""
    assert not Path("table.csv").exists()
