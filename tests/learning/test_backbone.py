"""Several structures learned by one network, and what becomes of each head."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_data import FLOAT32

from napari_unetseg import UserError, load_model, predict
from napari_unetseg.config import UNetConfig
from napari_unetseg.events import TrainingStep
from napari_unetseg.images import Stack
from napari_unetseg.learning import backbone as module
from napari_unetseg.learning.backbone import Backbone, BackbonePretrainer, first_patches
from napari_unetseg.learning.bundle import in_half_precision
from napari_unetseg.learning.heads import Head, channels, packed, unpacked
from napari_unetseg.learning.patches import Patches
from napari_unetseg.learning.resume import StateFile
from napari_unetseg.synthesis.electron import electron_micrographs
from napari_unetseg.synthesis.example import Example
from napari_unetseg.synthesis.light import light_micrograph

HEADS = (
    Head("membranes", "membrane"),
    Head("mitochondria", "mitochondrion"),
)
TINY = Backbone(
    HEADS,
    "napari-unetseg pretrain tiny",
    partial(electron_micrographs, shape=(1, 48, 48)),
    "tiny tissues",
    UNetConfig(reduction=1, depth=2, filters=4),
    pixel_size_um={"Y": 0.008, "X": 0.008},
)


@pytest.fixture(autouse=True)
def _small(monkeypatch) -> None:
    monkeypatch.setattr(module, "KEPT", 6)
    monkeypatch.setattr(module, "PATCHES", Patches(32, 2))
    monkeypatch.setattr(module, "_MEASURED_ON", 4)


def test_codes_of_all_heads_are_moved_together_and_found_again() -> None:
    heads = (*HEADS, Head("nuclei", "nucleus", objects=True))
    drawn = electron_micrographs(np.random.default_rng(0), (1, 32, 32))
    codes, distances = packed(drawn, heads)
    for place, head in enumerate(HEADS):
        found = unpacked(codes, place).numpy()
        assert np.array_equal(found, drawn.codes[head.structure])
    assert not unpacked(codes, 2).any()
    assert not distances["nucleus"].any()
    assert channels(heads) == [slice(0, 2), slice(2, 4), slice(4, 7)]


def test_distances_are_those_of_the_objects() -> None:
    ids = np.zeros((1, 9, 9), np.uint32)
    ids[0, 2:7, 2:7] = 4
    drawn = Example(
        np.zeros_like(ids, np.uint8), {"cell": np.ones_like(ids, np.uint8)}, {"cell": ids}
    )
    _, distances = packed(drawn, (Head("cells", "cell", objects=True),))
    assert distances["cell"][0, 4, 4] == 1
    assert distances["cell"][0, 0, 0] == 0


def test_a_head_of_which_nothing_is_known_is_not_taught_anything() -> None:
    heads = (Head("nuclei", "nucleus", objects=True), Head("cells", "cell", objects=True))
    trainer = BackbonePretrainer(
        Backbone(heads, "", partial(light_micrograph, shape=(48, 48)), "", TINY.network),
        1,
        device=FLOAT32,
    )
    logits = torch.randn(1, 6, 8, 8, requires_grad=True)
    codes = torch.full((1, 8, 8), 2, dtype=torch.uint8)  # nucleus everywhere, of cells nothing
    maps = {name: torch.rand(1, 8, 8) for name in ("nucleus", "cell")}
    trainer._stepper.loss(logits, codes, maps).backward()
    assert logits.grad[:, :3].abs().sum() > 0
    assert not logits.grad[:, 3:].any()


def test_models_of_the_heads_are_saved_in_half_precision_and_segment(tmp_path: Path) -> None:
    trainer = BackbonePretrainer(TINY, 3, device=FLOAT32)
    events = list(trainer.run())
    assert any(isinstance(event, TrainingStep) for event in events)
    stack = Stack(np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8), "YX")
    for head in HEADS:
        path = in_half_precision(trainer.model(head)).save(tmp_path / f"{head.model}.unet")
        model = load_model(path)
        assert model.class_names == ("background", head.structure)
        assert np.array_equal(model.rehearsal, first_patches(TINY.draw, 0))
        assert (path / "weights.safetensors").stat().st_size < 3 * sum(
            w.numel() for w in model.network.state_dict().values()
        )
        assert model.info.data[0]["examples"] == 9
        assert len(model.info.data[0]["sha256"]) == 64
        assert (
            np.mean(
                predict(stack, model, device="cpu")
                == predict(stack, trainer.model(head), device="cpu")
            )
            > 0.98
        )


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch
) -> None:
    whole = BackbonePretrainer(TINY, 6, device=FLOAT32)
    list(whole.run())
    monkeypatch.setattr("napari_unetseg.learning.resume.KEEP_EVERY_S", 0.0)
    monkeypatch.setattr("napari_unetseg.learning.resume.KEEP_COST", 1e9)
    stopped = BackbonePretrainer(TINY, 6, device=FLOAT32, state_file=StateFile(tmp_path / "p"))
    monkeypatch.setattr(module, "_REPORT_EVERY_S", 0.0)
    running = stopped.run()
    for event in running:
        if isinstance(event, TrainingStep) and event.step == 4:
            break
    running.close()
    other = BackbonePretrainer(
        TINY, 7, device=FLOAT32, state_file=StateFile(tmp_path / "p", resume=True)
    )
    with pytest.raises(UserError, match="steps was 6, not 7"):
        list(other.run())
    other = BackbonePretrainer(
        replace(TINY, material="other images"),
        6,
        device=FLOAT32,
        state_file=StateFile(tmp_path / "p", resume=True),
    )
    with pytest.raises(UserError, match="material"):
        list(other.run())
    resumed = BackbonePretrainer(
        TINY, 6, device=FLOAT32, state_file=StateFile(tmp_path / "p", resume=True)
    )
    list(resumed.run())
    assert resumed.checksum == whole.checksum
    for head in HEADS:
        weights = whole.model(head).network.state_dict()
        again = resumed.model(head).network.state_dict()
        assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_numbers_that_are_not_finite_end_it_in_a_sentence(monkeypatch) -> None:
    trainer = BackbonePretrainer(TINY, 3, device=FLOAT32)
    bad = torch.full((1,), float("nan"))
    monkeypatch.setattr(trainer._stepper, "loss", lambda *_: bad.sum())
    with pytest.raises(UserError, match="not finite"):
        list(trainer.run())
