"""`train` and `predict` as scripts call them."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unetseg import UserError, load_model, open_stack
from napari_unetseg.cli import main
from napari_unetseg.cli.threads import wait_briefly
from napari_unetseg.cli.train import parse_duration, parse_share
from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack, read_labels, write_image, write_labels
from napari_unetseg.learning import Answer, Predictor
from napari_unetseg.learning.targets import object_distances

CLASSES = (LabelClass(name="axon", color="#123456"), LabelClass(name="soma", color="#654321"))
CONFIG = {
    "network": {"depth": 2, "filters": 8},
    "training": {"patch_px": 32, "batch": 2, "max_time_s": 30},
}


def picture(seed: int, n_planes: int = 3) -> tuple[Stack, np.ndarray]:
    """Return bands of three grey values with noise, and their codes."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.uint8([1, 2, 3]), 20)[None, :, None].repeat(n_planes, 0).repeat(64, 2)
    pixels = (codes * 60 + rng.normal(0, 5, codes.shape)).clip(0, 255).astype(np.uint8)
    return Stack(pixels, "ZYX", {"Z": 0.05, "Y": 0.004, "X": 0.004}), codes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an image, its labels of two kinds, a config and a model."""
    folder = tmp_path_factory.mktemp("bands")
    stack, codes = picture(0)
    write_image(folder / "raw.ome.tif", stack)
    write_labels(folder / "masks.tif", codes, like=stack, kind="masks", classes=CLASSES)
    strokes = np.zeros_like(codes)
    strokes[0, :, 10:20] = codes[0, :, 10:20]
    write_labels(folder / "strokes.tif", strokes, like=stack, kind="annotations", classes=CLASSES)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    assert train(folder, folder / "bands.unet", "masks.tif", "--labels-kind", "masks") == 0
    return folder


def train(folder: Path, output: Path, labels: str, *options: str) -> int:
    budget = () if "--max-time" in options else ("--steps", "60")
    return main(
        [
            "train",
            str(folder / "raw.ome.tif"),
            "-l",
            str(folder / labels),
            "-o",
            str(output),
            "--config",
            str(folder / "config.json"),
            *budget,
            *options,
        ]
    )


def test_the_model_has_the_names_and_scale_of_the_labels(folder: Path) -> None:
    info = load_model(folder / "bands.unet").info
    assert info.name == "bands"
    assert info.classes == CLASSES
    assert info.pixel_size_um == pytest.approx({"Y": 0.004, "X": 0.004})
    assert info.history["steps"] == 60
    assert info.recipe.training.max_time_s is None


def test_no_result_replaces_an_image(folder: Path, tmp_path: Path, capsys) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.tif", "b.tif"):
        write_image(images / name, picture(1)[0])
    before = {path.name: path.read_bytes() for path in images.iterdir()}
    model = str(folder / "bands.unet")
    pair = [str(images / name) for name in before]
    for given in (
        ["predict", str(images), "-m", model, "-o", str(images)],
        ["predict", *pair, "-m", model, "-o", str(images)],
        ["baseline", "otsu", str(images), "-o", str(images)],
        ["predict", str(images), "--stack", "-m", model, "-o", str(images / "a.tif")],
    ):
        assert main([*given, "--overwrite"]) == 2
        assert "choose another" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in images.iterdir()} == before


def test_what_is_written_beside_the_masks_is_named(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "found.tif"
    assert main(predict_arguments(folder, out, "--probabilities", "--uncertainty")) == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "found_probabilities.tif") in said
    assert str(tmp_path / "found_uncertainty.tif") in said


def test_pixel_sizes_a_world_apart_are_refused_before_anything_is_segmented(
    folder: Path, tmp_path: Path, capsys
) -> None:
    stack = picture(1)[0]
    write_image(tmp_path / "um.tif", Stack(stack.data, "ZYX", {"Z": 50.0, "Y": 4.0, "X": 4.0}))
    given = ["predict", str(tmp_path / "um.tif"), "-m", str(folder / "bands.unet")]
    given += ["-o", str(tmp_path / "out.tif")]
    assert main([*given, "--resample"]) == 2
    assert "pixels of 4 µm" in capsys.readouterr().err
    assert main(given) == 0


def test_the_network_of_2015_says_that_it_sees_single_slices(folder, tmp_path, capsys) -> None:
    options = ("--config", "unet2015", "--dims", "3", "--steps", "1")
    assert train(folder, tmp_path / "m.unet", "masks.tif", *options) == 2
    assert "single slices" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_training_writes_lines(folder, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("napari_unetseg.cli.progress.LINE_EVERY_S", 0.0)
    monkeypatch.setattr("napari_unetseg.learning.run.REPORT_EVERY_S", 0.0)
    assert train(folder, tmp_path / "m.unet", "masks.tif", "--labels-kind", "masks") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Step ")]
    assert len(lines) > 3
    assert all("loss" in line and line.endswith("left") for line in lines[1:-1])


def test_a_stopped_training_says_what_is_left_of_it(folder, tmp_path, capsys, monkeypatch) -> None:
    from napari_unetseg.learning import Trainer, resume

    run = Trainer.run

    def interrupted(self):
        for n, event in enumerate(run(self)):
            if n == 5:
                raise KeyboardInterrupt
            yield event

    monkeypatch.setattr(Trainer, "run", interrupted)
    monkeypatch.setattr("napari_unetseg.learning.run.REPORT_EVERY_S", 0.0)
    assert train(folder, tmp_path / "early.unet", "masks.tif", "--labels-kind", "masks") == 130
    assert "Nothing was saved yet" in capsys.readouterr().err
    monkeypatch.setattr(resume, "KEEP_EVERY_S", 0.0)
    assert train(folder, tmp_path / "late.unet", "masks.tif", "--labels-kind", "masks") == 130
    assert "--resume goes on" in capsys.readouterr().err
    assert main(["info", str(tmp_path / "late.unet")]) == 2
    assert "--resume" in capsys.readouterr().err


def test_a_prediction_keeps_axes_scale_and_classes_and_says_how_it_was_made(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "found.tif"
    assert main(predict_arguments(folder, out, "--probabilities")) == 0
    found = open_stack(out)
    assert found.axes == "ZYX"
    assert found.pixel_size_um == pytest.approx({"Z": 0.05, "Y": 0.004, "X": 0.004})
    labels = read_labels(out, "masks")
    assert labels.classes == CLASSES
    assert (labels.codes == picture(0)[1]).mean() > 0.8
    made = json.loads((tmp_path / "found.tif.json").read_text())
    assert made["model"]["name"] == "bands"
    assert made["images"][0]["slices"] == [0, 1, 2]
    probabilities = open_stack(tmp_path / "found_probabilities.tif")
    assert probabilities.channels == ("background", "axon", "soma")
    assert np.allclose(
        np.asarray(probabilities.data).sum(axis=probabilities.axes.index("C")), 1, atol=1e-4
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "found.tif",
        "found.tif.json",
        "found_probabilities.tif",
    ]


def test_uncertainty_is_written_beside_the_masks_and_views_are_recorded(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "found.tif"
    assert main(predict_arguments(folder, out, "--uncertainty", "--tta")) == 0
    uncertainty = open_stack(tmp_path / "found_uncertainty.tif")
    assert uncertainty.axes == "ZYX"
    assert uncertainty.shape == (3, 60, 64)
    values = np.asarray(uncertainty.data)
    assert values.dtype == np.float32
    assert 0 <= values.min() < values.max() <= 1
    made = json.loads((tmp_path / "found.tif.json").read_text())
    assert made["options"]["tta"] is True


def predict_arguments(folder: Path, out: Path, *options: str) -> list[str]:
    image, model = folder / "raw.ome.tif", folder / "bands.unet"
    return ["predict", str(image), "-m", str(model), "-o", str(out), *options]


def test_a_folder_of_images_becomes_a_folder_of_the_same_stems(
    folder: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("b2", "b10"):
        tifffile.imwrite(images / f"{name}.tif", picture(1)[0].data[0])
    out = tmp_path / "out"
    arguments = ["predict", str(images), "-m", str(folder / "bands.unet"), "-o", str(out)]
    assert main(arguments) == 0
    assert sorted(p.name for p in out.iterdir()) == ["b10.tif", "b2.tif"]
    assert json.loads((tmp_path / "out.json").read_text())["images"][1]["shape"] == [60, 64]
    assert main(arguments) == 2
    assert main([*arguments, "--overwrite"]) == 0


def test_a_folder_read_as_one_stack_becomes_one_file(folder: Path, tmp_path: Path) -> None:
    images = tmp_path / "slices"
    images.mkdir()
    for index, plane in enumerate(picture(1)[0].data):
        tifffile.imwrite(images / f"s{index}.tif", plane)
    out = tmp_path / "out.tif"
    arguments = ["predict", str(images), "-m", str(folder / "bands.unet"), "-o", str(out)]
    assert main(arguments) == 2
    assert main([*arguments, "--stack"]) == 0
    assert open_stack(out).shape == (3, 60, 64)


def test_objects_are_ids_in_as_many_slices_as_the_image_has(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "objects.tif"
    assert main(predict_arguments(folder, out, "--objects", "--slices", "1")) == 0
    ids = np.asarray(open_stack(out).data)
    assert ids.dtype == np.uint32
    assert ids.shape == (3, 60, 64)
    assert ids[1].max() >= 2
    assert not ids[[0, 2]].any()


def test_objects_that_touch_are_told_apart_by_a_model_that_learned_ids(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, codes = picture(0)
    ids = np.where(codes > 1, codes * 10, 0)  # two bands, side by side
    write_labels(tmp_path / "ids.tif", ids, like=stack, kind="objects", classes=())
    options = ("--labels-kind", "objects", "--steps", "2")
    assert train(folder, tmp_path / "bands.unet", str(tmp_path / "ids.tif"), *options) == 0
    info = load_model(tmp_path / "bands.unet").info
    assert [c.name for c in info.classes] == ["object"]
    assert info.object_diameter_px == pytest.approx(2 * (20 * 64 / np.pi) ** 0.5)

    # What a network answers that has learned everything.
    found = (ids[0] > 0).astype(np.uint8) + np.uint8(1)
    answer = Answer(found, distances=object_distances(ids[0]))
    monkeypatch.setattr(Predictor, "answers", lambda _, planes, **__: ((n, answer) for n in planes))
    shutil.copy(folder / "raw.ome.tif", tmp_path)
    out, masks = tmp_path / "objects.tif", tmp_path / "masks.tif"
    assert main(predict_arguments(tmp_path, out, "--objects")) == 0
    found = np.asarray(open_stack(out).data)
    assert found.dtype == np.uint32
    for band in (20, 30):
        counts = np.unique(found[ids == band], return_counts=True)[1]
        assert counts.max() > 0.94 * counts.sum()  # all but the last row
    assert np.unique(found).tolist() == [0, 1, 2]
    assert found[0, 25, 32] != found[0, 55, 32]
    assert main(predict_arguments(tmp_path, masks)) == 0
    np.testing.assert_array_equal(read_labels(masks, "masks").codes == 2, ids > 0)

    # Bands of 3 · 20 · 64 px in an image whose pixels are a twentieth as wide are less than the
    # smallest object, 0.02 · π/4 · (20 · 40.4)² px.
    fine = Stack(stack.data, stack.axes, {a: um / 20 for a, um in stack.pixel_size_um.items()})
    write_image(tmp_path / "raw.ome.tif", fine, overwrite=True)
    resampled = ("--objects", "--resample", "--overwrite")
    assert main(predict_arguments(tmp_path, out, *resampled)) == 0
    assert not np.asarray(open_stack(out).data).any()


@pytest.mark.parametrize(
    ("factor", "says"),
    [(127, "127 is class 1, 254 is class 2"), (1, ""), (None, "29 classes that have no names")],
)
def test_what_foreign_labels_are_taken_for_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: int | None, says: str
) -> None:
    masks = picture(0)[1] - 1
    if factor is None:
        masks = np.arange(masks.size, dtype=np.uint8).reshape(masks.shape) % 30
    labels = tmp_path / "raw.ome.tif"
    tifffile.imwrite(labels, masks * np.uint8(factor or 1), photometric="minisblack")
    options = ("--labels-kind", "masks", "--steps", "1")
    assert train(folder, tmp_path / "m.unet", str(labels), *options) == 0
    assert says in capsys.readouterr().err


def test_an_image_that_cannot_be_resampled_is_pointed_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "plain.tif"
    tifffile.imwrite(image, picture(0)[0].data, photometric="minisblack")
    out = tmp_path / "found.tif"
    arguments = ["predict", str(image), "-m", str(folder / "bands.unet"), "-o", str(out)]
    assert main([*arguments, "--resample"]) == 0
    assert "The pixel size of plain is unknown" in capsys.readouterr().err


def test_strokes_and_a_base_train_and_a_zarr_is_written(folder: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.unet"
    base = ("--base", str(folder / "bands.unet"), "--seed", "4")
    assert train(folder, tuned, "strokes.tif", *base) == 0
    info = load_model(tuned).info
    assert info.history["base"] == "bands"
    assert info.recipe.training.seed == 4
    image, out = str(folder / "raw.ome.tif"), str(tmp_path / "out.zarr")
    assert main(["predict", image, "-m", str(tuned), "-o", out]) == 0
    assert open_stack(out).shape == (3, 60, 64)


@pytest.mark.parametrize(("dims", "anisotropy"), [("2.5", 0.0), ("3", 12.5)])
def test_more_than_single_slices_can_be_learned_from(
    folder: Path, tmp_path: Path, dims: str, anisotropy: float
) -> None:
    assert train(folder, tmp_path / "m.unet", "strokes.tif", "--dims", dims, "--steps", "2") == 0
    network = load_model(tmp_path / "m.unet").info.recipe.network
    assert (network.dims, network.anisotropy) == (dims, anisotropy)
    assert network.filters == 8  # of the config


def test_a_time_budget_holds_from_the_start_of_the_program(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr("napari_unetseg.cli.progress.process_started_at", lambda: began)
    began = time.time() - 5
    assert (
        train(
            folder, tmp_path / "m.unet", "masks.tif", "--labels-kind", "masks", "--max-time", "8s"
        )
        == 0
    )
    info = load_model(tmp_path / "m.unet").info
    # 3 s were left; had the clock begun with the training, it would have trained for 7 s.
    assert info.history["seconds"] < 6
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(r"Reading took [56] s of the 8 s there are: with a longer --max-time", said)
    assert info.recipe.training.steps is None


def test_bad_input_is_told_before_any_work(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = ("--labels-kind", "masks")
    taken = folder / "bands.unet"
    for output, options, sentence in (
        (taken, kind, "exists"),
        (tmp_path / "m", (*kind, "--slices", "7"), "There is no slice 7"),
        (tmp_path / "m", (*kind, "--max-time", "soon"), "no length of time"),
        (tmp_path / "m", (*kind, "--base", str(tmp_path)), "no model"),
        (tmp_path / "m", (*kind, "--device", "tpu"), "tpu"),
    ):
        assert train(folder, output, "masks.tif", *options) == 2
        assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("60", 60), ("60s", 60), ("2m", 120), ("1.5h", 5400), ("90 S", 90)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_what_the_environment_says_about_threads_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_briefly()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    wait_briefly()
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    wait_briefly()
    assert os.environ["GOMP_SPINCOUNT"] == "5"


def test_a_base_is_tuned_in_part_and_scored_where_it_came_from(folder, tmp_path, capsys) -> None:
    options = ["--labels-kind", "masks", "--base", str(folder / "bands.unet")]
    options += ["--transfer", "head", "--steps", "5", "--source", str(folder / "raw.ome.tif")]
    labels = ["--source-labels", str(folder / "masks.tif")]
    out = tmp_path / "tuned.unet"
    assert train(folder, out, "masks.tif", *options) == 2
    assert "belong together" in capsys.readouterr().err
    assert train(folder, out, "masks.tif", *options, *labels) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "On the annotations of the base: mean IoU 0." in said
    info = load_model(out).info
    assert set(info.history["source"]["before"]) == {"background", "axon", "soma"}
    assert info.recipe.training.transfer == "head"


def test_what_the_base_had_is_said_beside_what_was_reached(folder, tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    mask = np.kron(rng.integers(0, 2, (12, 12)), np.ones((24, 24))).astype(np.uint8)
    tifffile.imwrite(tmp_path / "i.tif", (80 * mask + rng.normal(60, 9, mask.shape)).astype("u1"))
    tifffile.imwrite(tmp_path / "m.tif", mask)
    command = ["train", str(tmp_path / "i.tif"), "-l", str(tmp_path / "m.tif"), "--labels-kind"]
    command += ["masks", "--config", str(folder / "config.json"), "--steps", "3", "-o"]
    assert main([*command, str(tmp_path / "a.unet")]) == 0
    assert re.search(r"Held-out mean IoU \d\.\d+ over", capsys.readouterr().out)
    assert main([*command, str(tmp_path / "b.unet"), "--base", str(tmp_path / "a.unet")]) == 0
    assert re.search(r"Held-out mean IoU \d\.\d+ \(\d\.\d+ before\) o", capsys.readouterr().out)


def test_source_labels_of_other_classes_are_refused(folder, tmp_path, capsys) -> None:
    other = tmp_path / "other.tif"
    stack, codes = picture(0)
    classes = (CLASSES[0], LabelClass(name="glia", color="#654321"))
    write_labels(other, codes, like=stack, kind="masks", classes=classes)
    options = ["--labels-kind", "masks", "--base", str(folder / "bands.unet"), "--source"]
    options += [str(folder / "raw.ome.tif"), "--source-labels", str(other)]
    assert train(folder, tmp_path / "m.unet", "masks.tif", *options) == 2
    assert "the base model knows axon, soma" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "max_time_s", "share"),
    [("0.25", None, 0.25), ("20%", 60.0, 0.2), ("15s", 60.0, 0.25), ("1m", 600.0, 0.1)],
)
def test_the_time_for_unlabelled_slices_is_a_share_or_a_time(text, max_time_s, share) -> None:
    assert parse_share(text, max_time_s) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "max_time_s", "sentence"),
    [("20s", None, "needs --max-time"), ("2", 60.0, "not between"), ("x", 60.0, "length of time")],
)
def test_a_time_for_unlabelled_slices_that_cannot_be_is_refused(text, max_time_s, sentence) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_share(text, max_time_s)
