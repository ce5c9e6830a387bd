"""What a base model knows is kept where nothing is painted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg import UserError
from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.config import LabelClass, NormalisationConfig
from napari_unetseg.events import TrainingStarted
from napari_unetseg.learning import Model, Trainer, TrainingImage, predict_plane
from napari_unetseg.learning.data import load_regions
from napari_unetseg.learning.detail import Painted
from napari_unetseg.learning.distillation import (
    STEP_BACK,
    STEPS_BACK,
    Teacher,
    farthest_back,
    step_back,
)
from napari_unetseg.learning.rehearsal import Rehearsal
from napari_unetseg.learning.resume import StateFile

BLOB = LabelClass(name="blob", color="#56b4e9")


def trainer(images, recipe, classes=(CELL,), **options) -> Trainer:
    return Trainer(images, recipe, classes, device=FLOAT32, **options)


def trained(images, recipe, classes=(CELL,), **options) -> Model:
    training = trainer(images, recipe, classes, **options)
    list(training.run())
    return training.current_model()


@pytest.fixture(scope="module")
def base() -> Model:
    """Return a model that knows the discs."""
    return trained([TrainingImage(*discs(2, (150, 150)))], tiny_recipe(60, batch=4))


def strokes(*codes_painted: int, seed: int = 5) -> TrainingImage:
    """Return an image of which next to nothing is painted."""
    stack, codes = discs(1, (150, 150), seed=seed)
    painted = np.zeros_like(codes)
    for code in codes_painted:
        y, x = np.argwhere(codes[0] == code)[40]
        window = (0, slice(y, y + 4), slice(x, x + 10))
        painted[window] = np.where(codes[window] == code, code, 0)
    return TrainingImage(stack, painted)


def teacher_of(
    base: Model,
    *,
    n_classes: int = 2,
    knows_classes: bool = True,
    rehearsal: Rehearsal | None = None,
) -> Teacher:
    return Teacher(
        base.network,
        n_classes=n_classes,
        knows_classes=knows_classes,
        knows_distances=False,
        weight=1.0,
        distance_weight=2.0,
        step_back=0.4,
        device=FLOAT32,
        rehearsal=rehearsal,
    )


def same(one: Model, other: Model) -> bool:
    weights, others = one.network.state_dict(), other.network.state_dict()
    return all(torch.equal(weights[name], others[name]) for name in weights)


def test_only_pixels_that_nobody_painted_are_asked_for(base: Model) -> None:
    pixels = torch.rand(1, 1, 32, 32)
    codes = torch.zeros(1, 32, 32, dtype=torch.uint8)
    codes[:, :8] = 2
    free = torch.ones(1, 32, 32)
    free[:, :16] = 0  # eight rows are painted, eight are held out
    logits = torch.zeros(1, 2, 32, 32, requires_grad=True)
    teacher_of(base).loss(pixels, logits, codes, {"unlabelled": free}).backward()
    asked = logits.grad.abs().sum(dim=1)[0] > 0
    assert not asked[:16].any()
    assert asked[16:].all()
    nothing = {"unlabelled": torch.zeros(1, 32, 32)}
    assert float(teacher_of(base).loss(pixels, logits, codes, nothing)) == 0.0


def test_the_loss_is_least_where_the_network_answers_as_the_teacher_does(base: Model) -> None:
    pixels, free = torch.rand(1, 1, 32, 32), torch.ones(1, 32, 32)
    codes = torch.zeros(1, 32, 32, dtype=torch.uint8)
    teacher = teacher_of(base)
    with torch.no_grad():
        own = teacher.network(pixels)
    losses = [
        float(
            teacher.loss(pixels, own + change * torch.randn(own.shape), codes, {"unlabelled": free})
        )
        for change in (0.0, 0.5, 2.0)
    ]
    assert losses == sorted(losses)


def test_held_out_annotations_are_neither_learned_nor_asked_for() -> None:
    stack, codes = discs(6, (192, 192))
    codes[:, :96] = 0
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
    image = TrainingImage(stack, codes, blocks)
    regions = list(load_regions([image], NormalisationConfig(), (96, 96), unlabelled=True))
    assert any(region.held_out.any() for region in regions)
    for region in regions:
        held, free = region.held_out > 0, region.maps["unlabelled"] > 0
        assert free.any()
        assert torch.equal(free, (region.targets == 0) & ~held)


def test_a_few_strokes_of_one_class_do_not_spoil_the_rest(base: Model) -> None:
    """Without the base's answers, all would become the one class that is painted."""
    image = strokes(2)
    stack, codes = discs(1, (150, 150), seed=5)

    def wrong(model: Model) -> float:
        return float(((predict_plane(model, stack, 0)[1] > 0.5) != (codes[0] == 2)).mean())

    tuned = trained([image], tiny_recipe(40, batch=4), base=base)
    assert wrong(tuned) < wrong(base) + 0.02
    with pytest.raises(UserError, match="hold only class 1"):
        trainer([image], tiny_recipe(40, distillation=0.0), base=base)
    with pytest.raises(UserError, match="hold only class 1"):
        trainer([image], tiny_recipe(40), (CELL, BLOB), base=base)
    with pytest.raises(UserError, match="hold only class 1"):
        trainer([image], tiny_recipe(40))


def test_weights_of_strokes_go_back_towards_the_base_and_those_of_slices_do_not() -> None:
    assert step_back(Painted(2_000, 100_000)) == STEP_BACK
    assert step_back(Painted(100_000, 100_000)) == 0


def test_weights_go_back_as_far_as_it_costs_next_to_nothing() -> None:
    assert farthest_back(lambda share: 0.9 - 0.005 * share, 0.0) == STEPS_BACK[-1]
    assert farthest_back(lambda share: 0.9 - 0.02 * share, 0.0) == 0.2
    assert farthest_back(lambda share: 0.9 - share, 0.0) == 0
    assert farthest_back(lambda share: 0.7 + 0.1 * share, 0.0) == STEPS_BACK[-1]


@pytest.mark.parametrize("little", [True, False])
def test_after_whole_slices_held_out_annotations_decide_how_far(base: Model, little) -> None:
    """Where little was to be learned the base is kept, and where much was, that is."""
    stack, codes = discs(4, (192, 192), seed=8)
    if not little:
        codes = np.uint8(3) - codes
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
    recipe = tiny_recipe(40, batch=4, learning_rate=1e-5 if little else 1e-2)
    training = trainer([TrainingImage(stack, codes, blocks)], recipe, base=base)
    list(training.run())
    kept = training.current_model().network.state_dict()
    learned = training._run._stepper.average.network.state_dict()
    start = base.network.state_dict()
    name = "head.weight"
    way = (kept[name] - learned[name]).norm() / (start[name] - learned[name]).norm()
    assert (float(way) >= 0.2) is little


def test_where_all_is_painted_the_base_is_not_asked(base: Model) -> None:
    image = TrainingImage(*discs(1, (150, 150), seed=3))
    with_it = trained([image], tiny_recipe(6), base=base)
    without = trained([image], tiny_recipe(6, distillation=0.0), base=base)
    assert same(with_it, without)


def test_a_new_class_is_learned_as_if_there_were_no_teacher(base: Model) -> None:
    image = strokes(1, 2)
    recipe = tiny_recipe(3, new_head=True)
    assert same(
        trained([image], recipe, base=base),
        trained([image], tiny_recipe(3, new_head=True, distillation=0.0), base=base),
    )


def test_a_training_with_a_class_of_another_name_goes_on_to_the_same_model(
    base: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unetseg.learning.resume.KEEP_EVERY_S", 0.0)
    monkeypatch.setattr("napari_unetseg.learning.resume.KEEP_COST", float("inf"))
    stack, codes = discs(2, (150, 150), seed=3)
    codes[:, 60:] = 0
    images = [TrainingImage(stack, codes)]

    def training(*, resume: bool) -> Trainer:
        state = StateFile(tmp_path / "m.unet", resume=resume)
        return trainer(images, tiny_recipe(8), (BLOB,), base=base, state_file=state)

    whole = trainer(images, tiny_recipe(8), (BLOB,), base=base)
    list(whole.run())
    first = training(resume=False)
    for event in first.run():
        if not isinstance(event, TrainingStarted) and (tmp_path / "m.unet").exists():
            break
    rest = training(resume=True)
    list(rest.run())
    assert same(whole.current_model(), rest.current_model())


def test_one_class_by_another_name_may_be_painted_alone_if_the_base_answers_it(base: Model) -> None:
    stack, codes = discs(1, (150, 150), seed=5)
    model = trained(
        [TrainingImage(stack, np.where(codes == 2, 2, 0).astype(np.uint8))],
        tiny_recipe(3),
        (BLOB,),
        base=base,
    )
    assert (predict_plane(model, stack, 0)[1] > 0.5).mean() < 0.7, "not all becomes that class"
    elsewhere = np.where(codes == 1, 2, 0).astype(np.uint8)
    with pytest.raises(UserError, match="hold only class 1"):
        trained([TrainingImage(stack, elsewhere)], tiny_recipe(3), (BLOB,), base=base)


def test_distances_that_the_base_does_not_know_are_not_asked_of_it(base: Model) -> None:
    """Its row for them would be random."""
    pixels, codes = torch.rand(1, 1, 32, 32), torch.zeros(1, 32, 32, dtype=torch.uint8)
    maps = {"unlabelled": torch.ones(1, 32, 32), "distance": torch.zeros(1, 32, 32)}
    logits = torch.zeros(1, 3, 32, 32, requires_grad=True)
    teacher_of(base).loss(pixels, logits, codes, maps).backward()
    assert logits.grad[:, :2].abs().sum() > 0
    assert not logits.grad[:, 2].any()
