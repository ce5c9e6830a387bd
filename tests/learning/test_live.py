"""Training that follows a person: what is painted meanwhile counts from the next step on."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.config import NormalisationConfig
from napari_unetseg.events import AnnotationsTaken, HeldOutScored, Rested, TrainingStep
from napari_unetseg.learning import TrainingImage, live_trainer
from napari_unetseg.learning.data import RegionReader
from napari_unetseg.learning.live_regions import Change, LiveRegions
from napari_unetseg.learning.live_trainer import LiveTrainer
from napari_unetseg.learning.patch_sampler import NEW_FOR_STEPS, PatchSampler
from napari_unetseg.learning.schedule import Budget


class Painter:
    """A stack that is painted on while a network learns from it."""

    def __init__(self, n_planes: int = 3, shape: tuple[int, int] = (96, 96)) -> None:
        self.stack, self.truth = discs(n_planes, shape)
        self.codes = np.zeros_like(self.truth)
        self.blocks = new_blocks(self.codes.shape)
        self.image = TrainingImage(self.stack, self.codes, self.blocks)
        self.waiting: deque[Change] = deque()
        self.paint(0, 0, 0, shape[0] // 2, shape[1])

    def paint(self, plane, top, left, bottom, right, code=None) -> None:
        part = plane, slice(top, bottom), slice(left, right)
        self.codes[part] = self.truth[part] if code is None else code
        assign_blocks(self.codes, self.blocks, self.stack, [plane])
        self.waiting.append(Change(0, plane, (top, left, bottom, right)))

    def changes(self) -> list[Change]:
        taken = list(self.waiting)
        self.waiting.clear()
        return taken

    def trainer(self, **training) -> LiveTrainer:
        return LiveTrainer(
            [self.image], tiny_recipe(**training), (CELL,), self.changes, device=FLOAT32
        )

    def continued(self, first: LiveTrainer, events) -> LiveTrainer:
        """End a training; return one that goes on from its model."""
        first.stop()
        list(events)
        base = first.current_model()
        return LiveTrainer(
            [self.image], base.info.recipe, (CELL,), self.changes, base=base, device=FLOAT32
        )


def until(events, kind, most=2000):
    """Return the next event of a kind, and all on the way to it."""
    seen = []
    for _ in range(most):
        seen.append(next(events))
        if isinstance(seen[-1], kind):
            return seen[-1], seen
    raise AssertionError(f"no {kind.__name__} among {most} events")


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(live_trainer, "STEPS", 6)


def reader_of(image, margin=(48, 48), neighbours=0):
    return RegionReader([image], NormalisationConfig(), margin, neighbours, unlabelled=True)


@pytest.mark.parametrize(("margin", "neighbours"), [((48, 48), 0), ((48, 48), 1), ((2, 48, 48), 0)])
def test_regions_that_are_changed_are_those_that_would_be_read_anew(margin, neighbours):
    painter, rng = Painter(5, (200, 170)), np.random.default_rng(1)
    live = LiveRegions(reader_of(painter.image, margin, neighbours), 1, 1)
    for _ in range(25):
        plane = int(rng.integers(5))
        top, left = int(rng.integers(180)), int(rng.integers(150))
        code = rng.choice([None, 0])
        painter.paint(plane, top, left, top + int(rng.integers(1, 30)), left + 15, code)
        live.take(painter.changes())
        anew = list(reader_of(painter.image, margin, neighbours).read_all())
        assert len(live.regions) == len(anew)
        for ours, theirs in zip(live.regions, anew, strict=True):
            assert ours.corner == theirs.corner
            for name in ("pixels", "targets", "held_out"):
                assert torch.equal(getattr(ours, name), getattr(theirs, name))
            assert torch.equal(ours.maps["unlabelled"], theirs.maps["unlabelled"])
        assert live.painted.px == np.count_nonzero(painter.codes)


def test_the_newest_parts_are_where_something_was_painted():
    painter = Painter(3, (300, 300))
    live = LiveRegions(reader_of(painter.image), 1, 1)
    painter.changes()
    painter.paint(2, 150, 160, 170, 180)
    live.take(painter.changes())
    ((index, part),) = live.newest()
    region = live.regions[index]
    assert region.targets[part].shape == (20, 20)
    assert np.array_equal(region.targets[part], painter.codes[2, 150:170, 160:180])


def test_codes_of_classes_to_come_are_no_annotation_yet():
    painter = Painter()
    painter.paint(1, 0, 0, 30, 30, 3)
    live = LiveRegions(reader_of(painter.image), 1, 1)
    assert {int(c) for r in live.regions for c in np.unique(r.targets)} <= {0, 1, 2}
    assert live.painted.px == np.count_nonzero(painter.codes[0])


def test_half_of_the_patches_show_what_is_new_for_some_steps():
    painter = Painter(2, (256, 256))
    painter.paint(0, 0, 0, 256, 256)
    painter.paint(1, 200, 200, 208, 208, 1)
    regions = list(reader_of(painter.image, (16, 16)).read_all())
    generator = torch.Generator().manual_seed(0)
    sampler = PatchSampler(regions[:1], (8, 8), (0, 0), generator)
    y, x = (200 - at for at in regions[1].corner)
    sampler.learn_from(regions, [(1, (slice(y, y + 8), slice(x, x + 8)))])

    def new_ones() -> int:
        _, codes, _ = sampler.draw(8)
        # Only there is most of a patch unlabelled.
        return int((codes == 0).flatten(1).any(dim=1).sum())

    counts = [new_ones() for _ in range(NEW_FOR_STEPS + 40)]
    assert min(counts[:NEW_FOR_STEPS]) >= 3
    assert np.mean(counts[NEW_FOR_STEPS:]) < 1


def test_what_is_painted_meanwhile_is_part_of_the_next_step(few_steps):
    painter = Painter()
    events = painter.trainer().run()
    until(events, TrainingStep)
    painter.paint(1, 0, 0, 60, 60)
    taken, _ = until(events, AnnotationsTaken)
    held = painter.image.held_out(1, boxes=False)
    trains = np.count_nonzero(painter.codes[0][~painter.image.held_out(0, boxes=False)])
    trains += np.count_nonzero(painter.codes[1][~held])
    assert taken.n_labelled_px == trains
    step, between = until(events, TrainingStep)
    assert step.step == taken.step + 1
    assert len(between) == 1, "its loss is reported at once"
    events.close()


def test_it_rests_when_it_has_learned_and_wakes_when_something_is_painted(few_steps):
    painter = Painter()
    trainer = painter.trainer()
    events = trainer.run()
    rested, _ = until(events, Rested)
    assert rested.step == 6
    again = [next(events) for _ in range(5)]
    assert again == [rested] * 5
    painter.paint(2, 10, 10, 50, 50)
    taken, _ = until(events, AnnotationsTaken)
    assert taken.step == 6
    assert until(events, Rested)[0].step == 12
    trainer.stop()
    list(events)
    assert trainer.current_model().info.history["steps"] == 12


def test_the_rate_falls_until_something_is_painted(few_steps):
    painter = Painter()
    events = painter.trainer().run()
    rates = []
    for _ in range(2):
        _, seen = until(events, Rested)
        rates.append([e.learning_rate for e in seen if isinstance(e, TrainingStep)])
        painter.paint(1, 0, 0, 30, 30)
    events.close()
    first_again = rates[1][0]
    assert first_again > 0.9 * max(rates[0])


def test_erasing_everything_makes_it_rest_until_something_is_painted_again(few_steps):
    painter = Painter()
    events = painter.trainer().run()
    until(events, Rested)
    painter.paint(0, 0, 0, 96, 96, 0)
    taken, _ = until(events, AnnotationsTaken)
    assert taken.n_labelled_px == 0
    assert isinstance(next(events), Rested)
    painter.paint(1, 0, 0, 60, 60)
    assert until(events, AnnotationsTaken)[0].n_labelled_px > 0
    step, _ = until(events, TrainingStep)
    assert step.step > taken.step
    events.close()


def test_what_is_held_out_never_trains_and_is_scored(few_steps):
    painter = Painter(3, (256, 256))
    trainer = painter.trainer()
    events = trainer.run()
    until(events, Rested)
    painter.paint(1, 0, 0, 256, 256)
    taken, _ = until(events, AnnotationsTaken)
    held_px = sum(
        int(np.count_nonzero(codes[painter.image.held_out(p, boxes=False)]))
        for p, codes in enumerate(painter.codes)
    )
    assert taken.n_held_out_px == held_px > 0
    _, seen = until(events, Rested)
    assert any(isinstance(e, HeldOutScored) and e.n_px == held_px for e in seen)
    for region in trainer._live.regions:
        assert not (region.targets.bool() & region.held_out.bool()).any()
    events.close()


def test_a_checkpoint_is_returned_to_as_it_was(few_steps):
    painter = Painter()
    trainer = painter.trainer()
    events = trainer.run()
    until(events, Rested)
    model = trainer.checkpoint("a")
    assert model.preview is not None
    painter.paint(1, 0, 0, 60, 60)
    until(events, AnnotationsTaken)
    until(events, Rested)
    before = {n: t.clone() for n, t in model.network.state_dict().items()}
    now = trainer.current_model().network.state_dict()
    assert any(not torch.equal(before[n], now[n]) for n in before)
    assert trainer.return_to("a")
    assert not trainer.return_to("never made")
    back = trainer.current_model().network.state_dict()
    assert all(torch.equal(before[n], back[n]) for n in before)
    events.close()


def test_a_worse_end_than_the_base_is_not_kept(few_steps):
    painter = Painter(3, (256, 256))
    painter.paint(0, 0, 0, 256, 256)
    painter.paint(1, 0, 0, 256, 256)
    first = painter.trainer()
    events = first.run()
    for _ in range(20):
        until(events, Rested)
        painter.paint(1, 0, 0, 2, 2)
    second = painter.continued(first, events)
    events = second.run()
    until(events, Rested)
    for weights in second._run._stepper.average.network.parameters():
        weights.data.normal_()
    second._run._teacher.step_back = 0.0
    second.stop()
    sentences = [getattr(e, "sentence", "") for e in events]
    assert any("the model from before stays" in s for s in sentences)


def test_after_a_rest_it_goes_on_from_the_weights_that_would_be_kept(few_steps):
    painter = Painter()
    first = painter.trainer()
    until(events := first.run(), Rested)
    second = painter.continued(first, events)
    events = second.run()
    until(events, Rested)
    second._run._teacher.step_back = 0.4  # as of strokes; so small an image is painted densely
    shown = [p.clone() for p in second.current_model().network.parameters()]
    painter.paint(1, 0, 0, 30, 30)
    until(events, AnnotationsTaken)
    learning = list(second._run._stepper.average.network.parameters())
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(shown, learning, strict=True))
    events.close()


def test_a_budget_that_is_renewed_begins_again():
    budget = Budget(10, None, began=0.0, open=True)
    assert budget.fraction(10, 5.0, 0.0) == 1.0
    again = budget.renewed(10)
    assert again.fraction(10, 5.0, 0.0) == 0.0
    assert again.fraction(15, 5.0, 0.0) == 0.5
    assert again.renewed(12).fraction(22, 5.0, 0.0) == 1.0
    assert again.seconds_left(15, 5.0, 0.0) is None
