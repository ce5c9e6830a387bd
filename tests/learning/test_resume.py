"""Training that is stopped, by whatever, and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg import UserError
from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.cli import main
from napari_unetseg.events import TrainingStep, Warned
from napari_unetseg.images import write_image, write_labels
from napari_unetseg.learning import StateFile, Trainer, TrainingImage, load_model, resume

STATE = "training-state.safetensors"


def image() -> TrainingImage:
    stack, codes = discs(2, (150, 150))
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
    return TrainingImage(stack, codes, blocks)


def trainer(folder: Path | None, recipe, *, again: bool = False, **options) -> Trainer:
    state = None if folder is None else StateFile(folder, resume=again)
    return Trainer([image()], recipe, (CELL,), device=FLOAT32, state_file=state, **options)


def stopped_after(folder: Path, recipe, steps: int, **options) -> None:
    """Train with a state after every step, and close the training in the middle."""
    training = trainer(folder, recipe, **options)
    events = training.run()
    for event in events:
        if isinstance(event, TrainingStep) and event.step > steps:
            break
    events.close()


@pytest.fixture
def always_kept(monkeypatch) -> None:
    monkeypatch.setattr(resume, "KEEP_EVERY_S", 0.0)
    monkeypatch.setattr(resume, "KEEP_COST", 1e9)
    monkeypatch.setattr("napari_unetseg.learning.run.REPORT_EVERY_S", 0.0)


def same(one, other) -> bool:
    pairs = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    "recipe",
    [
        tiny_recipe(12, seed=3),
        tiny_recipe(12, pretrain=0.25),
        tiny_recipe(12).replace(network={"depth": 2, "filters": 4, "dropout": 0.5}),
    ],
    ids=["plain", "pretrained", "dropout"],
)
def test_a_training_that_goes_on_ends_as_if_it_had_never_stopped(
    tmp_path, always_kept, recipe
) -> None:
    whole = trainer(None, recipe)
    list(whole.run())
    folder = tmp_path / "m.unet"
    stopped_after(folder, recipe, 5)
    assert [file.name for file in folder.iterdir()] == [STATE]
    rest = trainer(folder, recipe, again=True)
    steps = [e.step for e in rest.run() if isinstance(e, TrainingStep)]
    assert steps[0] == 6
    assert same(whole.current_model(), rest.current_model())
    expected, found = whole.current_model().info, rest.current_model().info
    assert found.scores == expected.scores
    assert found.history["steps"] == expected.history["steps"]
    assert found.history["pretraining_steps"] == expected.history["pretraining_steps"]


def test_a_fine_tuning_that_goes_on_still_compares_with_its_base(tmp_path, always_kept) -> None:
    base = trainer(None, tiny_recipe(5))
    list(base.run())
    options = {"base": base.current_model()}
    recipe = tiny_recipe(10, transfer="expanding", learning_rate=0.01)
    whole = trainer(None, recipe, **options)
    list(whole.run())
    stopped_after(tmp_path / "m.unet", recipe, 4, **options)
    rest = trainer(tmp_path / "m.unet", recipe, again=True, **options)
    list(rest.run())
    assert same(whole.current_model(), rest.current_model())
    assert rest.current_model().history[0]["step"] == 0
    with pytest.raises(UserError, match="base model"):
        list(trainer(tmp_path / "m.unet", recipe, again=True).run())


def test_a_failed_step_before_the_stop_is_remembered(tmp_path, always_kept, monkeypatch) -> None:
    from napari_unetseg.learning.stepper import Stepper

    loss, calls = Stepper.loss, []

    def sometimes_nan(self, *args):
        calls.append(1)
        return loss(self, *args) * (np.nan if len(calls) == 4 else 1.0)

    monkeypatch.setattr(Stepper, "loss", sometimes_nan)
    recipe = tiny_recipe(8)
    whole = trainer(None, recipe)
    list(whole.run())
    calls.clear()
    stopped_after(tmp_path / "m.unet", recipe, 5)
    rest = trainer(tmp_path / "m.unet", recipe, again=True)
    list(rest.run())
    assert same(whole.current_model(), rest.current_model())


def test_time_used_before_the_stop_counts(tmp_path, always_kept) -> None:
    recipe = tiny_recipe(None, max_time_s=600.0)
    stopped_after(tmp_path / "m.unet", recipe, 1, started_at=time.time() - 590)
    began = time.time()
    rest = trainer(tmp_path / "m.unet", recipe, again=True)
    list(rest.run())
    assert time.time() - began < 60


def test_the_model_takes_the_place_of_the_state(tmp_path, always_kept) -> None:
    folder = tmp_path / "m.unet"
    training = trainer(folder, tiny_recipe(3))
    list(training.run())
    assert (folder / STATE).exists()
    with pytest.raises(UserError, match="--resume"):
        load_model(folder)
    training.current_model().save(folder)
    assert not (folder / STATE).exists()
    assert load_model(folder).info.history["steps"] == 3


def test_other_settings_images_or_annotations_are_not_gone_on_with(tmp_path, always_kept) -> None:
    folder = tmp_path / "m.unet"
    stopped_after(folder, tiny_recipe(9), 2)
    with pytest.raises(UserError, match="other settings"):
        list(trainer(folder, tiny_recipe(10), again=True).run())
    stack, codes = discs(2, (150, 150), seed=8)
    other = Trainer(
        [TrainingImage(stack, codes)],
        tiny_recipe(9),
        (CELL,),
        device=FLOAT32,
        state_file=StateFile(folder, resume=True),
    )
    with pytest.raises(UserError, match="other images and annotations"):
        list(other.run())


def test_nothing_to_go_on_with_and_a_damaged_state_are_said(tmp_path) -> None:
    with pytest.raises(UserError, match="no stopped training"):
        StateFile(tmp_path / "m.unet", resume=True)
    (tmp_path / "m.unet").mkdir()
    (tmp_path / "m.unet" / STATE).write_bytes(b"nonsense")
    with pytest.raises(UserError, match="damaged"):
        StateFile(tmp_path / "m.unet", resume=True)


def test_training_goes_on_where_the_state_cannot_be_written(
    tmp_path, always_kept, monkeypatch
) -> None:
    def full(*_):
        raise UserError("the disk is full")

    monkeypatch.setattr(StateFile, "_write", full)
    training = trainer(tmp_path / "m.unet", tiny_recipe(4))
    said = [e.sentence for e in training.run() if isinstance(e, Warned)]
    assert [s for s in said if "disk is full" in s] == said
    assert len(said) == 1
    assert training.current_model().info.history["steps"] == 4


_SLOW_CHILD = """
import sys, time
from napari_unetseg.learning import resume, stepper
from napari_unetseg.cli import main
resume.KEEP_EVERY_S, resume.KEEP_COST = 0.0, 1e9
step = stepper.Stepper.step
def slowly(self, *batch):
    time.sleep(0.05)
    return step(self, *batch)
stepper.Stepper.step = slowly
sys.exit(main())
"""


@pytest.mark.parametrize("lacking", ["asked", "used_s", "step", "record", "generator"])
def test_a_state_that_lacks_something_is_said_to_be_of_no_use(
    tmp_path, always_kept, lacking
) -> None:
    recipe = tiny_recipe(10)
    stopped_after(tmp_path / "m.unet", recipe, 4)
    path = tmp_path / "m.unet" / STATE
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        values = json.loads(file.metadata()["values"])
    tensors.pop(lacking, None)
    values.pop(lacking, None)
    path.write_bytes(save(tensors, {"values": json.dumps(values)}))
    with pytest.raises(UserError, match="--overwrite"):
        list(trainer(tmp_path / "m.unet", recipe, again=True).run())


def test_a_killed_program_goes_on_to_the_same_model(tmp_path, capsys) -> None:
    stack, codes = discs(2, (150, 150))
    write_image(tmp_path / "raw.tif", stack)
    write_labels(tmp_path / "masks.tif", codes, like=stack, kind="masks", classes=(CELL,))
    recipe = tiny_recipe(24).model_dump(mode="json")
    (tmp_path / "config.json").write_text(json.dumps(recipe))
    given = ["train", str(tmp_path / "raw.tif"), "-l", str(tmp_path / "masks.tif")]
    given += [
        "--labels-kind",
        "masks",
        "--device",
        "cpu",
        "--config",
        str(tmp_path / "config.json"),
    ]
    out = tmp_path / "killed.unet"
    child = subprocess.Popen(
        [sys.executable, "-c", _SLOW_CHILD, *given, "-o", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (out / STATE).exists():
        assert child.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert main([*given, "-o", str(out)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*given, "-o", str(out), "--resume", "--seed", "9"]) == 2
    said = capsys.readouterr().err
    assert "other settings" in said
    assert "training.seed was" in said
    assert (out / STATE).exists()
    assert main([*given, "-o", str(out), "--resume"]) == 0
    assert main([*given, "-o", str(tmp_path / "whole.unet")]) == 0
    assert same(load_model(out), load_model(tmp_path / "whole.unet"))
    assert main([*given, "-o", str(out), "--resume"]) == 2
    assert [file.name for file in out.iterdir() if file.name == STATE] == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_state_from_before_a_setting_was_invented_is_gone_on_with(tmp_path, always_kept) -> None:
    whole = trainer(None, tiny_recipe(8))
    list(whole.run())
    stopped_after(tmp_path / "m.unet", tiny_recipe(8), 4)
    path = tmp_path / "m.unet" / STATE
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        values = json.loads(file.metadata()["values"])
    del values["asked"]["settings"]["training"]["distillation"], values["other_names"]
    path.write_bytes(save(tensors, {"values": json.dumps(values)}))
    rest = trainer(tmp_path / "m.unet", tiny_recipe(8), again=True)
    list(rest.run())
    assert same(whole.current_model(), rest.current_model())
