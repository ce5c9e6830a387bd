"""Models get the names that people give them."""

from __future__ import annotations

import pytest

from napari_unetseg.config import LabelClass, ModelInfo, Recipe, read_model_info
from napari_unetseg.errors import UserError
from napari_unetseg.workspace import name_model


def model(folder, name):
    path = folder / f"{name}.unet"
    path.mkdir(parents=True)
    cell = LabelClass(name="cell", color="#e69f00")
    info = ModelInfo(name=name, recipe=Recipe(), classes=(cell,), channels=("grey",))
    (path / "model.json").write_text(info.model_dump_json(), encoding="utf-8")
    (path / "weights.safetensors").write_bytes(b"weights")
    return path


def test_a_model_is_renamed_with_its_folder(tmp_path):
    old = model(tmp_path / "models", "cells-1")
    new = name_model(old, " Golgi, day 2.unet ", tmp_path / "models")
    assert new == tmp_path / "models" / "Golgi, day 2.unet"
    assert not old.exists()
    assert read_model_info(new).name == "Golgi, day 2"
    assert (new / "weights.safetensors").read_bytes() == b"weights"
    assert name_model(new, "Golgi, day 2", tmp_path / "models") == new


def test_a_checkpoint_is_copied_to_where_models_are(tmp_path):
    checkpoint = model(tmp_path / "checkpoints-1", "step-200")
    new = name_model(checkpoint, "early", tmp_path / "models")
    assert checkpoint.is_dir()
    assert read_model_info(new).name == "early"
    assert read_model_info(checkpoint).name == "step-200"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "needs a name"),
        ("  ", "needs a name"),
        ("a/b", "needs a name"),
        ("a:b", "needs a name"),
        ("a\x00b", "needs a name"),
        ("a\ud800", "needs a name"),
        (".hidden", "with a dot"),
        ("a.", "with a dot"),
        ("CON", "Windows"),
        ("com1.old", "Windows"),
        ("x" * 300, "300 characters is too long"),
        ("名" * 80, "80 characters is too long"),
    ],
)
def test_what_cannot_be_the_name_of_a_folder_is_refused(tmp_path, name, said):
    old = model(tmp_path / "models", "cells-1")
    with pytest.raises(UserError, match=said):
        name_model(old, name, tmp_path / "models")
    assert old.is_dir()


@pytest.mark.parametrize("name", ["名前", "Golgi v1.2", "console", "x" * 200, "名" * 50])
def test_what_can_be_the_name_of_a_folder_is_taken(tmp_path, name):
    elsewhere = model(tmp_path / "checkpoints-1", "step-200")
    assert read_model_info(name_model(elsewhere, name, tmp_path / "models")).name == name


def test_a_name_that_is_taken_is_refused(tmp_path):
    old, _ = model(tmp_path / "models", "a"), model(tmp_path / "models", "b")
    with pytest.raises(UserError, match="called b already"):
        name_model(old, "b", tmp_path / "models")
    assert read_model_info(old).name == "a"
