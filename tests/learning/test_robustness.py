"""Whatever is annotated, whatever the image, whatever fails: it trains, predicts and tells."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg import UserError, hardware, predict, train
from napari_unetseg.annotations import new_blocks
from napari_unetseg.config import UNet2015Config, UNetConfig
from napari_unetseg.events import HeldOutScored, TrainingStep, Warned
from napari_unetseg.images import Stack
from napari_unetseg.learning import Trainer, TrainingImage, memory
from napari_unetseg.learning.batches import Batches
from napari_unetseg.learning.memory import fitting_patches, free_bytes, smaller, step_memory
from napari_unetseg.learning.patches import Patches, n_pixels
from napari_unetseg.learning.stepper import Stepper
from napari_unetseg.learning.transfer import freeze
from napari_unetseg.networks import build_network


def trained(stack: Stack, codes: np.ndarray, recipe=None):
    trainer = Trainer(
        [TrainingImage(stack, codes)], recipe or tiny_recipe(2), (CELL,), device=FLOAT32
    )
    return trainer, list(trainer.run())


def striped(stack: Stack) -> np.ndarray:
    """Return codes with both classes in every slice, however small."""
    codes = np.ones((stack.n_planes, *stack.plane_shape), np.uint8)
    codes[:, : stack.plane_shape[0] // 2] = 2
    return codes


def noise(shape: tuple[int, ...], dtype: type, axes: str) -> Stack:
    values = np.random.default_rng(0).uniform(0, 1, shape)
    if np.issubdtype(dtype, np.integer):
        values *= np.iinfo(dtype).max
    channels = ("",) * (shape[0] if axes[0] == "C" else 1)
    return Stack(values.astype(dtype), axes, channels=channels)


@pytest.mark.parametrize(
    "stack",
    [
        noise((17, 23), np.uint8, "YX"),
        noise((1, 48, 48), np.uint8, "ZYX"),
        noise((3, 2, 40, 48), np.uint8, "CZYX"),
        noise((48, 48), np.uint16, "YX"),
        noise((2, 48, 48), np.float32, "ZYX"),
        noise((48, 48), np.float64, "YX"),
        noise((48, 48), np.int16, "YX"),
    ],
    ids=["17 x 23", "one slice", "three channels", "uint16", "float32", "float64", "int16"],
)
def test_every_kind_of_image_is_trained_on_and_predicted(stack: Stack) -> None:
    trainer, _ = trained(stack, striped(stack))
    masks = predict(stack, trainer.current_model(), device="cpu")
    assert masks.shape == stack.labels_shape
    assert set(np.unique(masks)) <= {0, 1}


def test_one_pixel_of_a_class_is_enough_to_train() -> None:
    stack, _ = discs(1)
    codes = np.zeros((1, 96, 96), np.uint8)
    codes[0, 10:20, 10:90] = 1
    codes[0, 50, 50] = 2
    trainer, events = trained(stack, codes, tiny_recipe(4))
    assert trainer.current_model().info.history["steps"] == 4
    assert not any(isinstance(event, Warned) for event in events)
    assert predict(stack, trainer.current_model(), device="cpu").shape == (1, 96, 96)


def test_empty_annotations_are_refused_in_one_sentence() -> None:
    stack, codes = discs(1)
    with pytest.raises(UserError, match="hold no label; paint"):
        trained(stack, np.zeros_like(codes))


def test_no_images_and_classes_named_alike_are_refused_in_one_sentence() -> None:
    with pytest.raises(UserError, match="nothing to learn from"):
        train([], [])
    stack = noise((1, 32, 32), np.uint8, "ZYX")
    with pytest.raises(UserError, match=f"named {CELL.name!r}"):
        train([TrainingImage(stack, striped(stack))], classes=[CELL, CELL])


# ------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
    ],
    ids=["cpu", "cuda", "python"],
)
def test_out_of_memory_makes_steps_smaller_until_they_fit(monkeypatch, error) -> None:
    step, seen = Stepper.step, []

    def limited(self, pixels, codes, rate, border=None):
        seen.append(tuple(pixels.shape[::2]))
        if pixels.numel() > 1 * 32 * 32:
            raise error
        return step(self, pixels, codes, rate, border)

    monkeypatch.setattr(Stepper, "step", limited)
    stack, codes = discs(1)
    trainer, events = trained(stack, codes, tiny_recipe(3, batch=4, patch_px=64))
    assert seen == [(4, 64), (2, 64), (1, 64), (1, 32), (1, 32), (1, 32)]
    said = [event.sentence for event in events if isinstance(event, Warned)]
    assert len(said) == 3
    assert "1 patch of 32 px in each step instead of 1 of 64 px" in said[-1]
    info = trainer.current_model().info
    assert (info.history["steps"], info.history["batch"], info.history["patch_px"]) == (3, 1, 32)


def test_memory_that_runs_out_while_patches_are_drawn_makes_them_smaller(monkeypatch) -> None:
    draw = Batches.draw

    def limited(self, augmentation):
        if self.patches.patch_px > 32:
            raise MemoryError
        return draw(self, augmentation)

    monkeypatch.setattr(Batches, "draw", limited)
    stack, codes = discs(1)
    trainer, _ = trained(stack, codes, tiny_recipe(3, batch=1, patch_px=64))
    assert trainer.current_model().info.history["patch_px"] == 32


def test_looking_at_unlabelled_slices_makes_do_with_little_memory_too(monkeypatch) -> None:
    from napari_unetseg.learning.pretraining import DenoisingStepper

    step, seen = DenoisingStepper.step, []

    def limited(self, pixels, codes, rate, border=None):
        seen.append(tuple(pixels.shape[::2]))
        if len(seen) == 1:
            raise MemoryError
        return step(self, pixels, codes, rate, border)

    monkeypatch.setattr(DenoisingStepper, "step", limited)
    _, events = trained(*discs(1), tiny_recipe(4, pretrain=0.5, batch=4))
    assert seen == [(4, 48), (2, 48), (2, 48)]
    assert sum(isinstance(event, Warned) for event in events) == 1


def test_memory_that_is_not_enough_for_any_step_is_said_in_one_sentence(monkeypatch) -> None:
    def never(self, pixels, codes, rate, border=None):
        raise RuntimeError("not enough memory")

    monkeypatch.setattr(Stepper, "step", never)
    with pytest.raises(UserError, match="not enough memory for even the smallest"):
        trained(*discs(1))


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch) -> None:
    def broken(self, pixels, codes, rate, border=None):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Stepper, "step", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        trained(*discs(1))


def test_little_free_memory_is_seen_before_the_first_step(monkeypatch) -> None:
    network = build_network(tiny_recipe().network, 1, 2)
    fits = step_memory(network.train(), 1, FLOAT32).bytes(4 * 48**2)
    monkeypatch.setattr(memory, "free_bytes", lambda _: int(1.1 * fits / memory.MOST_OF_FREE))
    trainer, events = trained(*discs(1), tiny_recipe(2, batch=16, patch_px=48))
    said = [event.sentence for event in events if isinstance(event, Warned)]
    assert len(said) == 1
    assert "4 patches of 48 px in each step instead of 16 of 48 px" in said[0]
    assert trainer.current_model().info.history["batch"] == 4


def test_the_estimate_is_about_that_of_the_maps_kept_for_the_gradients() -> None:
    """Counted by hand for one block: inputs and outputs of two normalised convolutions."""
    network = build_network(UNetConfig(depth=1, filters=4), 1, 2)
    pixels = 2 * 64 * 64
    # Level 0: image; then twice (convolved, rectified in the place of normalised) of 4 channels.
    top = pixels * (1 + 2 * 2 * 4)
    bottom = pixels / 4 * (4 + 2 * 2 * 8)  # pooled, then the same of 8 channels
    pooling = pixels / 4 * 4 * 2  # int64 positions of the maxima
    expanding = pixels * (8 + 2 * 2 * 4)  # joined maps, then twice 4 channels
    weights = 4 * sum(t.numel() for t in network.state_dict().values())
    estimate = step_memory(network, 1, FLOAT32).bytes(pixels)
    maps = (estimate - memory.COPIES_OF_WEIGHTS * weights - 4 * pixels * 2 * 4) / memory.PEAK / 4
    assert maps == pytest.approx(top + bottom + pooling + expanding, rel=0.1)


def test_what_the_unpadded_network_mirrors_is_counted_with_each_patch() -> None:
    network = build_network(UNet2015Config(filters=4), 1, 2)
    patches, kept = Patches(384, 1), {}

    def count(saved: torch.Tensor) -> torch.Tensor:
        kept[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
        logits = network(torch.zeros(1, 1, 384, 384))
    for weight in network.parameters():
        kept.pop(weight.untyped_storage().data_ptr(), None)
    need = step_memory(network, 1, FLOAT32)
    maps = need.bytes(n_pixels(patches, network)) - need.fixed
    assert maps == pytest.approx(memory.PEAK * sum(kept.values()) + 16 * logits.numel(), rel=0.2)


def test_a_frozen_part_needs_less_and_counting_changes_nothing() -> None:
    network = build_network(tiny_recipe().network, 1, 2)
    before = copy.deepcopy(network.state_dict())
    whole = step_memory(network, 1, FLOAT32)
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    freeze(network, "expanding")
    assert step_memory(network, 1, FLOAT32).per_px < 0.8 * whole.per_px
    freeze(network, "head")
    assert step_memory(network, 1, FLOAT32).per_px < 0.3 * whole.per_px


def test_patches_are_kept_where_there_is_room_and_no_smaller_than_possible() -> None:
    network = build_network(tiny_recipe().network, 1, 2)
    wanted = Patches(64, 8)
    assert fitting_patches(network, 1, wanted, FLOAT32, free=1 << 40) == wanted
    assert fitting_patches(network, 1, wanted, FLOAT32, free=0) == Patches(32, 1)
    assert smaller(Patches(96, 1), build_network(UNetConfig(depth=5, filters=4), 1, 2)) is None
    assert free_bytes(FLOAT32) > 0


def test_the_limit_of_a_container_counts(tmp_path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 100\n")
    assert hardware._left_in_cgroup(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert hardware._left_in_cgroup(tmp_path) is None


# --------------------------------------------------------------------------- numbers that are none


def test_a_failed_step_gives_back_weights_average_and_what_the_optimisers_remember(
    monkeypatch,
) -> None:
    monkeypatch.setattr("napari_unetseg.learning.stepper.KEEP_EVERY", 3)
    network = build_network(tiny_recipe().network, 1, 2).train()
    network.initialise(torch.Generator().manual_seed(0))
    stepper = Stepper(network, tiny_recipe().training, FLOAT32)
    pixels, codes = torch.rand(2, 1, 32, 32), torch.randint(1, 3, (2, 32, 32)).to(torch.uint8)
    for _ in range(3):
        stepper.step(pixels, codes, 1e-3)
    good = stepper.tensors()
    stepper.step(pixels, codes, 1e-3)
    assert not np.isfinite(stepper.step(pixels * torch.nan, codes, 1e-3))
    found = stepper.tensors()
    assert found.keys() == good.keys()
    assert all(torch.equal(found[name], good[name]) for name in good)
    assert any(name.startswith("optimiser/") for name in good)
    stepper.step(pixels, codes, 1e-3)
    rates = {
        group["lr"] / group["relative_rate"]
        for optimiser in stepper._optimisers
        for group in optimiser.param_groups
    }
    assert rates == {0.5e-3}
    assert all(bool(p.isfinite().all()) for p in network.parameters())


# --------------------------------------------------------------------------------------- the end


def test_training_ends_early_where_scores_no_longer_rise(monkeypatch) -> None:
    stack, codes = discs(2, (200, 200))
    blocks = new_blocks(codes.shape)
    blocks[...] = 1
    blocks[0, 0, 0] = 2
    image = TrainingImage(stack, codes, blocks)
    recipe = tiny_recipe(100, learning_rate=1e-12, weight_decay=0.0, early_stop=0.2)
    monkeypatch.setattr(
        "napari_unetseg.learning.scoring.HeldOutScorer.score",
        lambda *_: {"background": 0.5, "cell": 0.5},
    )
    trainer = Trainer([image], recipe, (CELL,), device=FLOAT32)
    events = list(trainer.run())
    steps = trainer.current_model().info.history["steps"]
    assert 25 <= steps <= 30  # best at 5 % already, scored every 5 %
    assert any(isinstance(e, Warned) and "ended early" in e.sentence for e in events)
    assert isinstance(events[-1], HeldOutScored)
    never = Trainer([image], recipe.replace(training=tiny_recipe(30).training), (CELL,))
    assert [e for e in never.run() if isinstance(e, TrainingStep)]
    assert never.current_model().info.history["steps"] == 30
