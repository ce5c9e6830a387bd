"""A prediction that was killed goes on at the first slice that is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg import open_stack
from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass, ModelInfo, Recipe, UNetConfig
from napari_unetseg.images import LazyPlanes, Stack, write_image
from napari_unetseg.learning import Model
from napari_unetseg.networks import build_network

N_PLANES = 70

#: Every slice takes its time.
SLOWLY = """
import sys, time
from napari_unetseg.learning import Predictor
answers = Predictor.answers
def slowly(self, *args, **kwargs):
    for answer in answers(self, *args, **kwargs):
        time.sleep(0.05)
        yield answer
Predictor.answers = slowly
from napari_unetseg.cli import main
sys.exit(main())
"""


def model(dims: str, seed: int = 0) -> Model:
    """Return a network that has learned nothing, and answers all the same."""
    import torch

    torch.manual_seed(seed)
    config = UNetConfig(dims=dims, depth=1, filters=4, reduction=1, norm="instance", anisotropy=1)
    recipe = Recipe(network=config, objects=None)
    classes = (LabelClass(name="cell", color="#123456"),)
    info = ModelInfo(name="none", classes=classes, channels=("",), recipe=recipe)
    return Model(info, build_network(config, 1, 2).eval())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (N_PLANES, 40, 48), np.uint8)
    write_image(tmp_path / "stack.zarr", Stack(pixels, "ZYX", {"Z": 0.1, "Y": 0.1, "X": 0.1}))
    model("2").save(tmp_path / "2.unet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arguments(output: str, *options: str) -> list[str]:
    return ["predict", "stack.zarr", "-m", "2.unet", "-o", output, *options]


def done(output: str) -> list[str]:
    """Return the slices that are on disk of what is being written."""
    path = Path(output)
    journal = path.with_name(f".{path.name}.unfinished") / ".unfinished.slices"
    return journal.read_text().splitlines() if journal.is_file() else []


def kill_after(n: int, output: str, *options: str, written: str | None = None) -> None:
    """Kill a prediction once so many slices are on disk, of the output or of `written`."""
    child = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *arguments(output, *options)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while len(done(written or output)) < n:
            assert child.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("dims", ["2", "2.5", "3"])
@pytest.mark.parametrize("suffix", [".zarr", ".tif"])
def test_it_is_the_same_as_without_the_kill(folder, capsys, dims, suffix) -> None:
    if dims != "2":
        model(dims).save(folder / "2.unet", overwrite=True)
    options = ("--probabilities", "--uncertainty")
    assert main(arguments(f"whole{suffix}", *options)) == 0
    kill_after(32, f"again{suffix}", *options)  # of the labels; others are written after them
    left = len(done(f"again{suffix}"))
    assert 0 < left < N_PLANES
    assert not Path(f"again{suffix}").exists()
    capsys.readouterr()
    assert main(arguments(f"again{suffix}", *options)) == 0
    assert f"of {N_PLANES} slices of stack were segmented before" in capsys.readouterr().err
    for ending in ("", "_probabilities", "_uncertainty"):
        whole, again = (open_stack(f"{name}{ending}{suffix}") for name in ("whole", "again"))
        np.testing.assert_array_equal(LazyPlanes.of(again)[:], LazyPlanes.of(whole)[:])
        assert (again.pixel_size_um, again.channels) == (whole.pixel_size_um, whole.channels)
        assert again.metadata == whole.metadata
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_only_what_is_missing_is_segmented(folder, monkeypatch) -> None:
    from napari_unetseg.learning import Predictor

    kill_after(32, "again.zarr")
    n_left = len(done("again.zarr"))
    asked: list[int] = []
    answers = Predictor.answers
    monkeypatch.setattr(
        Predictor,
        "answers",
        lambda self, planes, **wanted: asked.extend(planes) or answers(self, planes, **wanted),
    )
    assert main(arguments("again.zarr")) == 0
    assert asked == list(range(n_left, N_PLANES))


@pytest.mark.parametrize("change", ["model", "image", "options"])
def test_what_another_model_image_or_setting_left_is_not_gone_on_with(folder, capsys, change):
    kill_after(16, "again.zarr")
    options = ("--tta",) if change == "options" else ()
    if change == "model":
        model("2", seed=1).save(folder / "2.unet", overwrite=True)
    if change == "image":
        shutil.rmtree(folder / "stack.zarr")
        pixels = np.random.default_rng(1).integers(0, 255, (N_PLANES, 40, 48), np.uint8)
        write_image(folder / "stack.zarr", Stack(pixels, "ZYX", {"Z": 0.1, "Y": 0.1, "X": 0.1}))
    assert main(arguments("again.zarr", *options)) == 0
    assert "another model, image or settings" in capsys.readouterr().err
    assert main(arguments("whole.zarr", *options)) == 0
    whole, again = (LazyPlanes.of(open_stack(f"{name}.zarr"))[:] for name in ("whole", "again"))
    np.testing.assert_array_equal(again, whole)


def test_steps_that_follow_begin_with_all_slices(folder) -> None:
    options = ("--then", "fill_holes", "--then", "crf:n_iterations=1")
    assert main(arguments("whole.zarr", *options)) == 0
    kill_after(16, "again.zarr", *options, written="again.part.codes.zarr")
    assert main(arguments("again.zarr", *options)) == 0
    whole, again = (LazyPlanes.of(open_stack(f"{name}.zarr"))[:] for name in ("whole", "again"))
    np.testing.assert_array_equal(again, whole)
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_folder_of_results_is_gone_on_with(folder) -> None:
    kill_after(16, "out", written="out/stack.tif")
    assert main(arguments("out")) == 0
    assert [path.name for path in Path("out").iterdir()] == ["stack.tif"]
