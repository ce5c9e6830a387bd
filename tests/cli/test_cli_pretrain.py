"""`pretrain` makes models that anyone can go on from, and says what it needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_unetseg import load_model
from napari_unetseg.cli import main
from napari_unetseg.learning import backbone, backbones
from napari_unetseg.learning.patches import Patches


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _small(monkeypatch) -> None:
    monkeypatch.setattr(backbone, "KEPT", 4)
    monkeypatch.setattr(backbone, "PATCHES", Patches(32, 2))
    monkeypatch.setattr(backbone, "_MEASURED_ON", 4)
    monkeypatch.setattr(backbones, "_NETWORK", backbones._NETWORK.replace(depth=2, filters=4))


@pytest.mark.parametrize(
    ("name", "models"),
    [("electron", ["membranes", "mitochondria"]), ("light", ["cells", "nuclei"])],
)
def test_every_head_becomes_a_model(tmp_path: Path, name, models) -> None:
    assert run("pretrain", name, "-o", tmp_path / "models", "--steps", 2) == 0
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [
        f"{model}.unet" for model in models
    ]
    for model in models:
        info = load_model(tmp_path / "models" / model).info
        assert info.history["steps"] == 2
        assert (info.object_diameter_px is None) == (name == "electron")
        assert bool(info.pixel_size_um) == (name == "electron")
        assert info.card is not None
        assert info.card.command == f"napari-unetseg pretrain {name} --steps 2 --seed 0"


def test_what_exists_is_not_replaced_and_a_folder_without_images_is_said(
    tmp_path: Path, capsys
) -> None:
    assert run("pretrain", "light", "-o", tmp_path, "--nuclei", tmp_path) == 2
    assert "more than 100 are needed" in capsys.readouterr().err
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").touch()
    assert run("pretrain", "light", "-o", tmp_path, "--nuclei", tmp_path) == 2
    assert "has no 1.png" in capsys.readouterr().err
    assert run("pretrain", "electron", "-o", tmp_path / "models", "--resume") == 2
    assert "no stopped training" in capsys.readouterr().err
    assert run("pretrain", "electron", "-o", tmp_path / "models", "--steps", 1) == 0
    assert run("pretrain", "electron", "-o", tmp_path / "models", "--steps", 1) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_nuclei_that_cannot_be_used_are_said_before_anything_is_learned(
    tmp_path: Path, capsys
) -> None:
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        for n in range(101):
            Image.fromarray(np.zeros((20, 24), np.uint8)).save(tmp_path / part / f"{n}.png")
    options = ("-o", tmp_path / "models", "--nuclei", tmp_path)
    assert run("pretrain", "electron", *options) == 2
    assert "leave out --nuclei" in capsys.readouterr().err
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "masks" / "7.png")
    assert run("pretrain", "light", *options) == 2
    assert "24 × 20 px and its mask 20 × 20" in capsys.readouterr().err
    (tmp_path / "masks" / "7.png").write_bytes(b"no image")
    assert run("pretrain", "light", *options) == 2
    assert "is no image" in capsys.readouterr().err


def test_a_stopped_training_is_not_thrown_away_unasked(tmp_path: Path, capsys) -> None:
    stopped = tmp_path / "models" / "electron.pretraining"
    stopped.mkdir(parents=True)
    (stopped / "training-state.safetensors").write_bytes(b"kept")
    assert run("pretrain", "electron", "-o", tmp_path / "models", "--steps", 1) == 2
    assert "--resume" in capsys.readouterr().err
    assert (stopped / "training-state.safetensors").read_bytes() == b"kept"
