"""Images with more channels than a model looks at are segmented by the ones that are chosen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_unetseg import open_stack
from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass, ModelInfo, Recipe, UNetConfig
from napari_unetseg.images import LazyPlanes, Stack, write_image
from napari_unetseg.learning import Model
from napari_unetseg.networks import build_network

NAMES = ("DAPI", "GFP", "actin")


def model(n_channels: int) -> Model:
    """Return a network that has learned nothing, and answers all the same."""
    torch.manual_seed(0)
    config = UNetConfig(depth=1, filters=4, reduction=1, norm="instance")
    classes = (LabelClass(name="cell", color="#123456"),)
    recipe = Recipe(network=config, objects=None)
    info = ModelInfo(name="none", classes=classes, channels=("",) * n_channels, recipe=recipe)
    return Model(info, build_network(config, n_channels, 2).eval())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 2, 40, 48), np.uint8)
    for suffix in ("tif", "zarr"):
        write_image(f"all.{suffix}", Stack(pixels, "CZYX", {}, "all", None, NAMES))
    write_image("second.tif", Stack(pixels[1], "ZYX"))
    write_image("swapped.tif", Stack(pixels[[2, 0]], "CZYX", channels=("", "")))
    model(1).save("1.unet")
    model(2).save("2.unet")
    return tmp_path


def predicted(image: str, of_model: str, *options: str) -> np.ndarray:
    assert main(["predict", image, "-m", of_model, "-o", "o.tif", "--overwrite", *options]) == 0
    return LazyPlanes.of(open_stack("o.tif"))[:]


@pytest.mark.parametrize("suffix", ["tif", "zarr"])
@pytest.mark.parametrize("named", ["2", "GFP"])
def test_one_channel_is_as_an_image_of_its_own(folder, suffix, named) -> None:
    wanted = predicted("second.tif", "1.unet")
    np.testing.assert_array_equal(predicted(f"all.{suffix}", "1.unet", "--channel", named), wanted)
    assert json.loads(Path("o.tif.json").read_text())["options"]["channels"] == [named]


@pytest.mark.parametrize("suffix", ["tif", "zarr"])
def test_channels_are_taken_in_the_order_in_which_they_are_named(folder, suffix) -> None:
    wanted = predicted("swapped.tif", "2.unet")
    given = ("--channel", "actin", "--channel", "1")
    np.testing.assert_array_equal(predicted(f"all.{suffix}", "2.unet", *given), wanted)


def test_a_channel_that_is_not_there_is_told_with_those_that_are(folder, capsys) -> None:
    for given, said in (
        (["--channel", "4"], "has no channel '4'; .* 1 DAPI, 2 GFP, 3 actin."),
        (["--channel", "0"], "has no channel '0'"),
        (["--channel", "1", "--channel", "DAPI"], "named twice in 1, DAPI"),
        ([], "predict --channel 1 on the command line, and in the window .* Channels"),
    ):
        assert main(["predict", "all.tif", "-m", "1.unet", "-o", "o.tif", *given]) == 2
        assert re.search(said, capsys.readouterr().err)
