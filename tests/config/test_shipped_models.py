"""A model is found by its path, or by the name of one that comes with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_unetseg import UserError
from napari_unetseg.config import find_model, shipped, shipped_models


def _folder(path: Path, holds: str | None = "model.json") -> Path:
    path.mkdir(parents=True)
    if holds is not None:
        (path / holds).write_text("{}", encoding="utf-8")
    return path


@pytest.fixture
def nuclei(tmp_path: Path, monkeypatch) -> Path:
    """One model comes with the package."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "package")
    monkeypatch.chdir(tmp_path)
    return _folder(tmp_path / "package" / "nuclei.unet")


def test_a_name_is_that_of_a_model_of_the_package(nuclei: Path) -> None:
    assert shipped_models() == {"nuclei": nuclei}
    assert find_model("nuclei") == nuclei
    with pytest.raises(UserError, match=r"no model cells.*nuclei"):
        find_model("cells")


def test_images_of_the_same_name_are_no_model(nuclei: Path) -> None:
    _folder(Path("nuclei"), "image.tif")
    assert find_model(Path("nuclei")) == nuclei
    # Where its name cannot be meant, whoever reads the folder says that it is no model.
    assert find_model("./nuclei/") == Path("nuclei")


def test_ones_own_model_comes_before_that_of_the_package(nuclei: Path) -> None:
    own = _folder(Path("nuclei.unet"))
    assert find_model("nuclei") == own
    assert find_model("nuclei.unet") == own
    assert find_model(own) == own


def test_a_training_that_was_stopped_is_found_too(nuclei: Path) -> None:
    stopped = _folder(Path("mine.unet"), "training-state.safetensors")
    assert find_model("mine") == stopped
