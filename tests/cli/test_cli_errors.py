"""Bad input gets one clear sentence, exit status 2, and leaves nothing behind."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack, open_stack, read_labels, write_labels

RNG = np.random.default_rng(0)
TINY = {
    "network": {"depth": 2, "filters": 4},
    "training": {"patch_px": 32, "batch": 1, "steps": 2, "max_time_s": None},
}


def grey(dtype="uint8", shape=(2, 64, 64)):
    return RNG.integers(0, 200, shape).astype(dtype)


def annotations(*codes, shape=(2, 64, 64)):
    """Return bands of `codes` over the whole image."""
    columns = np.array(codes, np.uint8)[np.arange(shape[-1]) * len(codes) // shape[-1]]
    return np.broadcast_to(columns, shape).copy()


def write(path, data, **options):
    tifffile.imwrite(path, data, photometric=options.pop("photometric", "minisblack"), **options)
    return path


@pytest.fixture(scope="module")
def tiny_config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny.json"
    path.write_text(json.dumps(TINY))
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny_config):
    """Return a model of one channel, trained for two steps."""
    folder = tmp_path_factory.mktemp("model")
    write(folder / "cells.tif", grey())
    write(folder / "labels.tif", annotations(1, 2))
    train = train_arguments(folder, tiny_config)
    assert main(train) == 0
    return folder / "tiny.unet"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with an image and labels that could be trained on."""
    write(tmp_path / "cells.tif", grey())
    write(tmp_path / "labels.tif", annotations(1, 2))
    return tmp_path


def train_arguments(folder, config, image="cells.tif", labels="labels.tif", **options):
    arguments = ["train", str(folder / image), "-l", str(folder / labels), "-o"]
    arguments += [str(options.pop("output", folder / "tiny.unet"))]
    for name, value in ({"config": config, "device": "cpu"} | options).items():
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    return arguments


def predict_arguments(folder, model, image="cells.tif", output="out.tif", *more):
    return [
        *("predict", str(folder / image), "-m", str(model), "-o", str(folder / output)),
        *("--device", "cpu", *more),
    ]


@pytest.fixture
def refused(capsys, tmp_path):
    """Run a command that must fail as it should; return its sentence."""

    def run(arguments):
        before = contents(tmp_path)
        capsys.readouterr()
        assert main(arguments) == 2
        captured = capsys.readouterr()
        (line,) = captured.err.splitlines()
        assert line.startswith("error: ")
        assert line.endswith(".")
        assert captured.out == ""
        assert contents(tmp_path) == before
        return line

    return run


def contents(folder):
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


def every_verb_that_reads(folder, image, model, config):
    return {
        "info": ["info", str(folder / image)],
        "train": train_arguments(folder, config, image=image),
        "predict": predict_arguments(folder, model, image),
        "baseline": ["baseline", "otsu", str(folder / image), "-o", str(folder / "out.tif")],
        "evaluate": [
            *("evaluate", str(folder / image), "-t", str(folder / "labels.tif")),
            *("--kind", "masks"),
        ],
    }


VERBS = ["info", "train", "predict", "baseline", "evaluate"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_missing_file(verb, folder, model, tiny_config, refused):
    line = refused(every_verb_that_reads(folder, "none.tif", model, tiny_config)[verb])
    assert "There is no file or folder" in line
    assert "none.tif" in line


@pytest.mark.parametrize("verb", VERBS)
def test_a_text_file_named_tif(verb, folder, model, tiny_config, refused):
    (folder / "text.tif").write_text("Dear diary, today I imaged 12 cells.\n" * 9)
    line = refused(every_verb_that_reads(folder, "text.tif", model, tiny_config)[verb])
    assert "text.tif cannot be read as TIF" in line


@pytest.mark.parametrize("verb", VERBS)
def test_a_truncated_tiff(verb, folder, model, tiny_config, refused):
    whole = (folder / "cells.tif").read_bytes()
    (folder / "half.tif").write_bytes(whole[: len(whole) // 2])
    line = refused(every_verb_that_reads(folder, "half.tif", model, tiny_config)[verb])
    assert "half.tif is damaged or incomplete" in line


def test_labels_of_another_shape(folder, tiny_config, refused):
    write(folder / "labels.tif", annotations(1, 2, shape=(2, 64, 60)))
    line = refused(train_arguments(folder, tiny_config))
    assert "2 slices of 64 × 60 px" in line
    assert "2 slices of 64 × 64 px" in line


def test_a_truth_of_another_shape(folder, refused):
    write(folder / "truth.tif", annotations(0, 1, shape=(2, 64, 60)))
    write(folder / "masks.tif", annotations(0, 1))
    line = refused(
        ["evaluate", f"{folder}/masks.tif", "-t", f"{folder}/truth.tif", "--kind", "masks"]
    )
    assert "64 × 60" in line


def test_labels_with_no_label(folder, tiny_config, refused):
    write(folder / "labels.tif", annotations(0))
    assert "hold no label" in refused(train_arguments(folder, tiny_config))


def test_labels_with_no_label_in_the_chosen_slices(folder, tiny_config, refused):
    labels = annotations(1, 2)
    labels[1] = 0
    write(folder / "labels.tif", labels)
    assert "hold no label" in refused(train_arguments(folder, tiny_config, slices="1"))


@pytest.mark.parametrize(
    ("kind", "codes", "painted"),
    [
        ("annotations", (0, 1), "background"),
        ("annotations", (0, 2), "class 1"),
        ("masks", (0,), ""),
    ],
)
def test_only_one_class_painted(folder, tiny_config, refused, kind, codes, painted):
    write(folder / "labels.tif", annotations(*codes))
    line = refused(train_arguments(folder, tiny_config, labels_kind=kind))
    assert f"hold only {painted}" in line


@pytest.mark.parametrize("kind", ["annotations", "masks", "objects"])
def test_float_labels(folder, tiny_config, refused, kind):
    write(folder / "labels.tif", annotations(1, 2).astype(np.float32))
    line = refused(train_arguments(folder, tiny_config, labels_kind=kind))
    assert "labels.tif holds float32" in line


def test_labels_that_look_like_objects(folder, tiny_config, refused):
    write(folder / "labels.tif", np.arange(2 * 64 * 64, dtype=np.uint16).reshape(2, 64, 64))
    line = refused(train_arguments(folder, tiny_config, labels_kind="masks"))
    assert "look like objects" in line


@pytest.mark.parametrize("verb", ["train", "predict", "baseline"])
def test_an_image_with_nan(verb, folder, model, tiny_config, refused):
    image = grey("float32")
    image[1, 5, 5] = np.nan
    write(folder / "holes.tif", image)
    line = refused(every_verb_that_reads(folder, "holes.tif", model, tiny_config)[verb])
    assert "holes.tif contains NaN in slice 1" in line


@pytest.mark.parametrize("verb", ["train", "predict", "baseline"])
def test_an_image_of_one_constant_value(verb, folder, model, tiny_config, refused):
    write(folder / "flat.tif", np.full((2, 64, 64), 7, np.uint8))
    line = refused(every_verb_that_reads(folder, "flat.tif", model, tiny_config)[verb])
    assert "flat.tif has the same value 7 everywhere" in line


def test_a_config_with_an_unknown_key(folder, refused):
    (folder / "recipe.json").write_text('{"training": {"learning_speed": 1}}')
    line = refused(train_arguments(folder, folder / "recipe.json"))
    assert "learning_speed" in line


def test_a_config_that_is_no_json(folder, refused):
    (folder / "recipe.json").write_text("learning_rate: 1")
    assert "is not a JSON file" in refused(train_arguments(folder, folder / "recipe.json"))


def test_a_config_that_is_not_there(folder, refused):
    assert "presets are" in refused(train_arguments(folder, "huge"))


@pytest.mark.parametrize("device", ["cuda:7", "mps", "abacus"])
@pytest.mark.parametrize("verb", ["train", "predict"])
def test_a_device_that_is_not_there(verb, device, folder, model, tiny_config, refused):
    arguments = every_verb_that_reads(folder, "cells.tif", model, tiny_config)[verb]
    arguments[arguments.index("--device") + 1] = device
    assert device in refused(arguments)


def test_a_model_made_for_other_channels(folder, model, refused):
    write(folder / "colour.tif", grey(shape=(64, 64, 3)), photometric="rgb")
    line = refused(predict_arguments(folder, model, "colour.tif"))
    assert "colour.tif has 3 channels and the model 'tiny' was made for 1" in line


def test_a_base_made_for_other_channels(folder, model, tiny_config, refused):
    write(folder / "colour.tif", grey(shape=(64, 64, 3)), photometric="rgb")
    write(folder / "labels.tif", annotations(1, 2, shape=(64, 64)))
    line = refused(train_arguments(folder, tiny_config, image="colour.tif", base=model))
    assert "channel" in line


@pytest.mark.parametrize("content", [None, {}, {"model.json": "{}"}, {"model.json": "not json"}])
def test_a_folder_that_is_no_model(folder, refused, content):
    if content is not None:
        (folder / "m.unet").mkdir()
        for name, text in content.items():
            (folder / "m.unet" / name).write_text(text)
    assert "m.unet" in refused(predict_arguments(folder, folder / "m.unet"))


@pytest.mark.parametrize("verb", ["train", "predict", "baseline"])
@pytest.mark.parametrize("place", ["cells.tif/out.tif", "/proc/out.tif", "/dev/null/out.tif"])
def test_an_unwritable_output(verb, place, folder, model, tiny_config, refused):
    arguments = every_verb_that_reads(folder, "cells.tif", model, tiny_config)[verb]
    arguments[arguments.index("-o") + 1] = str(folder / place)
    assert "out.tif" in refused(arguments)


@pytest.mark.parametrize("verb", ["train", "predict", "baseline"])
def test_an_output_that_exists(verb, folder, model, tiny_config, refused):
    arguments = every_verb_that_reads(folder, "cells.tif", model, tiny_config)[verb]
    (folder / "precious.tif").write_text("years of work")
    arguments[arguments.index("-o") + 1] = str(folder / "precious.tif")
    line = refused(arguments)
    assert "precious.tif" in line
    assert "--overwrite" in line


@pytest.mark.parametrize("verb", ["predict", "baseline"])
def test_an_output_that_would_replace_its_own_image(verb, folder, model, tiny_config, refused):
    arguments = every_verb_that_reads(folder, "cells.tif", model, tiny_config)[verb]
    arguments[arguments.index("-o") + 1] = str(folder / "cells.tif")
    assert "is the image itself" in refused([*arguments, "--overwrite"])


def test_a_slice_that_is_not_there(folder, model, tiny_config, refused):
    assert "no slice 9" in refused(train_arguments(folder, tiny_config, slices="0,9"))
    assert "no slice 9" in refused(
        predict_arguments(folder, model, "cells.tif", "out.tif", "--slices", "9")
    )


def test_labels_of_a_kind_that_the_file_denies(folder, tiny_config, refused):
    classes = (LabelClass(name="membrane", color="#e69f00"),)
    image = Stack(np.zeros((2, 64, 64), np.uint8), "ZYX")
    codes = annotations(1, 2)
    (folder / "labels.tif").unlink()
    write_labels(folder / "labels.tif", codes, like=image, kind="annotations", classes=classes)
    line = refused(train_arguments(folder, tiny_config, labels_kind="masks"))
    assert "was saved as annotations" in line


@pytest.mark.parametrize("dtype", ["int32", "float32", "big-endian", "rgb"])
def test_other_pixel_types_train_and_predict(folder, tiny_config, dtype, capsys):
    if dtype == "rgb":
        write(folder / "cells.tif", grey(shape=(64, 64, 3)), photometric="rgb")
        write(folder / "labels.tif", annotations(1, 2, shape=(64, 64)))
    elif dtype == "big-endian":
        write(folder / "cells.tif", grey("uint16"), byteorder=">")
    else:
        write(folder / "cells.tif", grey(dtype) * np.array(1000, dtype))
    assert main(train_arguments(folder, tiny_config)) == 0
    assert main(predict_arguments(folder, folder / "tiny.unet")) == 0
    image = open_stack(folder / "cells.tif")
    labels = read_labels(folder / "out.tif", "masks", like=image)
    assert set(np.unique(labels.codes)) <= {1, 2}


def test_a_real_process_says_one_sentence_and_exits_2(folder, tiny_config):
    write(folder / "labels.tif", annotations(0))
    program = "import sys; from napari_unetseg.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, *train_arguments(folder, tiny_config)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: The labels of ")
    assert not (folder / "tiny.unet").exists()


@pytest.mark.parametrize("verb", ["predict", "baseline"])
@pytest.mark.parametrize("name", ["", ".", "/"])
def test_an_output_without_a_name(verb, name, folder, model, tiny_config, refused):
    arguments = every_verb_that_reads(folder, "cells.tif", model, tiny_config)[verb]
    arguments[arguments.index("-o") + 1] = name
    assert "no name for a result" in refused(arguments)


@pytest.mark.parametrize(
    "verb",
    [
        ["baseline", "otsu", "-o", "o.tif"],
        ["predict", "-m", "nuclei", "--device", "cpu", "-o", "o.tif"],
        ["train", "-l", "labels.tif", "--steps", "1", "--device", "cpu", "-o", "o.unet"],
    ],
    ids=lambda verb: verb[0],
)
def test_a_damaged_slice_is_named(tmp_path, capsys, verb, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (4, 64, 64)).astype(np.uint8)
    zarr.create_array("a.zarr", data=pixels, chunks=(1, 64, 64))
    Path("a.zarr/c/2/0/0").write_bytes(b"damaged" * 99)
    codes = np.ones((4, 64, 64), np.uint8)
    codes[:, 20:] = 2
    tifffile.imwrite("labels.tif", codes, photometric="minisblack")
    assert main([*verb, "a.zarr"]) == 2
    assert "a.zarr cannot be read as ZARR in slice 2 (" in capsys.readouterr().err
