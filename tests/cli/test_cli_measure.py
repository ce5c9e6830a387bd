"""``measure``: a table of objects in physical units."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from napari_unetseg.cli import main
from napari_unetseg.cli.progress import Bar
from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack, open_stack, write_image, write_labels

CLASSES = (LabelClass(name="cell", color="#e69f00"), LabelClass(name="nucleus", color="#56b4e9"))
SIZES = {"Z": 0.5, "Y": 0.2, "X": 0.1}


def run(*arguments):
    return main([str(argument) for argument in arguments])


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def image(tmp_path):
    pixels = np.zeros((4, 20, 30), np.uint8)
    pixels[:, :10] = 100
    stack = Stack(pixels, "ZYX", SIZES, "cells")
    write_image(tmp_path / "cells.tif", stack)
    return stack


def test_objects_are_measured_with_the_brightness_of_their_image(tmp_path, image):
    ids = np.zeros(image.shape, np.uint32)
    ids[1:3, 2:6, 4:14] = 9
    ids[2, 12:16, 4:14] = 100_000
    labels, table = tmp_path / "objects.ome.zarr", tmp_path / "table.csv"
    write_labels(labels, ids, like=image, kind="objects", classes=())
    assert run("measure", labels, "-o", table, "-i", tmp_path / "cells.tif") == 0
    first, second = read(table)
    assert (first["object"], second["object"]) == ("9", "100000")
    assert float(first["volume_um3"]) == pytest.approx(80 * 0.01)
    assert float(first["z_um"]) == pytest.approx(1.5 * 0.5)
    assert (float(first["mean"]), float(second["mean"])) == (100, 0)
    assert first["touches_border"] == "False"


def test_pieces_of_masks_are_measured_class_by_class(tmp_path, image, capsys):
    codes = np.ones(image.shape, np.uint8)
    codes[0, 2:5, 2:5] = codes[2, 2:5, 2:5] = 2
    codes[:, 10:12, 20:25] = 3
    labels, table = tmp_path / "masks.tif", tmp_path / "table.csv"
    write_labels(labels, codes, like=image, kind="masks", classes=CLASSES)
    assert run("measure", labels, "-o", table) == 0
    rows = read(table)
    assert [(row["class"], row["n_px"]) for row in rows] == [
        ("cell", "9"),
        ("cell", "9"),
        ("nucleus", "40"),
    ]
    assert float(rows[2]["volume_um3"]) == pytest.approx(40 * 0.01)
    assert "3 objects" in capsys.readouterr().out


def test_pictures_of_other_programs_are_objects_unless_told_otherwise(tmp_path, capsys):
    ids = np.zeros((20, 30), np.uint8)
    ids[2:5, 2:5], ids[2:5, 10:13] = 255, 255
    Image.fromarray(ids).save(tmp_path / "ids.png")
    table = tmp_path / "table.csv"
    assert run("measure", tmp_path / "ids.png", "-o", table) == 0
    assert "in pixels" in capsys.readouterr().out
    assert [row["object"] for row in read(table)] == ["255"]
    arguments = ("measure", tmp_path / "ids.png", "-o", table, "--kind", "masks")
    assert run(*arguments) == 2
    assert run(*arguments, "--overwrite") == 0
    assert [row["n_px"] for row in read(table)] == ["9", "9"]


def test_parquet_holds_the_same_with_types(tmp_path, image):
    ids = np.zeros(image.shape, np.uint32)
    ids[1, 2:6, 4:14] = 9
    write_labels(tmp_path / "ids.tif", ids, like=image, kind="objects", classes=())
    table = tmp_path / "table.parquet"
    assert run("measure", tmp_path / "ids.tif", "-o", table) == 0
    (row,) = pq.read_table(table).to_pylist()
    assert (row["object"], row["n_px"], row["nearest_um"]) == (9, 40, None)
    assert row["volume_um3"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ids.tif", "-o", "table.txt"], "ends in .csv or .parquet"),
        (["ids.tif", "-o", "table.csv", "--kind", "cells"], "is no kind of labels"),
        (
            ["ids.tif", "-o", "table.csv", "-i", "other.tif"],
            "labels need the slices, height and width",
        ),
        (["nothing.tif", "-o", "table.csv"], "no file"),
        (["cells.tif", "-o", "cells.tif"], "ends in"),
    ],
)
def test_what_cannot_be_measured_is_said(tmp_path, image, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    ids = np.ones(image.shape, np.uint32)
    write_labels("ids.tif", ids, like=image, kind="objects", classes=())
    write_image("other.tif", Stack(np.zeros((4, 9, 9), np.uint8), "ZYX"))
    assert run("measure", *arguments) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("table*"))


def test_parquet_without_its_package_is_said(tmp_path, image, monkeypatch, capsys):
    write_labels(
        tmp_path / "ids.tif",
        np.ones(image.shape, np.uint32),
        like=image,
        kind="objects",
        classes=(),
    )
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run("measure", tmp_path / "ids.tif", "-o", tmp_path / "table.parquet") == 2
    assert "napari-unetseg[parquet]" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["objects", "masks"])
def test_a_bar_runs_to_its_end_with_the_slices(tmp_path, image, monkeypatch, kind):
    codes = np.ones(image.shape, np.uint8)
    codes[:, 10:12, 20:25], codes[0, 2:5, 2:5] = 3, 2
    write_labels(tmp_path / "labels.tif", codes, like=image, kind=kind, classes=CLASSES)
    drawn = []

    class Drawn(Bar):
        def update(self, task_id, **changes):
            super().update(task_id, **changes)
            drawn.append((self.tasks[0].description, self.tasks[0].completed, self.tasks[0].total))

    monkeypatch.setattr("napari_unetseg.cli.progress.Bar", Drawn)
    assert run("measure", tmp_path / "labels.tif", "-o", tmp_path / "t.csv") == 0
    n = 4 if kind == "objects" else 2 * 2 * 4
    expected = [("Measuring labels", done, n) for done in range(n + 1)]
    assert drawn == [("Measuring labels", 0, None), *expected]


def test_a_level_that_fits_is_named(tmp_path, capsys):
    image = Stack(np.zeros((3, 600, 700), np.uint8), "ZYX", {"Z": 0.5, "Y": 0.1, "X": 0.1})
    write_image(tmp_path / "cells.zarr", image)
    inside = tmp_path / "cells.zarr" / "labels" / "c"
    ids = np.zeros(image.shape, np.uint32)
    ids[:, 40:80, 40:90] = 1
    write_labels(inside, ids, like=image, kind="objects", classes=())
    coarse = open_stack(tmp_path / "cells.zarr" / "1")
    write_image(tmp_path / "coarse.tif", coarse)
    table = tmp_path / "o.csv"
    assert main(["measure", str(inside), "-i", str(tmp_path / "coarse.tif"), "-o", str(table)]) == 2
    assert f"their image; {inside / '1'} fits." in " ".join(capsys.readouterr().err.split())
    level = str(inside / "1")
    assert main(["measure", level, "-i", str(tmp_path / "cells.zarr"), "-o", str(table)]) == 2
    fits = tmp_path / "cells.zarr" / "1"
    assert f"their image; they fit {fits}." in " ".join(capsys.readouterr().err.split())
    assert main(["measure", level, "-i", str(fits), "-o", str(table)]) == 0
    odd = tmp_path / "odd.tif"
    write_image(odd, Stack(np.zeros((3, 50, 70), np.uint8), "ZYX"))
    assert main(["measure", str(inside), "-i", str(odd), "-o", str(tmp_path / "p.csv")]) == 2
    assert "height and width of their image." in " ".join(capsys.readouterr().err.split())
