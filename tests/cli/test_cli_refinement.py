"""Steps after a model, `predict --then`, and on masks with their image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.classical import View, parse_params, run_view
from napari_unetseg.classical.chain import Chain, parse_step
from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass
from napari_unetseg.images import (
    LabelsKind,
    Stack,
    open_stack,
    read_labels,
    saved_kind,
    write_image,
    write_labels,
)

CLASSES = (LabelClass(name="axon", color="#123456"), LabelClass(name="soma", color="#654321"))
CONFIG = {"network": {"depth": 2, "filters": 8}, "training": {"patch_px": 32, "batch": 2}}


def picture() -> tuple[Stack, np.ndarray]:
    """Return two classes as discs and bands in noise, and their codes."""
    rng = np.random.default_rng(0)
    codes = np.ones((3, 60, 64), np.uint8)
    codes[:, 35:50] = 3
    y, x = np.indices((60, 64))
    codes[:, (y - 18) ** 2 + (x % 32 - 16) ** 2 < 100] = 2
    pixels = (codes * 60 + rng.normal(0, 20, codes.shape)).clip(0, 255).astype(np.uint8)
    return Stack(pixels, "ZYX", {"Z": 0.05, "Y": 0.004, "X": 0.004}), codes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an image, its masks and a model that has learned a little."""
    folder = tmp_path_factory.mktemp("discs")
    stack, codes = picture()
    write_image(folder / "raw.ome.tif", stack)
    write_labels(folder / "masks.tif", codes, like=stack, kind="masks", classes=CLASSES)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    arguments = ["train", "raw.ome.tif", "-l", "masks.tif", "-o", "discs.unet"]
    arguments += ["--config", "config.json"]
    paths = [str(folder / a) if "." in a else a for a in arguments]
    assert main([*paths, "--labels-kind", "masks", "--steps", "40"]) == 0
    return folder


def predict(folder: Path, out: Path, *options: str) -> int:
    image, model = folder / "raw.ome.tif", folder / "discs.unet"
    return main(["predict", str(image), "-m", str(model), "-o", str(out), *options])


def test_steps_follow_a_model_one_after_the_other(folder: Path, tmp_path: Path) -> None:
    plain, out = tmp_path / "plain.tif", tmp_path / "found.tif"
    steps = ("open:radius_px=1", "remove_small:min_area_px=100")
    assert predict(folder, plain) == 0
    assert predict(folder, out, "--then", steps[0], "--then", steps[1]) == 0
    found = read_labels(out, "masks")
    assert found.classes == CLASSES
    chain = Chain(steps=tuple(parse_step(step) for step in steps))
    begun = read_labels(plain, "masks").codes
    pixels = picture()[0].data
    expected = [
        run_view(chain, View(p[np.newaxis]), labels=codes)
        for p, codes in zip(pixels, begun, strict=True)
    ]
    np.testing.assert_array_equal(found.codes, expected)
    assert (found.codes != begun).any()
    then = json.loads((tmp_path / "found.tif.json").read_text())["then"]
    assert [step["step"] for step in then] == ["open", "remove_small"]
    assert then[1]["params"]["min_area_px"] == 100


def test_a_random_field_sees_what_the_model_finds_probable(folder: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "found.tif", tmp_path / "told.tif"
    step = "crf:smoothness=4"
    assert predict(folder, out, "--then", step) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["found.tif", "found.tif.json"]
    assert predict(folder, told, "--probabilities") == 0
    probabilities = open_stack(tmp_path / "told_probabilities.tif")
    assert probabilities.axes == "CZYX"
    chain = Chain(steps=(parse_step(step),))
    begun = read_labels(told, "masks").codes
    expected = []
    for n, codes in enumerate(begun):
        view = View(
            picture()[0].data[n][np.newaxis], probabilities=np.asarray(probabilities.data)[:, n]
        )
        expected.append(run_view(chain, view, labels=codes))
    found = read_labels(out, "masks").codes
    assert (found == expected).mean() > 0.999
    assert (found != begun).any()
    unsure = run_view(chain, View(picture()[0].data[0][np.newaxis]), labels=begun[0])
    assert (unsure != found[0]).any()


def test_pieces_become_objects_in_the_slices_asked_for(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.tif"
    options = ("--then", "remove_small", "--then", "split", "--slices", "1")
    assert predict(folder, out, *options) == 0
    assert saved_kind(open_stack(out)) == "objects"
    ids = np.asarray(open_stack(out).data)
    assert ids[1].max() >= 3
    assert not ids[[0, 2]].any()
    assert predict(folder, tmp_path / "o.tif", "--objects", "--then", "remove_small") == 0
    assert saved_kind(open_stack(tmp_path / "o.tif")) == "objects"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--then", "otsu"), "otsu is a method, and --then takes refinements"),
        (("--then", "fill"), "did you mean fill_holes?"),
        (("--then", "split", "--then", "crf"), "let --then split follow it"),
        (("--objects", "--then", "crf"), "leave --objects out"),
        (("--then", "smooth:sigma=2"), "has no parameter"),
    ],
)
def test_what_cannot_follow_a_model_is_said_before_it_begins(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str], said: str
) -> None:
    assert predict(folder, tmp_path / "found.tif", *options) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_masks_are_refined_with_their_image(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.tif"
    random = np.random.default_rng(0)
    stack, codes = picture()
    noisy = np.where(random.random(codes.shape) < 0.15, random.integers(1, 4, codes.shape), codes)
    masks = tmp_path / "noisy.tif"
    write_labels(masks, noisy.astype(np.uint8), like=stack, kind="masks", classes=CLASSES)
    arguments = ["baseline", "crf", str(folder / "raw.ome.tif"), "-l", str(masks), "-o", str(out)]
    assert main(arguments) == 0
    found = read_labels(out, "masks").codes
    assert (found == codes).mean() > 0.97 > (noisy == codes).mean()
    params = parse_params("crf", [])
    alone = run_view(
        Chain.of("crf", params), View(stack.data[0][np.newaxis]), labels=noisy[0].astype("uint8")
    )
    np.testing.assert_array_equal(found[0], alone)


def test_masks_keep_their_classes_and_objects_their_ids(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.tif"
    assert main(["baseline", "fill_holes", str(folder / "masks.tif"), "-o", str(out)]) == 0
    assert read_labels(out, "masks").classes == CLASSES
    stack, codes = picture()
    ids = np.where(codes > 1, codes.astype(np.uint32) * 1000, 0)
    ids[:, :3, :3] = 7
    objects = tmp_path / "objects.tif"
    write_labels(objects, ids, like=stack, kind="objects", classes=())
    left = tmp_path / "left.tif"
    assert main(["baseline", "remove_small", str(objects), "-o", str(left)]) == 0
    assert saved_kind(open_stack(left)) == "objects"
    np.testing.assert_array_equal(np.asarray(open_stack(left).data), np.where(ids == 7, 0, ids))


NUMBERED = "Objects are numbered slice by slice"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--then", "split"), "--then split:in_3d=on numbers it as one"),
        (("--then", "fill_holes:in_3d=on", "--then", "split:sigma_px=2"), "--then split:in_3d=on"),
        (("--then", "split:in_3d=on"), None),
        (("--then", "split:in_3d=off"), None),
        (("--then", "split", "--slices", "1"), None),
        (("--then", "fill_holes"), None),
    ],
)
def test_that_objects_are_numbered_slice_by_slice_is_told_where_nobody_chose(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    told: str | None,
) -> None:
    masks = ["baseline", "fill_holes", str(folder / "masks.tif"), "-o", str(tmp_path / "b.tif")]
    for run in (
        lambda: predict(folder, tmp_path / "a.tif", *options),
        lambda: main([*masks, *options]),
    ):
        assert run() == 0
        said = " ".join(capsys.readouterr().err.split())
        assert (NUMBERED in said) == (told is not None)
        assert told is None or told in said


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (("split",), "-p in_3d=on"),
        (("split", "-p", "in_3d=off"), None),
        (("slic",), "-p in_3d=on"),
    ],
)
def test_the_option_that_numbers_in_3d_is_that_of_the_step(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    step: tuple[str, ...],
    told: str | None,
) -> None:
    out = tmp_path / "out.tif"
    assert main(["baseline", step[0], str(folder / "masks.tif"), "-o", str(out), *step[1:]]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert (NUMBERED in said) == (told is not None)
    assert told is None or f"; {told} numbers it as one" in said


@pytest.mark.parametrize("kind", ["masks", "objects"])
@pytest.mark.parametrize("with_image", [False, True])
def test_slices_that_were_not_segmented_stay_so(
    folder: Path, tmp_path: Path, kind: LabelsKind, with_image: bool
) -> None:
    stack, codes = picture()
    part = tmp_path / "part.tif"
    kept = np.where(np.arange(3)[:, None, None] == 1, codes - (kind == "objects"), 0)
    write_labels(part, kept, like=stack, kind=kind, classes=CLASSES, slices=[1])
    begun = [str(folder / "raw.ome.tif"), "-l", str(part)] if with_image else [str(part)]
    out = tmp_path / "out.tif"
    assert main(["baseline", "fill_holes", *begun, "-o", str(out)]) == 0
    found = read_labels(out, kind)
    assert found.slices == (1,)
    assert [plane.any() for plane in found.codes] == [False, True, False]
    assert json.loads((tmp_path / "out.tif.json").read_text())["images"][0]["slices"] == [1]


def test_refining_a_slice_that_was_not_segmented_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack, codes = picture()
    part = tmp_path / "part.tif"
    write_labels(part, codes, like=stack, kind="masks", classes=CLASSES, slices=[0, 2])
    out = tmp_path / "out.tif"
    refine = ["baseline", "fill_holes", str(part), "-o", str(out), "--slices"]
    assert main([*refine, "0-1"]) == 2
    assert "asks for 1, but" in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
    assert main([*refine, "2"]) == 0
    assert read_labels(out, "masks").slices == (2,)
