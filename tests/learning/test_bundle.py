from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from tiny_data import CELL, discs, tiny_recipe

from napari_unetseg import UserError, load_model
from napari_unetseg.learning import Model, Trainer, TrainingImage


@pytest.fixture(scope="module")
def model() -> Model:
    trainer = Trainer([TrainingImage(*discs())], tiny_recipe(4), (CELL,), name="discs")
    for _ in trainer.run():
        pass
    return trainer.current_model()


def test_a_model_that_was_saved_and_read_gives_the_same_logits(model: Model, tmp_path) -> None:
    path = model.save(tmp_path / "discs.unet")
    read = load_model(path)
    image = torch.randn(1, 1, 40, 50)
    assert torch.equal(model.network(image), read.network(image))
    assert read.info == model.info
    assert [dict(row) for row in read.history] == [dict(row) for row in model.history]
    assert np.array_equal(read.preview, model.preview)


def test_the_folder_holds_what_is_promised_and_nothing_else(model: Model, tmp_path) -> None:
    path = model.save(tmp_path / "discs.unet")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["discs.unet"]
    assert sorted(p.name for p in path.iterdir()) == [
        "history.csv",
        "model.json",
        "preview.png",
        "weights.safetensors",
    ]
    facts = json.loads((path / "model.json").read_text())
    assert facts["classes"][0]["name"] == "cell"
    assert facts["pixel_size_um"] == {"Y": 0.1, "X": 0.1}
    assert facts["history"]["steps"] == 4
    assert facts["history"]["n_slices"] == 2
    assert len(facts["data"][0]["fingerprint"]) == 32
    assert set(facts["versions"]) == {"napari-unetseg", "torch", "numpy", "python"}


def test_the_ending_may_be_left_out_when_reading(model: Model, tmp_path) -> None:
    model.save(tmp_path / "discs.unet")
    assert load_model(tmp_path / "discs").info.name == "discs"


def test_what_exists_is_replaced_only_on_request_and_only_if_it_is_a_model(
    model: Model, tmp_path: Path
) -> None:
    path = model.save(tmp_path / "m.unet")
    with pytest.raises(UserError, match="exists"):
        model.save(path)
    (path / "note.txt").write_text("old")
    model.save(path, overwrite=True)
    assert not (path / "note.txt").exists()
    other = tmp_path / "pictures"
    other.mkdir()
    (other / "a.png").write_text("precious")
    with pytest.raises(UserError, match="no model"):
        model.save(other, overwrite=True)
    assert (other / "a.png").exists()


def test_a_failure_while_writing_leaves_the_old_model(model: Model, tmp_path, monkeypatch) -> None:
    path = model.save(tmp_path / "m.unet")
    before = (path / "model.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_unetseg.learning.bundle.save", full)
    with pytest.raises(UserError, match="no space left"):
        model.save(path, overwrite=True)
    assert (path / "model.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.unet"]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def _spoil(path: Path) -> None:
    weights = load_file(path)
    weights["head.bias"][1] = torch.nan
    path.write_bytes(save(weights))


def _edit(folder: Path, name: str, value: object) -> None:
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(facts | {name: value}))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: (path / "model.json").unlink(), "no model"),
        (lambda path: (path / "model.json").write_text("{"), "not a JSON file"),
        (lambda path: (path / "model.json").write_text('{"version": 9}'), "version"),
        (lambda path: (path / "weights.safetensors").unlink(), "copy the whole model"),
        (lambda path: _truncate(path / "weights.safetensors"), "damaged"),
        (lambda path: _spoil(path / "weights.safetensors"), "not finite"),
        (lambda path: _edit(path, "pixel_size_um", {"Y": 0.0, "X": 0.0}), "pixel_size_um"),
        (lambda path: (path / "model.json").write_text("[" * 100_000), "not a JSON file"),
        (lambda path: (path / "history.csv").write_bytes(b"step,loss\n1,\xff\n"), "damaged"),
        (lambda path: (path / "history.csv").write_text("step,loss\none,two\n"), "damaged"),
        (lambda path: _truncate(path / "preview.png"), "damaged"),
    ],
)
def test_a_folder_that_is_no_model_gets_one_sentence(
    model: Model, tmp_path, damage, sentence
) -> None:
    path = model.save(tmp_path / "m.unet")
    damage(path)
    with pytest.raises(UserError, match=sentence) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused(model: Model, tmp_path) -> None:
    path = model.save(tmp_path / "m.unet")
    facts = json.loads((path / "model.json").read_text())
    facts["recipe"]["network"]["filters"] = 4
    (path / "model.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match="of another network"):
        load_model(path)


def test_a_description_cannot_ask_for_more_memory_than_its_weights(model, tmp_path) -> None:
    path = model.save(tmp_path / "m.unet")
    facts = json.loads((path / "model.json").read_text())
    facts["recipe"]["network"] |= {"filters": 128, "depth": 6}  # 10 GB of weights
    (path / "model.json").write_text(json.dumps(facts))
    resource = pytest.importorskip("resource", reason="is of POSIX")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match="of another network"):
        load_model(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 2**30 / 1024


def test_a_missing_folder_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"nothing\.unet"):
        load_model(tmp_path / "nothing.unet")


def test_who_may_read_other_files_may_read_the_weights(model: Model, tmp_path) -> None:
    folder = model.save(tmp_path / "m.unet")
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert len(modes) == 4
    assert len(set(modes.values())) == 1, modes
