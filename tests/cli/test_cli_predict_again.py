"""A prediction that was killed goes on at the first slice that is missing."""

from __future__ import annotations

import contextlib
import json
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
from napari_unetseg.images import LazyPlanes, Stack, UnfinishedStack, write_image
from napari_unetseg.learning import Model, Predictor
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


def begun_anew(capsys: pytest.CaptureFixture[str], change: str, *options: str) -> None:
    """Predict what cannot be gone on with, which is refused before it is replaced."""
    left = done("again.zarr")
    assert main(arguments("again.zarr", *options)) == 2
    said = capsys.readouterr().err
    assert f"what differs from then: {change}. Give that command again" in said
    assert said.rstrip().endswith("--overwrite.")
    assert done("again.zarr") == left
    assert main(arguments("again.zarr", "--overwrite", *options)) == 0
    assert "segmented from its first slice" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["model", "image", "--tta", "--slices"])
def test_what_another_model_image_or_setting_left_is_not_gone_on_with(folder, capsys, change):
    kill_after(16, "again.zarr")
    options = {"--tta": ("--tta",), "--slices": ("--slices", "0-3")}.get(change, ())
    if change == "model":
        model("2", seed=1).save(folder / "2.unet", overwrite=True)
    if change == "image":
        shutil.rmtree(folder / "stack.zarr")
        pixels = np.random.default_rng(1).integers(0, 255, (N_PLANES, 40, 48), np.uint8)
        write_image(folder / "stack.zarr", Stack(pixels, "ZYX", {"Z": 0.1, "Y": 0.1, "X": 0.1}))
    begun_anew(capsys, change, *options)
    assert main(arguments("whole.zarr", *options)) == 0
    whole, again = (LazyPlanes.of(open_stack(f"{name}.zarr"))[:] for name in ("whole", "again"))
    np.testing.assert_array_equal(again, whole)


def test_steps_that_follow_begin_with_all_slices(folder) -> None:
    options = ("--then", "fill_holes", "--then", "crf:n_iterations=1")
    assert main(arguments("whole.zarr", *options)) == 0
    kill_after(16, "again.zarr", *options, written="again.zarr.part.codes.zarr")
    assert main(arguments("again.zarr", *options)) == 0
    whole, again = (LazyPlanes.of(open_stack(f"{name}.zarr"))[:] for name in ("whole", "again"))
    np.testing.assert_array_equal(again, whole)
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_folder_of_results_is_gone_on_with(folder) -> None:
    kill_after(16, "out", written="out/stack.tif")
    assert main(arguments("out")) == 0
    assert [path.name for path in Path("out").iterdir()] == ["stack.tif"]


def interrupt(monkeypatch: pytest.MonkeyPatch, name: str, n: int) -> None:
    """Let a method of an unfinished result be interrupted when it is called for the n-th time."""
    method, calls = getattr(UnfinishedStack, name), iter(range(1, 10**6))

    def interrupted(self, *args):
        if next(calls) == n:
            raise KeyboardInterrupt
        return method(self, *args)

    monkeypatch.setattr(UnfinishedStack, name, interrupted)


def run_interrupted(monkeypatch: pytest.MonkeyPatch, arguments: list[str], name: str, n: int):
    with monkeypatch.context() as patch:
        interrupt(patch, name, n)
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            assert main(arguments) != 0


@pytest.mark.parametrize("change", ["pixel size", "one slice"])
def test_what_a_sample_does_not_tell_is_noticed(folder, capsys, monkeypatch, change) -> None:
    run_interrupted(monkeypatch, arguments("again.zarr"), "put", 40)
    pixels = LazyPlanes.of(open_stack("stack.zarr"))[:]
    size = 0.2 if change == "pixel size" else 0.1
    if change == "one slice":
        pixels[1] = pixels[1, ::-1]
    stack = Stack(pixels, "ZYX", {"Z": size, "Y": size, "X": size})
    write_image(folder / "stack.zarr", stack, overwrite=True)
    begun_anew(capsys, "image")
    assert main(arguments("whole.zarr")) == 0
    whole, again = (LazyPlanes.of(open_stack(f"{name}.zarr"))[:] for name in ("whole", "again"))
    np.testing.assert_array_equal(again, whole)


def test_pixels_that_changed_in_another_file_are_noticed(folder, capsys, monkeypatch) -> None:
    pixels = LazyPlanes.of(open_stack("stack.zarr"))[:]
    sizes = " ".join(map(str, reversed(pixels.shape)))
    Path("pixels.raw").write_bytes(pixels.tobytes())
    Path("stack.nhdr").write_text(
        f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: {sizes}\nencoding: raw\n"
        "data file: pixels.raw\n\n"
    )
    predict = ["predict", "stack.nhdr", "-m", "2.unet", "-o"]
    run_interrupted(monkeypatch, [*predict, "again.zarr"], "put", 40)
    pixels[1] = 255 - pixels[1]  # no slice of the sample
    Path("pixels.raw").write_bytes(pixels.tobytes())
    assert main([*predict, "again.zarr"]) == 2
    assert "what differs from then: image." in capsys.readouterr().err
    assert main([*predict, "again.zarr", "--overwrite"]) == 0
    assert main([*predict, "whole.zarr"]) == 0
    whole, again = (LazyPlanes.of(open_stack(f"{name}.zarr"))[:] for name in ("whole", "again"))
    np.testing.assert_array_equal(again, whole)


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
@pytest.mark.parametrize(("name", "n"), [("prepare", 2), ("finish", 1)])
def test_results_that_belong_together_are_all_there_or_none(
    folder, monkeypatch, suffix, name, n
) -> None:
    given = arguments(f"again{suffix}", "--probabilities", "--uncertainty")
    run_interrupted(monkeypatch, given, name, n)
    assert not [path for path in folder.iterdir() if path.name.startswith("again")]
    asked: list[int] = []
    answers = Predictor.answers
    monkeypatch.setattr(
        Predictor,
        "answers",
        lambda self, planes, **wanted: asked.extend(planes) or answers(self, planes, **wanted),
    )
    assert main(given) == 0
    assert asked == []
    assert len([path for path in folder.iterdir() if path.name.startswith("again")]) == 4
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("options", [(), ("--then", "fill_holes"), ("--probabilities",)])
def test_a_folder_goes_on_with_the_image_that_was_interrupted(
    folder, capsys, monkeypatch, options
) -> None:
    (folder / "images").mkdir()
    for name in "abc":
        pixels = np.random.default_rng(ord(name)).integers(0, 255, (20, 40, 48), np.uint8)
        write_image(folder / "images" / f"{name}.tif", Stack(pixels, "ZYX"))
    given = ["predict", "images", "-m", "2.unet", *options]
    n_stores = 2 if options == ("--probabilities",) else 1
    run_interrupted(monkeypatch, [*given, "-o", "again"], "put", 20 * n_stores + 22)
    before = (folder / "again" / "a.tif").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*given, "-o", "again"]) == 0
    said = capsys.readouterr().err
    assert "again/a.tif is finished already" in said
    assert (folder / "again" / "a.tif").stat().st_mtime_ns == before
    assert main([*given, "-o", "whole"]) == 0
    for path in sorted((folder / "whole").iterdir()):
        whole, again = (open_stack(folder / name / path.name) for name in ("whole", "again"))
        np.testing.assert_array_equal(LazyPlanes.of(again)[:], LazyPlanes.of(whole)[:])
    assert sorted(p.name for p in (folder / "again").iterdir()) == ["a.tif", "b.tif", "c.tif"]
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_result_that_was_changed_since_is_not_taken_for_finished(
    folder, capsys, monkeypatch
) -> None:
    (folder / "images").mkdir()
    for name in "ab":
        pixels = np.random.default_rng(ord(name)).integers(0, 255, (20, 40, 48), np.uint8)
        write_image(folder / "images" / f"{name}.tif", Stack(pixels, "ZYX"))
    given = ["predict", "images", "-m", "2.unet", "-o", "again"]
    run_interrupted(monkeypatch, given, "put", 30)
    (folder / "again" / "a.tif").write_bytes(b"mine")
    assert main(given) == 2
    assert "a.tif exists already" in capsys.readouterr().err
    assert (folder / "again" / "a.tif").read_bytes() == b"mine"


def test_what_another_result_left_stays(folder, monkeypatch) -> None:
    run_interrupted(monkeypatch, arguments("a_uncertainty.zarr"), "put", 30)
    left = done("a_uncertainty.zarr")
    assert left
    assert main(arguments("a.zarr")) == 0
    assert done("a_uncertainty.zarr") == left


def test_nothing_is_left_of_what_is_asked_for_no_more(folder, capsys, monkeypatch) -> None:
    options = ("--probabilities", "--uncertainty", "--then", "fill_holes")
    run_interrupted(monkeypatch, arguments("again.zarr", *options), "put", 120)
    assert main(arguments("again.zarr")) == 2
    said = capsys.readouterr().err
    assert "from then: --then, --probabilities, --uncertainty. Give" in said
    assert "slices of again.zarr are done" in said
    assert main(arguments("again.zarr", "--overwrite")) == 0
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_other_refinements_are_refused_before_anything_is_segmented(
    folder, capsys, monkeypatch
) -> None:
    run_interrupted(monkeypatch, arguments("again.tif"), "put", 40)
    monkeypatch.setattr(Predictor, "answers", None)
    assert main(arguments("again.tif", "--objects")) == 2
    assert "from then: --objects. Give" in capsys.readouterr().err


#: Dies once so many of the results of an image have their names.
NAMING = """
import os, sys
from napari_unetseg.images import UnfinishedStack
from napari_unetseg.cli import main, outputs
n_named, finish, add = 0, UnfinishedStack.finish, outputs.FinishedImages.add
def named(self):
    global n_named
    if n_named == int(sys.argv[1]):
        os._exit(9)
    finish(self)
    n_named += 1
def added(self, *args):
    if int(sys.argv[1]) == 3:
        os._exit(9)
    add(self, *args)
UnfinishedStack.finish, outputs.FinishedImages.add = named, added
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("suffix", [".tif", ".zarr", ""])
@pytest.mark.parametrize("n_named", [0, 1, 2, 3])
@pytest.mark.parametrize("more", [(), ("--then", "fill_holes")])
def test_a_death_while_results_get_their_names_costs_nothing(
    folder, monkeypatch, suffix, n_named, more
) -> None:
    given = arguments(f"again{suffix}", "--probabilities", "--uncertainty", *more)
    died = subprocess.run([sys.executable, "-c", NAMING, str(n_named), *given], check=False)
    assert died.returncode == 9
    monkeypatch.setattr(Predictor, "answers", None)  # nothing is segmented again
    assert main(given) == 0
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert main(arguments(f"whole{suffix}", "--probabilities", "--uncertainty", *more)) == 0
    for ending in ("", "_probabilities", "_uncertainty"):
        names = [f"{name}{ending}{suffix}" for name in ("whole", "again")]
        places = [Path(name) if suffix else Path(name) / "stack.tif" for name in names]
        whole, again = (LazyPlanes.of(open_stack(place))[:] for place in places)
        np.testing.assert_array_equal(again, whole)
    assert Path(f"again{suffix}.json").is_file()
    assert not [path for path in folder.rglob(".*") if ".unfinished" in path.name]


@pytest.mark.parametrize("tile_px", ["abc", [-3, 5], [0, 0], [1.5, 2], [64], {"Y": 64}, None])
def test_a_remembered_tile_size_that_is_none_is_found_anew(folder, monkeypatch, tile_px) -> None:
    run_interrupted(monkeypatch, arguments("again.zarr"), "put", 40)
    about = Path(".again.zarr.unfinished", ".unfinished.json")
    about.write_text(json.dumps(json.loads(about.read_text()) | {"known": {"tile_px": tile_px}}))
    assert main(arguments("again.zarr")) == 0
    assert main(arguments("whole.zarr")) == 0
    whole, again = (LazyPlanes.of(open_stack(f"{name}.zarr"))[:] for name in ("whole", "again"))
    np.testing.assert_array_equal(again, whole)


@pytest.mark.parametrize(
    "found", ['{"a": 1}', "[1]", '{"a": {"files": 5}}', '{"a": {"files": [5], "scale": 1}}', "{"]
)
def test_a_list_of_finished_images_that_is_none_is_not_believed(folder, found) -> None:
    Path(".out.json.unfinished").write_text(found)
    assert main(arguments("out")) == 0
    assert [path.name for path in Path("out").iterdir()] == ["stack.tif"]


def looked_at(*folders: Path | str) -> None:
    """Leave in folders what systems do when somebody looks at them."""
    for folder in map(Path, folders):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._a.tif"):
            (folder / name).write_bytes(b"Bud1")


def test_what_a_system_puts_into_folders_is_no_ones(folder, capsys, monkeypatch) -> None:
    (folder / "images").mkdir()
    for name in "ab":
        pixels = np.random.default_rng(ord(name)).integers(0, 255, (20, 40, 48), np.uint8)
        write_image(folder / "images" / f"{name}.tif", Stack(pixels, "ZYX"))
    given = ["predict", "images", "-m", "2.unet", "-o", "again"]
    run_interrupted(monkeypatch, given, "put", 22)
    looked_at("images", "again", "again/.b.tif.unfinished")
    capsys.readouterr()
    assert main(given) == 0
    assert "again/a.tif is finished already" in capsys.readouterr().err
    assert sorted(p.name for p in Path("again").glob("[ab]*")) == ["a.tif", "b.tif"]


def test_an_image_that_was_looked_at_is_the_same(folder, capsys, monkeypatch) -> None:
    run_interrupted(monkeypatch, arguments("again.zarr"), "put", 40)
    looked_at("stack.zarr", "stack.zarr/0", ".again.zarr.unfinished")
    capsys.readouterr()
    assert main(arguments("again.zarr")) == 0
    assert "slices of stack were segmented before" in capsys.readouterr().err
