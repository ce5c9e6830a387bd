from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unetseg.images import open_stack, read_labels
from napari_unetseg.samples import contributions, em_stack
from napari_unetseg.samples.contributions import (
    open_em_sample,
    open_nuclei_sample,
    open_nuclei_sample_with_truth,
)
from napari_unetseg.samples.files import small_samples, write_sample

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"
NAMES = ("neuropil", "nuclei")
KINDS = ("", "_masks", "_objects")


@pytest.fixture(scope="module")
def made_again(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    for sample in small_samples():
        write_sample(folder, sample)
    return folder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_files_in_sample_data_are_what_the_generator_makes(made_again, name, kind):
    file = f"{name}{kind}.ome.tif"
    kept, made = tifffile.imread(SAMPLE_DATA / file), tifffile.imread(made_again / file)
    assert kept.dtype == made.dtype
    np.testing.assert_array_equal(kept, made)


def test_sample_data_is_small_and_compressed():
    files = sorted(SAMPLE_DATA.glob("*.tif"))
    assert [f.name for f in files] == [f"{n}{k}.ome.tif" for n in NAMES for k in KINDS]
    assert sum(f.stat().st_size for f in files) < 2.2e6
    for file in files:
        with tifffile.TiffFile(file) as tif:
            assert tif.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE


@pytest.mark.parametrize(("name", "pixel_um"), [("neuropil", 0.005), ("nuclei", 0.25)])
def test_images_and_labels_open_with_calibration_and_class_names(name, pixel_um):
    image = open_stack(SAMPLE_DATA / f"{name}.ome.tif")
    assert image.axes == "ZYX"
    assert image.pixel_size_um["X"] == pytest.approx(pixel_um)
    masks = read_labels(SAMPLE_DATA / f"{name}_masks.ome.tif", "masks", like=image)
    assert masks.codes.shape == image.shape
    assert "class 1" not in [c.name for c in masks.classes]
    objects = tifffile.imread(SAMPLE_DATA / f"{name}_objects.ome.tif")
    inside = masks.codes == 2
    np.testing.assert_array_equal(objects > 0, inside if name == "nuclei" else ~inside)


def test_the_script_says_how_to_use_it_and_writes_where_it_is_told(tmp_path):
    run = [sys.executable, "-m", "napari_unetseg.samples"]
    assert "usage" in subprocess.run(run, capture_output=True, text=True, check=False).stderr
    done = subprocess.run([*run, tmp_path], capture_output=True, text=True, check=True)
    assert len(list(tmp_path.glob("*.ome.tif"))) == len(done.stdout.splitlines()) == 6


@pytest.mark.parametrize("layers", [open_em_sample, open_nuclei_sample])
def test_a_sample_for_napari_is_one_calibrated_image_layer(layers, monkeypatch):
    monkeypatch.setattr(contributions, "em_stack", partial(em_stack, shape=(2, 64, 64)))
    ((data, arguments, kind),) = layers()
    assert kind == "image"
    assert len(arguments["scale"]) == len(arguments["units"]) == data.ndim == 3
    assert arguments["metadata"]["napari_unetseg"]["axes"] == "ZYX"


def test_the_truth_comes_as_hidden_masks_that_have_the_place_of_the_image():
    (image, at, _), (masks, truth_at, kind) = open_nuclei_sample_with_truth()
    assert kind == "labels"
    assert masks.shape == image.shape
    assert set(np.unique(masks)) == {0, 1}
    assert truth_at["scale"] == at["scale"]
    assert truth_at["visible"] is False
