"""Pixel sizes and classes from the file of a microscope to the table of objects, by command line.

Two boxes in an anisotropic volume, whose sizes and distance are known.
"""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
import zarr

from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack, open_label_stack, open_stack, write_labels

SIZE = {"Z": 2.0, "Y": 0.5, "X": 0.25}
CLASSES = (LabelClass(name="cell", color="#123456"),)
CONFIG = {"network": {"depth": 2, "filters": 8}, "training": {"patch_px": 32, "batch": 4}}

#: Slices, rows and columns of the boxes.
LARGE, SMALL = np.s_[1:5, 4:24, 8:40], np.s_[2:4, 32:44, 40:56]
VOLUMES = [4 * 2.0 * 20 * 0.5 * 32 * 0.25, 2 * 2.0 * 12 * 0.5 * 16 * 0.25]
#: Centres: (6, 7, 6) and (6, 19, 12) µm.
APART = np.hypot(19 - 7, 12 - 6)

TRUTH = np.zeros((6, 48, 64), np.uint8)
TRUTH[LARGE] = TRUTH[SMALL] = 1
PIXELS = (40 + 150 * TRUTH + np.random.default_rng(0).integers(0, 20, TRUTH.shape)).astype(np.uint8)


def write_zarr(path):
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=PIXELS, chunks=(4, 30, 30))
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": [1000 * SIZE[axis] for axis in "ZYX"]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]


def write_tiff(path):
    metadata = {"axes": "ZYX"}
    for axis, um in SIZE.items():
        metadata |= {f"PhysicalSize{axis}": um / 1000, f"PhysicalSize{axis}Unit": "mm"}
    tifffile.imwrite(path, PIXELS, ome=True, photometric="minisblack", metadata=metadata)


IMAGES = {"cells.zarr": write_zarr, "cells.ome.tif": write_tiff}


def run(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def info(path, capsys):
    capsys.readouterr()
    run("info", path, "--json")
    return json.loads(capsys.readouterr().out)


def table_of(labels, *options):
    """Measure; return the rows of the CSV, having compared them with those of the Parquet."""
    table = labels.parent / "tables" / f"{labels.name}.csv"
    table.parent.mkdir(exist_ok=True)
    run("measure", labels, "-o", table, *options, "--overwrite")
    run("measure", labels, "-o", table.with_suffix(".parquet"), *options, "--overwrite")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    others = pq.read_table(table.with_suffix(".parquet")).to_pylist()
    assert len(rows) == len(others)
    for row, other in zip(rows, others, strict=True):
        assert float(row["volume_um3"]) == pytest.approx(other["volume_um3"], rel=1e-5)
    return sorted(others, key=lambda row: -row["volume_um3"])


def check_rows(rows, tolerance=1e-6):
    assert [row["volume_um3"] for row in rows] == pytest.approx(VOLUMES, rel=tolerance)
    for row in rows:
        assert row["volume_um3"] == pytest.approx(row["n_px"] * 2.0 * 0.5 * 0.25)
        assert row["nearest_um"] == pytest.approx(APART, rel=tolerance)
        centre = [row[f"{axis}_um"] for axis in "zyx"]
        assert centre == pytest.approx([row[f"{a.lower()}_px"] * SIZE[a] for a in "ZYX"])
    # The longest side is that along Y, of 10 µm, though it has fewer voxels than that along X.
    assert rows[0]["major_axis_um"] == pytest.approx(10 * np.sqrt(5 / 3), rel=max(tolerance, 0.01))


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("ending", [".ome.tif", ".zarr"])
def test_sizes_of_a_baselines_masks_are_in_micrometres(tmp_path, name, ending, capsys):
    IMAGES[name](tmp_path / name)
    assert info(tmp_path / name, capsys)["pixel_size_um"] == SIZE
    masks = tmp_path / f"masks{ending}"
    run(
        "baseline",
        "otsu",
        tmp_path / name,
        "-o",
        masks,
        "-p",
        "per_slice=false",
        "-p",
        "sigma_px=0",
    )
    said = info(masks, capsys)
    assert (said["axes"], said["pixel_size_um"], said["kind"]) == ("ZYX", SIZE, "masks")
    assert len(said["classes"]) == 1
    rows = table_of(masks)
    check_rows(rows)
    assert {row["class"] for row in rows} == {said["classes"][0]["name"]}
    check_rows(table_of(masks, "-i", tmp_path / name))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_tiff(folder / "cells.ome.tif")
    like = Stack(PIXELS, "ZYX", SIZE, "cells")
    write_labels(folder / "truth.tif", TRUTH + np.uint8(1), like=like, kind="masks",
                 classes=CLASSES)  # fmt: skip
    (folder / "config.json").write_text(json.dumps(CONFIG))
    run("train", folder / "cells.ome.tif", "-l", folder / "truth.tif", "--labels-kind", "masks",
        "--config", folder / "config.json", "--steps", "150", "-o", folder / "m.unet")  # fmt: skip
    return folder / "m.unet"


@pytest.mark.parametrize("name", IMAGES)
def test_sizes_of_predicted_objects_are_in_micrometres_in_every_format(
    tmp_path, name, model, capsys
):
    IMAGES[name](tmp_path / name)
    masks, ids = tmp_path / "masks.ome.tif", tmp_path / "objects.zarr"
    run("predict", tmp_path / name, "-m", model, "-o", masks, "--probabilities")
    said = info(masks, capsys)
    assert (said["kind"], said["pixel_size_um"]) == ("masks", SIZE)
    assert said["classes"] == [c.model_dump() for c in CLASSES]
    said = info(tmp_path / "masks.ome_probabilities.tif", capsys)
    assert (said["axes"], said["pixel_size_um"]) == ("CZYX", SIZE)
    assert said["channels"] == ["background", "cell"]
    check_rows(table_of(masks), 0.05)
    run("predict", tmp_path / name, "-m", model, "-o", ids, "--objects")
    assert info(ids, capsys)["kind"] == "objects"
    rows = table_of(ids)
    check_rows(rows, 0.05)
    image = open_stack(tmp_path / name)
    others = ["ids.ome.tif", "ids.h5", "ids.geojson", "ids.zip", "ids"]
    if name.endswith(".zarr"):
        others.append(f"{name}/labels/cells")
    for other in others:
        run("convert", ids, "-o", tmp_path / other)
        found = open_label_stack(tmp_path / other)
        assert found.pixel_size_um == pytest.approx(image.pixel_size_um), other
        again = table_of(tmp_path / other)
        keys = ("object", "n_px", "volume_um3", "nearest_um", "z_um", "major_axis_um")
        assert [[row[key] for key in keys] for row in again] == [
            pytest.approx([row[key] for key in keys]) for row in rows
        ], other
