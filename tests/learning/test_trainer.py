from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg import UserError, train
from napari_unetseg.annotations import assign_blocks, held_out_mask, new_blocks
from napari_unetseg.config import LabelClass, Recipe, UNetConfig
from napari_unetseg.events import (
    HeldOutScored,
    Preparing,
    TrainingStarted,
    TrainingStep,
    Warned,
    event_from_fields,
    event_to_fields,
)
from napari_unetseg.images import Stack
from napari_unetseg.learning import (
    Trainer,
    TrainingImage,
    codes_from_probabilities,
    predict_plane,
)

NUCLEUS = LabelClass(name="nucleus", color="#56b4e9")


def with_blocks(stack: Stack, codes: np.ndarray) -> TrainingImage:
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
    return TrainingImage(stack, codes, blocks)


def trained(image: TrainingImage, recipe: Recipe, **options):
    trainer = Trainer([image], recipe, (CELL,), device=FLOAT32, **options)
    events = list(trainer.run())
    return trainer.current_model(), events


def weights(model) -> list[torch.Tensor]:
    return list(model.network.state_dict().values())


def test_it_learns_discs_and_says_so_on_pixels_it_never_learned_from() -> None:
    image = with_blocks(*discs(2, (200, 200)))
    model, events = trained(image, tiny_recipe(60, batch=4))
    assert isinstance(events[0], Preparing)
    assert isinstance(events[1], TrainingStarted)
    assert events[1].n_labelled_px + events[1].n_held_out_px == image.codes.size
    scores = [event for event in events if isinstance(event, HeldOutScored)]
    assert scores[-1].mean_iou > 0.85
    assert set(scores[-1].iou) == {"background", "cell"}
    assert model.info.scores["mean_iou"] == scores[-1].mean_iou
    stack, truth = discs(1, (200, 200), seed=5)
    found = codes_from_probabilities(predict_plane(model, stack, 0, device=FLOAT32))
    assert (found == truth[0]).mean() > 0.95


def test_events_are_made_of_builtins() -> None:
    _, events = trained(with_blocks(*discs(1, (200, 200))), tiny_recipe(3))
    for event in events:
        assert event_from_fields(json.loads(json.dumps(event_to_fields(event)))) == event
    steps = [event for event in events if isinstance(event, TrainingStep)]
    assert 0 < steps[0].fraction <= 1


def test_the_same_seed_gives_the_same_network_and_another_seed_another() -> None:
    image = with_blocks(*discs(1, (150, 150)))
    first, _ = trained(image, tiny_recipe(5, seed=3))
    again, _ = trained(image, tiny_recipe(5, seed=3))
    other, _ = trained(image, tiny_recipe(5, seed=4))
    assert all(map(torch.equal, weights(first), weights(again)))
    assert not all(map(torch.equal, weights(first), weights(other)))


def test_dropout_is_seeded_too() -> None:
    image = TrainingImage(*discs(1))
    recipe = tiny_recipe(3).replace(network={"depth": 1, "filters": 4, "dropout": 0.5})
    assert all(
        map(
            torch.equal,
            weights(trained(image, recipe)[0]),
            weights(trained(image, recipe)[0]),
        )
    )


def test_training_leaves_the_users_random_numbers_alone() -> None:
    recipe = tiny_recipe(2).replace(network={"depth": 1, "filters": 4, "dropout": 0.5})
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    trained(TrainingImage(*discs(1)), recipe)
    assert torch.equal(torch.rand(3), expected)


def test_a_time_budget_counts_from_before_the_start_to_after_saving(tmp_path) -> None:
    began = time.time()
    trainer = Trainer(
        [with_blocks(*discs(2, (200, 200)))],
        tiny_recipe(None, max_time_s=7.0),
        (CELL,),
        device=FLOAT32,
        started_at=began - 4.0,
    )
    events = list(trainer.run())
    trainer.current_model().save(tmp_path / "m.unet")
    # 3 s are left; counted from the start of training it would take 7.
    assert time.time() - began < 6
    left = [e.seconds_left for e in events if isinstance(e, TrainingStep) and e.seconds_left]
    assert left[-1] < left[0]


def test_a_budget_that_is_over_before_training_begins_still_gives_a_model() -> None:
    model, _ = trained(
        TrainingImage(*discs(1)),
        tiny_recipe(None, max_time_s=1.0),
        started_at=time.time() - 60,
    )
    assert model.info.history["steps"] == 1


def test_stopping_keeps_what_was_learned() -> None:
    trainer = Trainer([TrainingImage(*discs())], tiny_recipe(10_000), (CELL,), device=FLOAT32)
    for event in trainer.run():
        if isinstance(event, TrainingStep):
            trainer.stop()
    assert 1 <= trainer.current_model().info.history["steps"] < 10_000


def test_cancelling_leaves_nothing_behind(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = Trainer([TrainingImage(*discs())], tiny_recipe(10_000), (CELL,), device=FLOAT32)
    events = trainer.run()
    for event in events:
        if isinstance(event, TrainingStep):
            break
    events.close()
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_there_as_soon_as_training_has_begun() -> None:
    trainer = Trainer([TrainingImage(*discs())], tiny_recipe(3), (CELL,), device=FLOAT32)
    with pytest.raises(RuntimeError, match="not begun"):
        trainer.current_model()
    for event in trainer.run():
        if isinstance(event, TrainingStarted):
            early = trainer.current_model()
    assert early.info.history["steps"] == 0
    assert not all(map(torch.equal, weights(early), weights(trainer.current_model())))


def test_the_network_is_usable_after_a_few_steps_of_a_long_run(monkeypatch) -> None:
    monkeypatch.setattr("napari_unetseg.learning.run.REPORT_EVERY_S", 0)
    stack, codes = discs(1)
    trainer = Trainer([TrainingImage(stack, codes)], tiny_recipe(200), (CELL,), device=FLOAT32)
    run = trainer.run()
    next(event for event in run if isinstance(event, TrainingStep) and event.step == 15)
    probabilities = predict_plane(trainer.current_model(), stack, 0, device=FLOAT32)
    run.close()
    found, true = codes_from_probabilities(probabilities) == 2, codes[0] == 2
    assert (found & true).sum() / (found | true).sum() > 0.65


def test_one_stroke_on_one_slice_trains() -> None:
    stack, codes = discs(3, (120, 120))
    sparse = np.zeros_like(codes)
    sparse[1, 40:45, 10:110] = codes[1, 40:45, 10:110]
    model, events = trained(with_blocks(stack, sparse), tiny_recipe(5))
    assert predict_plane(model, stack, 2, device=FLOAT32).shape == (2, 120, 120)
    assert not any(isinstance(event, HeldOutScored) for event in events)
    assert model.info.scores == {}


@pytest.mark.parametrize(
    ("shape", "n_channels", "dtype"),
    [((17, 23), 1, np.uint8), ((60, 70), 3, np.uint16), ((40, 200), 2, np.float32)],
)
def test_any_size_and_type_and_number_of_channels_trains(shape, n_channels, dtype) -> None:
    stack, codes = discs(1, shape, n_channels)
    if len(np.unique(codes)) == 1:
        codes[0, :4] = 3 - codes[0, 0, 0]
    stack = Stack(stack.data.astype(dtype), stack.axes, channels=stack.channels)
    model, _ = trained(TrainingImage(stack, codes), tiny_recipe(2))
    assert len(model.info.channels) == n_channels
    assert predict_plane(model, stack, 0, device=FLOAT32).shape == (2, *shape)


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        (np.zeros((1, 64, 64), np.uint8), "no label"),
        (np.ones((1, 64, 64), np.uint8), "only background"),
        (np.full((1, 64, 64), 2, np.uint8), "only class 1"),
    ],
)
def test_labels_with_nothing_to_tell_apart_are_refused(codes, sentence) -> None:
    stack, _ = discs(1, (64, 64))
    with pytest.raises(UserError, match=sentence):
        trained(TrainingImage(stack, codes), tiny_recipe(2))


def test_a_failed_step_is_undone_and_training_goes_on(monkeypatch) -> None:
    from napari_unetseg.learning import stepper

    calls = []

    def sometimes_nan(*arguments):
        calls.append(1)
        factor = math.nan if len(calls) in (3, 6) else 1.0
        return loss(*arguments) * factor

    loss = stepper.segmentation_loss
    monkeypatch.setattr(stepper, "segmentation_loss", sometimes_nan)
    model, events = trained(TrainingImage(*discs()), tiny_recipe(8))
    assert sum(isinstance(event, Warned) for event in events) == 2
    assert model.info.history["steps"] == 8
    assert all(tensor.isfinite().all() for tensor in weights(model))


def test_training_that_never_succeeds_ends_with_a_sentence(monkeypatch) -> None:
    monkeypatch.setattr(
        "napari_unetseg.learning.stepper.segmentation_loss",
        lambda logits, *_: logits.sum() * math.nan,
    )
    with pytest.raises(UserError, match="not finite"):
        trained(TrainingImage(*discs()), tiny_recipe(8))


def test_hot_pixels_neither_spoil_a_model_nor_stop_training() -> None:
    stack, codes = discs(1)
    pixels = np.asarray(stack.plane(0)[0]).astype(np.float32)
    pixels[10, 10], pixels[50, 60] = 3e38, -3e38
    hot = Stack(pixels, "YX")
    trainer = Trainer([TrainingImage(hot, codes)], tiny_recipe(6), (CELL,), device=FLOAT32)
    events = list(trainer.run())
    assert not any(isinstance(event, Warned) for event in events)
    weights = trainer.current_model().network.state_dict().values()
    assert all(bool(w.isfinite().all()) for w in weights)


def test_a_network_of_numbers_that_are_none_is_never_kept(monkeypatch) -> None:
    def spoil(network, batches) -> None:
        next(m for m in network.modules() if hasattr(m, "running_mean")).running_mean.fill_(np.nan)

    monkeypatch.setattr("napari_unetseg.learning.run.measure_batch_statistics", spoil)
    stack, codes = discs(1)
    trainer = Trainer([TrainingImage(stack, codes)], tiny_recipe(3), (CELL,), device=FLOAT32)
    with pytest.raises(UserError, match="not finite"):
        list(trainer.run())


@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
def test_the_deepest_network_trains_on_the_smallest_patches(norm) -> None:
    stack, codes = discs(1, (17, 23))
    recipe = tiny_recipe(2, patch_px=32, batch=1)
    recipe = recipe.replace(network=UNetConfig(depth=6, filters=4, norm=norm).model_dump())
    trainer = Trainer([TrainingImage(stack, codes)], recipe, (CELL,), device=FLOAT32)
    list(trainer.run())
    assert trainer.current_model().info.history["steps"] == 2


def test_a_collapse_at_the_end_does_not_replace_a_better_network(monkeypatch) -> None:
    from napari_unetseg.learning.stepper import Stepper

    step = Stepper.step

    def spoiled_late(self, *args):
        result = step(self, *args)
        if self._steps > 55:
            for parameter in self.average.network.parameters():
                parameter.zero_()
        return result

    monkeypatch.setattr(Stepper, "step", spoiled_late)
    _, events = trained(with_blocks(*discs(2, (200, 200))), tiny_recipe(60, batch=4))
    scores = [event for event in events if isinstance(event, HeldOutScored)]
    assert scores[-2].mean_iou < 0.6
    assert scores[-1].mean_iou > 0.8


def test_a_base_is_where_training_starts() -> None:
    image = TrainingImage(*discs())
    base, _ = trained(image, tiny_recipe(3))
    recipe = tiny_recipe(1, learning_rate=1e-12, weight_decay=0.0, ema_decay=0.0)
    tuned, _ = trained(image, recipe, base=base)
    for own, other in zip(tuned.network.parameters(), base.network.parameters(), strict=True):
        assert torch.allclose(own, other, atol=1e-6)
    assert tuned.info.history["base"] == "model"


def test_the_model_from_before_is_scored_first_and_stays_when_training_spoils_it() -> None:
    stack, codes = discs(3)
    blocks = new_blocks(codes.shape)
    blocks[...] = 1
    blocks[0, 0, 0] = 2
    image = TrainingImage(stack, codes, blocks)
    base, _ = trained(image, tiny_recipe(40))
    swapped = np.where(codes > 0, 3 - codes, codes).astype(np.uint8)
    inside = held_out_mask(blocks, 0, codes.shape[1:])
    swapped[0][inside] = codes[0][inside]
    spoiled = TrainingImage(stack, swapped, blocks)
    model, events = trained(spoiled, tiny_recipe(40, distillation=0.0), base=base)
    scores = [event for event in events if isinstance(event, HeldOutScored)]
    assert scores[0].step == 0
    assert scores[0].mean_iou > 0.6
    assert any(isinstance(e, Warned) and "model from before stays" in e.sentence for e in events)
    for own, other in zip(model.network.parameters(), base.network.parameters(), strict=True):
        assert torch.equal(own, other)


def test_a_base_gives_its_classes_by_name_to_a_model_with_others() -> None:
    stack, codes = discs(1)
    base, _ = trained(TrainingImage(stack, codes), tiny_recipe(3))
    codes = codes.copy()
    codes[0, :20] = np.where(codes[0, :20] == 2, 3, codes[0, :20])
    trainer = Trainer(
        [TrainingImage(stack, np.where(codes == 2, 3, np.where(codes == 3, 2, codes)))],
        tiny_recipe(1, learning_rate=1e-12, weight_decay=0.0, ema_decay=0.0),
        (NUCLEUS, CELL),
        base=base,
        device=FLOAT32,
    )
    list(trainer.run())
    head = trainer.current_model().network.head.weight
    assert head.shape[0] == 3
    assert torch.allclose(head[[0, 2]], base.network.head.weight, atol=1e-6)
    assert not torch.allclose(head[1], base.network.head.weight[1], atol=1e-3)


def test_a_base_for_other_channels_is_refused_and_its_network_wins() -> None:
    base, _ = trained(TrainingImage(*discs()), tiny_recipe(1))
    with pytest.raises(UserError, match="channel"):
        Trainer([TrainingImage(*discs(n_channels=2))], tiny_recipe(1), (CELL,), base=base)
    wider = tiny_recipe(1).replace(network=UNetConfig(filters=32).model_dump())
    model, events = trained(TrainingImage(*discs()), wider, base=base)
    assert any(isinstance(event, Warned) for event in events)
    assert model.info.recipe.network == base.info.recipe.network


def test_the_verb_trains_from_files_and_from_memory(tmp_path) -> None:
    from napari_unetseg.images import write_image, write_labels

    stack, codes = discs(2)
    write_image(tmp_path / "a.tif", stack)
    write_labels(tmp_path / "b.tif", codes, like=stack, kind="masks", classes=(CELL,))
    model = train(
        tmp_path / "a.tif",
        tmp_path / "b.tif",
        labels_kind="masks",
        slices="1",
        recipe=tiny_recipe(2),
        device="cpu",
    )
    assert model.info.classes == (CELL,)
    assert model.info.history["n_slices"] == 1
    again = train([TrainingImage(stack, codes)], recipe=tiny_recipe(2), classes=[CELL])
    assert again.info.history["n_slices"] == 2
    with pytest.raises(UserError, match="classes"):
        train([TrainingImage(stack, codes)], recipe=tiny_recipe(2))
