"""Starting from a model, and from unlabelled images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe
from torch import nn

from napari_unetseg import UserError
from napari_unetseg.annotations import assign_blocks, held_out_mask, new_blocks
from napari_unetseg.config import LabelClass
from napari_unetseg.events import HeldOutScored, Progress, SourceScored, TrainingStep, Warned
from napari_unetseg.images import Stack
from napari_unetseg.learning import (
    Model,
    Trainer,
    TrainingImage,
    codes_from_probabilities,
    predict_plane,
)
from napari_unetseg.learning.pretraining import MASKED_PX, MASKED_SHARE, spoiled
from napari_unetseg.learning.transfer import freeze
from napari_unetseg.networks import build_network

NUCLEUS = LabelClass(name="nucleus", color="#56b4e9")


def with_blocks(stack: Stack, codes: np.ndarray) -> TrainingImage:
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
    return TrainingImage(stack, codes, blocks)


def trained(image: TrainingImage, recipe, classes=(CELL,), **options):
    trainer = Trainer([image], recipe, classes, device=FLOAT32, **options)
    events = list(trainer.run())
    return trainer.current_model(), events


@pytest.fixture(scope="module")
def base() -> Model:
    """Return a model that knows the discs."""
    return trained(TrainingImage(*discs(2, (150, 150))), tiny_recipe(60, batch=4))[0]


def part(model: Model, name: str) -> dict[str, torch.Tensor]:
    return {k: v for k, v in model.network.state_dict().items() if k.startswith(name)}


def unchanged(one: Model, other: Model, name: str) -> bool:
    pairs = zip(part(one, name).values(), part(other, name).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("mode", "frozen", "learning"),
    [
        ("all", [], ["contracting", "up", "expanding", "head"]),
        ("expanding", ["contracting"], ["up", "expanding", "head"]),
        ("head", ["contracting", "up", "expanding"], ["head"]),
    ],
)
def test_what_is_frozen_stays_bit_by_bit_with_its_statistics_and_the_rest_learns(
    base, mode, frozen, learning
) -> None:
    model, _ = trained(TrainingImage(*discs(seed=4)), tiny_recipe(3, transfer=mode), base=base)
    assert all(unchanged(model, base, name) for name in frozen)
    assert not any(unchanged(model, base, name) for name in learning)


def test_no_gradients_are_computed_for_what_is_frozen() -> None:
    network = build_network(tiny_recipe().network, 1, 2).train()
    freeze(network, "expanding")
    bottom = []
    network.contracting[-1].register_forward_hook(lambda *call: bottom.append(call[-1]))
    network(torch.rand(1, 1, 32, 32)).sum().backward()
    assert not bottom[0].requires_grad
    assert all(p.grad is None for p in network.contracting.parameters())
    assert all(p.grad is not None for p in network.expanding.parameters())
    norms = [m for m in network.contracting.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training or norm.num_batches_tracked for norm in norms)


def test_from_scratch_everything_learns_whatever_the_mode() -> None:
    image = TrainingImage(*discs())
    frozen, said = trained(image, tiny_recipe(3, transfer="head"))
    assert any(isinstance(e, Warned) and "no base model" in e.sentence for e in said)
    assert frozen.info.recipe.training.transfer == "all"
    all_of_it, _ = trained(image, tiny_recipe(3))
    assert unchanged(frozen, all_of_it, "")


def test_a_new_head_forgets_classes_of_the_same_name(base) -> None:
    standing_still = {"learning_rate": 1e-12, "weight_decay": 0.0, "ema_decay": 0.0}
    image = TrainingImage(*discs())
    kept, _ = trained(image, tiny_recipe(1, **standing_still), base=base)
    anew, _ = trained(image, tiny_recipe(1, new_head=True, **standing_still), base=base)
    assert torch.allclose(kept.network.head.weight, base.network.head.weight, atol=1e-6)
    assert not torch.allclose(anew.network.head.weight, base.network.head.weight, atol=1e-3)
    only_background = np.where(image.codes == 2, 0, image.codes)
    only_background[0, :5] = 3
    sparse = TrainingImage(image.stack, only_background)
    with pytest.raises(UserError, match="'cell' has no pixel"):
        trained(sparse, tiny_recipe(1, new_head=True), (CELL, NUCLEUS), base=base)


def two_kinds(seed: int) -> tuple[Stack, np.ndarray]:
    """Return discs as before, and striped squares of a class that is new.

    Stripes of the greys that are there already: others would change the normalisation of the rest.
    """
    stack, codes = discs(1, (150, 150), seed=seed)
    pixels = np.asarray(stack.data).copy()
    rng = np.random.default_rng(seed)
    for _ in range(5):
        y, x = rng.integers(0, 130, 2)
        pixels[0, y : y + 18, x : x + 18] = np.where(np.arange(18) % 4 < 2, 40, 170)
        codes[0, y : y + 18, x : x + 18] = 3
    return Stack(pixels, stack.axes, stack.pixel_size_um), codes


def iou(model: Model, stack: Stack, codes: np.ndarray, code: int) -> float:
    found = codes_from_probabilities(predict_plane(model, stack, 0, device=FLOAT32)) == code
    true = codes[0] == code
    return float((found & true).sum() / (found | true).sum())


@pytest.mark.parametrize("mode", ["all", "expanding", "head"])
def test_a_class_is_added_and_the_old_one_is_not_lost_where_it_was_learned(base, mode) -> None:
    source = TrainingImage(*discs(1, (150, 150), seed=11))
    stack, codes = two_kinds(seed=12)
    recipe = tiny_recipe(60, batch=4, transfer=mode)
    model, events = trained(
        TrainingImage(stack, codes), recipe, (CELL, NUCLEUS), base=base, source=[source]
    )
    before = iou(base, source.stack, source.codes, 2)
    assert before > 0.75
    assert iou(model, source.stack, source.codes, 2) > before - 0.1
    if mode != "head":
        assert iou(model, *two_kinds(seed=13), 3) > 0.7
    (scored,) = [event for event in events if isinstance(event, SourceScored)]
    assert set(scored.before) == set(scored.after) == {"background", "cell"}
    assert scored.before["cell"] == pytest.approx(before, abs=0.03)
    assert scored.after["cell"] == pytest.approx(
        iou(model, source.stack, source.codes, 2), abs=0.03
    )
    assert model.info.history["source"] == {"before": scored.before, "after": scored.after}


@pytest.mark.parametrize("inverted", [False, True])
def test_a_class_by_another_name_begins_with_what_the_base_knows_of_it(base, inverted) -> None:
    """Only where the base answers what is painted: here, not where background is painted as it."""
    stack, codes = discs(2, (150, 150), seed=3)
    blob = LabelClass(name="blob", color="#56b4e9")
    image = with_blocks(stack, 3 - codes if inverted else codes)
    model, events = trained(image, tiny_recipe(1), (blob,), base=base)
    said = [e.sentence for e in events if isinstance(e, Warned)]
    assert any("what the base model calls cell" in sentence for sentence in said) is not inverted
    found = codes_from_probabilities(predict_plane(model, stack, 0))
    iou = ((found == 2) & (codes[0] == 2)).sum() / ((found == 2) | (codes[0] == 2)).sum()
    assert (iou > 0.8) is not inverted


@pytest.mark.parametrize(("mistaken", "is_known"), [(2, True), (12, False)])
def test_what_is_painted_where_the_base_is_wrong_is_still_its_class(base, mistaken, is_known):
    """So many times as much of the class is painted where the base sees background."""
    stack, truth = discs(1, (150, 150), seed=3)
    codes = truth.copy()
    codes[0, :, 60:] = np.where(truth[0, :, 60:] == 2, 0, truth[0, :, 60:])
    free = np.flatnonzero(codes.ravel() == 1)
    n_cell = int((codes == 2).sum())
    codes[codes == 2] = np.where(np.arange(n_cell) < len(free) // (mistaken + 1) // 2, 2, 0)
    n_right = int((codes == 2).sum())
    codes.ravel()[free[: mistaken * n_right]] = 2
    blob = LabelClass(name="blob", color="#56b4e9")
    _, events = trained(with_blocks(stack, codes), tiny_recipe(1), (blob,), base=base)
    said = [e.sentence for e in events if isinstance(e, Warned)]
    assert any("what the base model calls cell" in sentence for sentence in said) is is_known


def test_a_new_class_painted_alone_keeps_the_old_ones_that_it_does_not_touch(base) -> None:
    """Of the new image only the new class and background are painted."""
    stack, codes = two_kinds(seed=12)
    codes[codes == 2] = 0
    recipe = tiny_recipe(40, batch=4, transfer="expanding")
    model, _ = trained(TrainingImage(stack, codes), recipe, (CELL, NUCLEUS), base=base)
    source = discs(1, (150, 150), seed=11)
    assert iou(model, *source, 2) > iou(base, *source, 2) - 0.15


def test_a_model_that_forgets_its_source_says_so(base) -> None:
    stack, codes = discs(1, (150, 150), seed=3)
    inverted = Stack((255 - stack.data).astype(np.uint8), "ZYX")
    source = TrainingImage(*discs(1, (150, 150), seed=11))
    _, events = trained(
        TrainingImage(inverted, codes), tiny_recipe(60, batch=4), base=base, source=[source]
    )
    said = [event.sentence for event in events if isinstance(event, Warned)]
    assert any("keep the base model" in sentence for sentence in said)


def test_source_annotations_need_a_base() -> None:
    image = TrainingImage(*discs())
    with pytest.raises(UserError, match="base model"):
        Trainer([image], tiny_recipe(), (CELL,), source=[image])


@pytest.mark.parametrize("mode", ["all", "expanding"])
def test_the_guard_rejects_an_update_spoiled_by_shuffled_labels(base, mode) -> None:
    stack, codes = discs(2, (200, 200), seed=7)
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
    shuffled = np.random.default_rng(0).permuted(codes.reshape(2, -1), axis=1).reshape(codes.shape)
    for plane in range(2):
        inside = held_out_mask(blocks, plane, codes.shape[1:])
        shuffled[plane][inside] = codes[plane][inside]
    recipe = tiny_recipe(40, transfer=mode, learning_rate=0.01)
    model, events = trained(TrainingImage(stack, shuffled, blocks), recipe, base=base)
    assert unchanged(model, base, "")
    said = [event.sentence for event in events if isinstance(event, Warned)]
    assert any("the model from before stays" in sentence for sentence in said)
    scores = [event.mean_iou for event in events if isinstance(event, HeldOutScored)]
    assert scores[0] == scores[-1] > 0.7
    assert min(scores) < 0.6


@pytest.mark.parametrize("new", ["a class", "a place"])
def test_the_guard_is_no_judge_of_what_the_base_does_not_know_or_what_is_not_held_out(
    base, new
) -> None:
    """Elsewhere the reverse of what the base knows is painted: it is best on what is held out."""
    stack, codes = two_kinds(seed=12) if new == "a class" else discs(1, (150, 150), seed=3)
    classes = (CELL, NUCLEUS) if new == "a class" else (CELL,)
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
    inside = held_out_mask(blocks, 0, codes.shape[1:])
    if new == "a class":
        assert (codes[0][inside] == 3).any()
    else:
        codes[0][inside & (codes[0] == 1)] = 0
    codes[0][~inside] = np.array([0, 2, 1, 3], np.uint8)[codes[0][~inside]]
    recipe = tiny_recipe(40, batch=4, transfer="expanding")
    model, events = trained(TrainingImage(stack, codes, blocks), recipe, classes, base=base)
    assert any(isinstance(event, HeldOutScored) for event in events)
    assert not any("from before stays" in e.sentence for e in events if isinstance(e, Warned))
    assert not unchanged(model, base, "expanding")


# ----------------------------------------------------------------------------- unlabelled slices


def test_a_spoiled_patch_has_noise_and_squares_left_out() -> None:
    clean = torch.rand(8, 1, 96, 96) + 1
    noisy = spoiled(clean, torch.Generator().manual_seed(0))
    mean = clean.mean(dim=(2, 3), keepdim=True)
    masked = (noisy == mean).float()
    assert masked.mean().item() == pytest.approx(MASKED_SHARE, abs=0.05)
    squares = torch.nn.functional.avg_pool2d(masked, MASKED_PX)
    assert set(squares.unique().tolist()) == {0.0, 1.0}
    rest = (noisy - clean)[masked == 0]
    assert 0.01 < rest.std().item() < 0.15
    assert rest.mean().item() == pytest.approx(0, abs=0.01)


def test_pretraining_takes_its_share_of_the_steps_and_the_head_is_that_of_before() -> None:
    image = with_blocks(*discs(2, (150, 150)))
    still = {"learning_rate": 1e-12, "weight_decay": 0.0, "ema_decay": 0.0}
    model, events = trained(image, tiny_recipe(20, pretrain=0.5, **still))
    assert model.info.history["pretraining_steps"] == 10
    assert model.info.history["steps"] == 10
    assert any(isinstance(event, Progress) for event in events)
    without, _ = trained(image, tiny_recipe(1, **still))
    assert torch.allclose(model.network.head.weight, without.network.head.weight, atol=1e-6)


def test_steps_too_few_to_share_are_all_spent_on_annotations() -> None:
    image = TrainingImage(*discs(1, (64, 64)))
    model, _ = trained(image, tiny_recipe(3, pretrain=0.1))
    assert model.info.history["steps"] == 3
    assert not model.info.history.get("pretraining_steps")


def test_pretraining_learns_from_slices_without_annotations() -> None:
    stack, codes = discs(2, (150, 150))
    pixels = np.asarray(stack.data).copy()
    codes[1] = 0
    one = TrainingImage(Stack(pixels, "ZYX"), codes)
    pixels = pixels.copy()
    pixels[1] = pixels[1].T
    other = TrainingImage(Stack(pixels, "ZYX"), codes)
    recipe = tiny_recipe(8, pretrain=0.5)
    assert unchanged(trained(one, recipe)[0], trained(one, recipe)[0], "")
    assert not unchanged(trained(one, recipe)[0], trained(other, recipe)[0], "")


def test_pretraining_restores_patches_better_than_it_did(monkeypatch) -> None:
    from napari_unetseg.learning.pretraining import DenoisingStepper

    step, losses = DenoisingStepper.step, []

    def noted(self, *batch):
        losses.append(step(self, *batch))
        return losses[-1]

    monkeypatch.setattr(DenoisingStepper, "step", noted)
    trained(TrainingImage(*discs(2, (150, 150))), tiny_recipe(50, pretrain=0.8))
    assert len(losses) == 40
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_pretraining_learns_from_patches_no_larger_than_the_images(monkeypatch) -> None:
    """17 × 23 px, up to the next multiple of 4 that two poolings divide."""
    from napari_unetseg.learning.pretraining import DenoisingStepper

    step, shapes = DenoisingStepper.step, set()

    def noted(self, pixels, *batch):
        shapes.add(tuple(pixels.shape))
        return step(self, pixels, *batch)

    monkeypatch.setattr(DenoisingStepper, "step", noted)
    model, _ = trained(TrainingImage(*discs(1, (17, 23))), tiny_recipe(4, pretrain=0.5))
    assert shapes == {(2, 1, 24, 24)}
    assert model.info.history["pretraining_steps"] == 2


def test_pretraining_can_be_stopped_and_is_left_out_with_a_base(base) -> None:
    image = TrainingImage(*discs())
    trainer = Trainer([image], tiny_recipe(100_000, pretrain=0.9), (CELL,), device=FLOAT32)
    events = trainer.run()
    next(event for event in events if isinstance(event, Progress))
    trainer.stop()
    assert not any(isinstance(event, TrainingStep) for event in events)
    model, told = trained(image, tiny_recipe(4, pretrain=0.5), base=base)
    assert model.info.history["pretraining_steps"] == 0
    assert any(isinstance(e, Warned) and "has seen images already" in e.sentence for e in told)


# -------------------------------------------------------------------------------------- scale


@pytest.mark.parametrize(
    ("size_um", "reduction", "sentence"),
    [
        (0.05, 2, "base model 'model' knows 0.1 µm, so images are reduced 2 times"),
        (0.1, 1, None),
        (0.3, 1, "may know less of these images"),
        (None, 1, None),
    ],
)
def test_a_base_sees_images_at_the_scale_it_knows(base, size_um, reduction, sentence) -> None:
    stack, codes = discs(1, (150, 150), seed=5)
    pixels, codes = (np.repeat(np.repeat(a, 2, 1), 2, 2) for a in (np.asarray(stack.data), codes))
    sizes = {} if size_um is None else {"Y": size_um, "X": size_um}
    image = with_blocks(Stack(pixels, "ZYX", sizes), codes)
    model, events = trained(image, tiny_recipe(1), base=base)
    assert model.info.recipe.network.reduction == reduction
    warned = [event.sentence for event in events if isinstance(event, Warned)]
    assert any(sentence in said for said in warned) if sentence else not warned
    first = next(event for event in events if isinstance(event, HeldOutScored))
    if reduction == 2:
        assert first.mean_iou > 0.85
