"""What a model was made from is shown again while it learns something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_distillation import strokes, teacher_of, trained, trainer
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg import UserError, load_model
from napari_unetseg.config import shipped_models
from napari_unetseg.events import TrainingStarted
from napari_unetseg.images import Stack
from napari_unetseg.learning import Model, TrainingImage, predict_plane
from napari_unetseg.learning.backbone import REHEARSED_PX, first_patches
from napari_unetseg.learning.backbones import backbone
from napari_unetseg.learning.detail import Painted
from napari_unetseg.learning.distillation import (
    BESIDE_WHOLE_IMAGES,
    LEAST,
    MOST,
    MUCH_PX,
    OUTWEIGH_PX,
    rehearsal_weight,
)
from napari_unetseg.learning.rehearsal import Rehearsal, read_sheet
from napari_unetseg.learning.resume import StateFile

#: Pixels, more than any patches have.
MANY = 10**9


def sheet(stack: Stack, n: int = 8) -> np.ndarray:
    """Return patches of a stack."""
    rng, planes = np.random.default_rng(1), stack.data.astype(np.uint8)
    corners = rng.integers(0, planes.shape[1] - REHEARSED_PX, (n, 2))
    return np.stack([planes[0, y : y + REHEARSED_PX, x : x + REHEARSED_PX] for y, x in corners])


def dark_discs(seed: int = 0) -> tuple[Stack, np.ndarray]:
    """Return discs that are darker than what is around them."""
    stack, codes = discs(1, (150, 150), seed=seed)
    return replace(stack, data=255 - stack.data), codes


@pytest.fixture(scope="module")
def base() -> Model:
    """Return a model that knows bright discs and dark ones, and what it rehearses of both."""
    bright, dark = discs(1, (150, 150)), dark_discs()
    model = trained(
        [TrainingImage(*bright), TrainingImage(*dark)], tiny_recipe(120, batch=4, patch_px=64)
    )
    return replace(model, rehearsal=np.concatenate([sheet(bright[0]), sheet(dark[0])]))


def iou(model: Model, stack: Stack, codes: np.ndarray) -> float:
    found, true = predict_plane(model, stack, 0)[1] > 0.5, codes[0] == 2
    return float((found & true).sum() / (found | true).sum())


def test_what_is_not_painted_any_more_is_forgotten_less(base: Model) -> None:
    """Another kind of image is painted completely: nothing else holds what the base knows."""
    rng, (_, codes) = np.random.default_rng(7), discs(1, (150, 150), seed=7)
    grain = np.where(codes == 2, rng.normal(0, 40, codes.shape), rng.normal(0, 8, codes.shape))
    grainy = TrainingImage(Stack((128 + grain).clip(0, 255).astype(np.uint8), "ZYX"), codes)
    others = dark_discs(seed=8)
    rehearsing, forgetting = (
        trained([grainy], tiny_recipe(60, batch=4), base=start)
        for start in (base, replace(base, rehearsal=None))
    )
    assert iou(base, *others) > 0.8
    assert iou(base, grainy.stack, codes) < 0.3
    assert iou(rehearsing, grainy.stack, codes) > 0.6
    assert iou(rehearsing, *others) > iou(forgetting, *others) + 0.2


def test_it_goes_on_where_everything_is_painted(base: Model) -> None:
    assert base.rehearsal is not None
    again = Rehearsal(base.rehearsal, 1, FLOAT32, weight=2.0)
    teacher = teacher_of(base, rehearsal=again)
    other = trained([strokes(1, 2)], tiny_recipe(1)).network
    own, others = (teacher.forgotten(n, 0, 10**6) for n in (base.network, other))
    assert own is not None
    assert others is not None
    assert own < others
    assert teacher_of(base).forgotten(other, 0, 10**6) is None


def test_patches_come_in_turn_and_turned_in_each_round() -> None:
    patches = np.random.default_rng(0).integers(0, 256, (8, REHEARSED_PX, REHEARSED_PX), np.uint8)
    again = Rehearsal(patches, 1, FLOAT32, weight=1.0)
    both = torch.cat([again.batch(0, MANY), again.batch(1, MANY)])[:, 0]
    assert torch.equal(both, torch.from_numpy(patches).float() / 255)
    assert torch.equal(again.batch(1, MANY), again.batch(1, MANY)), (
        "the same step has the same patches"
    )
    seen = {again.batch(2 * n, MANY)[0].numpy().tobytes() for n in range(16)}
    assert len(seen) == 8, "four ways to turn it, and as many mirrored"


def test_a_network_that_reduces_images_sees_them_as_large_as_before() -> None:
    patches = np.random.default_rng(0).integers(0, 256, (8, REHEARSED_PX, REHEARSED_PX), np.uint8)
    large = Rehearsal(patches, 3, FLOAT32, weight=1.0).batch(0, MANY)
    small = torch.nn.functional.avg_pool2d(large, 3)
    assert torch.allclose(small[:, 0], torch.from_numpy(patches[:4]).float() / 255)


def shape(batch: torch.Tensor | None) -> tuple[int, ...]:
    assert batch is not None
    return tuple(batch.shape)


def test_it_takes_no_more_memory_than_the_step_itself() -> None:
    patches = np.zeros((8, REHEARSED_PX, REHEARSED_PX), np.uint8)
    again = Rehearsal(patches, 2, FLOAT32, weight=1.0)
    side = 2 * REHEARSED_PX
    assert shape(again.batch(0, 10 * side**2)) == (4, 1, side, side)
    assert shape(again.batch(0, 4 * side**2)) == (4, 1, side, side)
    assert shape(again.batch(0, 4 * side**2 - 1)) == (4, 1, side - 2, side - 2)
    assert shape(again.batch(0, 4 * 32**2)) == (4, 1, 32, 32)
    assert again.batch(0, 4 * 30**2) is None


@pytest.mark.parametrize(
    ("painted", "weight"),
    [
        (Painted(500, 10**6), MOST),
        (Painted(2_000, 10**6), 2.0),
        (Painted(50_000, 10**6), LEAST),
        (Painted(250_000, 250_000), BESIDE_WHOLE_IMAGES),
        (Painted(MUCH_PX, MUCH_PX), BESIDE_WHOLE_IMAGES),
        (Painted((MUCH_PX + OUTWEIGH_PX) // 2, OUTWEIGH_PX), BESIDE_WHOLE_IMAGES / 2),
        (Painted(OUTWEIGH_PX, OUTWEIGH_PX), 0.0),
        (Painted(OUTWEIGH_PX, 10**8), 0.0),
    ],
)
def test_it_counts_the_less_the_more_is_painted(painted: Painted, weight: float) -> None:
    assert rehearsal_weight(painted) == weight


def test_it_is_kept_with_the_model_and_with_what_is_trained_from_it(
    base: Model, tmp_path: Path
) -> None:
    loaded = load_model(base.save(tmp_path / "base.unet"))
    assert loaded.rehearsal is not None
    assert np.array_equal(loaded.rehearsal, base.rehearsal)
    assert np.array_equal(
        trained([strokes(1, 2)], tiny_recipe(3), base=loaded).rehearsal, base.rehearsal
    )
    assert trained([strokes(1, 2)], tiny_recipe(3)).rehearsal is None
    anew = tiny_recipe(3, new_head=True)
    assert trained([strokes(1, 2)], anew, base=loaded).rehearsal is None, "it answers otherwise"


@pytest.mark.parametrize("content", [b"", b"no picture", "cut"])
def test_a_damaged_sheet_is_named(base: Model, tmp_path: Path, content: bytes | str) -> None:
    folder = base.save(tmp_path / "base.unet")
    path = folder / "rehearsal.png"
    path.write_bytes(path.read_bytes()[:3000] if isinstance(content, str) else content)
    with pytest.raises(UserError, match=r"rehearsal\.png is damaged; copy the model again"):
        load_model(folder)


def test_a_training_that_was_stopped_goes_on_with_the_next_patches(
    base: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unetseg.learning.resume.KEEP_EVERY_S", 0.0)
    monkeypatch.setattr("napari_unetseg.learning.resume.KEEP_COST", float("inf"))
    images, folder = [strokes(1, 2)], tmp_path / "m.unet"
    whole = trained(images, tiny_recipe(8), base=base)
    first = trainer(images, tiny_recipe(8), base=base, state_file=StateFile(folder))
    for event in first.run():
        if not isinstance(event, TrainingStarted) and folder.exists():
            break
    found = StateFile(folder, resume=True)
    rest = trainer(images, tiny_recipe(8), (CELL,), base=base, state_file=found)
    list(rest.run())
    weights = rest.current_model().network.state_dict()
    assert all(torch.equal(weights[n], w) for n, w in whole.network.state_dict().items())


def test_patches_of_another_kind_are_refused(base: Model, tmp_path: Path) -> None:
    folder = base.save(tmp_path / "base.unet")
    grey = Image.open(folder / "rehearsal.png")
    for other in (grey.convert("RGB"), grey.convert("I;16"), grey.resize((12, 2))):
        other.save(folder / "rehearsal.png")
        with pytest.raises(UserError, match=r"rehearsal\.png is damaged"):
            load_model(folder)
    two = trained([TrainingImage(*discs(1, (96, 96), n_channels=2))], tiny_recipe(1))
    folder = replace(two, rehearsal=base.rehearsal).save(tmp_path / "two.unet")
    with pytest.raises(UserError, match="of a model of single grey slices, not of this one"):
        load_model(folder)


def test_other_patches_than_before_make_another_training(
    base: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unetseg.learning.resume.KEEP_EVERY_S", 0.0)
    folder = tmp_path / "m.unet"
    first = trainer([strokes(1, 2)], tiny_recipe(8), base=base, state_file=StateFile(folder))
    for event in first.run():
        if not isinstance(event, TrainingStarted) and folder.exists():
            break
    found = StateFile(folder, resume=True)
    bare = replace(base, rehearsal=None)
    with pytest.raises(UserError, match="had other patches to rehearse"):
        list(trainer([strokes(1, 2)], tiny_recipe(8), base=bare, state_file=found).run())


@pytest.mark.parametrize("name", shipped_models())
def test_every_model_that_ships_has_something_to_rehearse(name: str) -> None:
    patches = load_model(name).rehearsal
    assert patches is not None
    assert patches.shape == (48, 128, 128)


def test_what_ships_is_the_beginning_of_the_stream_on_the_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_unetseg.learning.backbone.N_REHEARSED", 2)
    path = shipped_models()["membranes"] / "rehearsal.png"
    assert np.array_equal(first_patches(backbone("electron").draw, 0), read_sheet(path)[:2])
