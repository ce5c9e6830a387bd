"""What is suggested to annotate next teaches something new, and says why."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg import UserError
from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.config import LabelClass, ModelCard, ModelInfo, UNetConfig
from napari_unetseg.images import Stack
from napari_unetseg.learning import Model, Suggester, TrainingImage, suggest_regions
from napari_unetseg.learning.candidates import Nearness, Region, regions_of_slice
from napari_unetseg.learning.coverage import Coverage
from napari_unetseg.learning.reasons import Reasons, Seen
from napari_unetseg.learning.region_features import similarity, texture_of
from napari_unetseg.networks import build_network

SIDE = 64


def untrained(network: UNetConfig | None = None, n_channels: int = 1, n_classes: int = 1) -> Model:
    recipe = tiny_recipe()
    if network is not None:
        recipe = recipe.replace(network=network.model_dump())
    classes = tuple(replace_name(CELL, f"class {k + 1}") for k in range(n_classes))
    net = build_network(recipe.network, n_channels, n_classes + 1)
    net.initialise(torch.Generator().manual_seed(1))
    info = ModelInfo(name="m", recipe=recipe, classes=classes, channels=("",) * n_channels)
    return Model(info, net.eval())


def replace_name(label: LabelClass, name: str) -> LabelClass:
    return label.replace(name=name)


class Thresholding(torch.nn.Module):
    """Says "cell" the more surely the brighter a pixel is; of 0.5 it knows nothing."""

    spatial_dims, neighbours, reduction, mirrored_px, anisotropy = 2, 0, 1, 0, 1.0
    multiple_px, halo_px = (1, 1), (0, 0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logit = 40 * (image[:, :1] - 0.5)
        return torch.cat([-logit, logit], dim=1)

    def logits_of(self, image, box):
        return self(image)[(..., *box)]


def thresholding() -> Model:
    info = ModelInfo(name="m", recipe=tiny_recipe(), classes=(CELL,), channels=("",))
    return Model(info, Thresholding().eval())


def image_of(stack: Stack, codes: np.ndarray | None = None) -> TrainingImage:
    shape = (stack.n_planes, *stack.plane_shape)
    codes = np.zeros(shape, np.uint8) if codes is None else codes
    blocks = new_blocks(shape)
    assign_blocks(codes, blocks, stack)
    return TrainingImage(stack, codes, blocks)


def suggestions(images, model=None, n=6, side_px=SIDE):
    return suggest_regions(images, model, n, side_px=side_px, device=FLOAT32)


def test_annotated_regions_are_never_suggested() -> None:
    stack, truth = discs(3, (256, 256))
    codes = np.zeros_like(truth)
    codes[0], codes[1, :128] = truth[0], truth[1, :128]
    found = suggestions([image_of(stack, codes)], untrained(), n=100)
    assert found
    for s in found:
        assert not codes[s.plane, s.y : s.y + s.height, s.x : s.x + s.width].any()


def test_a_stroke_does_not_forbid_a_region_and_many_do() -> None:
    stack, truth = discs(1, (256, 256))
    codes = np.zeros_like(truth)
    codes[0, 10:14, 10:150] = 1
    assert len(suggestions([image_of(stack, codes)], side_px=256)) == 1
    codes[0, :, 100:104] = 1
    assert suggestions([image_of(stack, codes)], side_px=256) == []


def test_where_all_is_annotated_nothing_is_suggested() -> None:
    stack, truth = discs(2, (128, 128))
    assert suggestions([image_of(stack, truth)], untrained()) == []


def test_regions_of_a_list_overlap_by_less_than_a_quarter() -> None:
    stack, _ = discs(1, (256, 256))
    found = suggestions([image_of(stack)], n=100)
    assert len(found) >= 9
    for i, a in enumerate(found):
        for b in found[:i]:
            shared = max(0, SIDE - abs(a.y - b.y)) * max(0, SIDE - abs(a.x - b.x))
            assert shared < SIDE**2 / 4


def test_neighbouring_slices_are_not_suggested_one_after_the_other() -> None:
    """All slices are nearly the same, as in a stack of thin sections."""
    one, _ = discs(1, (128, 128))
    rng = np.random.default_rng(0)
    pixels = one.data.astype(float) + rng.normal(0, 2, (12, 128, 128))
    sizes = {"Z": 0.04, "Y": 0.005, "X": 0.005}
    stack = Stack(pixels.clip(0, 255).astype(np.uint8), "ZYX", sizes)
    found = suggestions([image_of(stack)], n=4)
    for i, a in enumerate(found):
        for b in found[:i]:
            assert (a.y, a.x) != (b.y, b.x) or abs(a.plane - b.plane) > 2


def test_kinds_of_image_take_turns() -> None:
    """Of six smooth images and three of noise, the first two are not both smooth."""
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(64), np.arange(64)) + rng.normal(0, 0.5, (6, 64, 64))
    noise = rng.uniform(0, 130, (3, 64, 64))
    images = [image_of(Stack(p, "YX")) for p in np.concatenate([smooth, noise])]
    first, second = suggestions(images, n=2)
    assert first.image < 6 <= second.image


@pytest.mark.parametrize("most_covered", [1024, 4])
def test_what_is_like_the_annotated_image_comes_later(
    most_covered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unetseg.learning.coverage.MOST_COVERED", most_covered)
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(64), np.arange(64)) + rng.normal(0, 0.5, (4, 64, 64))
    noise = rng.uniform(0, 130, (4, 64, 64))
    images = [image_of(Stack(p, "YX")) for p in np.concatenate([smooth, noise])]
    images[0] = image_of(images[0].stack, np.ones((1, 64, 64), np.uint8))
    assert suggestions(images, n=1)[0].image >= 4
    images[0] = image_of(images[0].stack)
    images[7] = image_of(images[7].stack, np.ones((1, 64, 64), np.uint8))
    assert suggestions(images, n=1)[0].image < 4


def test_what_a_model_is_uncertain_of_comes_before_what_it_is_certain_of() -> None:
    """Four images of certain background, then four of what the model does not know."""
    rng = np.random.default_rng(0)
    images = []
    for grey in [25] * 4 + [128] * 4:
        pixels = rng.normal(grey, 6, (64, 64))
        pixels[:, ::32], pixels[:, 1::32] = 0, 255  # become 0 and 1
        images.append(image_of(Stack(pixels.astype(np.uint8), "YX")))
    first, *others = suggestions(images, thresholding(), n=8)
    assert first.image >= 4
    assert "unsure" in first.reason
    assert all("unsure" not in s.reason for s in others if s.image < 4)


def test_the_same_is_suggested_again() -> None:
    stack, _ = discs(3, (160, 160))
    again = [suggestions([image_of(stack)], untrained()) for _ in range(2)]
    assert again[0] == again[1]


def test_each_suggestion_has_a_score_and_a_reason_and_goes_through_json() -> None:
    stack, truth = discs(2, (192, 192))
    codes = np.zeros_like(truth)
    codes[0, :64, :64] = truth[0, :64, :64]
    found = suggestions([image_of(stack, codes)], untrained())
    scores = [s.score for s in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1
    for s in found:
        assert s.reason
        assert json.loads(json.dumps(dataclasses.asdict(s))) == dataclasses.asdict(s)


@pytest.mark.parametrize("shape", [(40, 50), (17, 300), (5, 5), (64, 64), (65, 100)])
@pytest.mark.parametrize("known", [False, True])
def test_images_smaller_than_a_region_are_suggested_whole(shape, known: bool) -> None:
    stack, _ = discs(2, shape)
    found = suggestions([image_of(stack)], untrained() if known else None)
    assert found
    for s in found:
        assert (s.height, s.width) == (min(SIDE, shape[0]), min(SIDE, shape[1]))
        assert s.y + s.height <= shape[0]
        assert s.x + s.width <= shape[1]


@pytest.mark.parametrize(
    ("network", "n_channels"),
    [
        (UNetConfig(depth=2, filters=8, reduction=1), 3),
        (UNetConfig(depth=2, filters=8, reduction=1, dims="2.5", neighbours=1), 2),
        (UNetConfig(depth=2, filters=8, reduction=1, dims="3"), 1),
    ],
)
def test_every_kind_of_network_and_several_channels_and_classes_work(
    network: UNetConfig, n_channels: int
) -> None:
    stack, _ = discs(4, (128, 128), n_channels)
    model = untrained(network, n_channels, n_classes=3)
    found = suggestions([image_of(stack)], model)
    assert len({(s.plane, s.y, s.x) for s in found}) == 6


def test_an_image_of_other_channels_than_the_model_is_refused() -> None:
    with pytest.raises(UserError, match="channel"):
        suggestions([image_of(discs(1, (64, 64), 2)[0])], untrained())


def test_looking_can_be_stopped_after_each_slice_and_what_was_seen_is_ranked() -> None:
    suggester = Suggester([image_of(discs(5, (96, 96))[0])], side_px=SIDE, device=FLOAT32)
    assert suggester.ranked() == []
    looking = suggester.look()
    assert [next(looking), next(looking)] == [1, 2]
    looking.close()
    assert suggester.n_slices == 5
    assert {s.plane for s in suggester.ranked(50)} == {0, 1}


def test_looking_again_begins_anew() -> None:
    suggester = Suggester([image_of(discs(2, (96, 96))[0])], side_px=SIDE, device=FLOAT32)
    counted = [(list(suggester.look())[-1], suggester.ranked(50)) for _ in range(2)]
    assert counted[0] == counted[1]


def test_of_many_slices_some_are_looked_at_and_all_annotated_ones(monkeypatch) -> None:
    monkeypatch.setattr("napari_unetseg.learning.suggestions.MOST_SLICES", 3)
    stack, truth = discs(30, (64, 64))
    codes = np.zeros_like(truth)
    codes[7] = truth[7]
    suggester = Suggester([image_of(stack, codes)], side_px=SIDE, device=FLOAT32)
    assert list(suggester.look())[-1] == suggester.n_slices == 4
    assert {s.plane for s in suggester.ranked(50)} == {5, 15, 25}


def test_regions_cover_a_slice() -> None:
    stack, _ = discs(1, (150, 64))
    covered = np.zeros((150, 64), bool)
    for region in regions_of_slice(0, stack, 0, SIDE):
        covered[region.cells(1)] = True
    assert covered.all()


def test_nearness_falls_with_distance_and_ends_at_images_and_time_points() -> None:
    volume = Stack(np.zeros((2, 12, 64, 64), np.uint8), "TZYX", {"Z": 0.1, "Y": 0.01, "X": 0.01})
    near = Nearness([volume, volume])

    def to(**other: int) -> float:
        here = Region(0, 3, 0, 0, 64, 64)
        return float(near.to(here, [replace(here, **other)])[0])

    assert to() == 1
    assert to(x=32) == pytest.approx(0.5)
    assert to(y=32, x=32) == pytest.approx(0.25)
    assert 1 > to(plane=4) > to(plane=5) > 0
    assert to(plane=11) == to(plane=15) == to(image=1) == to(x=64) == 0


def test_coverage_is_best_for_one_region_as_trying_all_shows() -> None:
    rng = np.random.default_rng(0)
    described = rng.normal(size=(20, 3))
    regions = [Region(i, 0, 0, 0, 8, 8) for i in range(20)]
    near = Nearness([discs(1, (8, 8))[0]] * 20)
    annotated = np.zeros(20)
    annotated[3] = 1
    worth = rng.uniform(0, 1, 20)
    first, gain = next(Coverage(regions, described, annotated, worth, near).choose(annotated < 1))
    alike = similarity(described, described)
    sums = [(worth * np.maximum(alike[:, 3], alike[:, j])).sum() for j in range(20)]
    assert first == int(np.argmax(sums))
    assert gain == pytest.approx(max(sums) - (worth * alike[:, 3]).sum())


def test_what_lies_beside_a_chosen_region_is_put_off_however_different_it_looks() -> None:
    stack = Stack(np.zeros((12, 64, 64), np.uint8), "ZYX", {"Z": 0.1, "Y": 0.01, "X": 0.01})
    regions = [Region(0, plane, 0, 0, 64, 64) for plane in (3, 4, 11)]
    ranking = Coverage(
        regions, 1e3 * np.eye(3), np.zeros(3), np.array([1.0, 0.9, 0.5]), Nearness([stack])
    )
    order = [index for index, _ in ranking.choose(np.ones(3, bool))]
    assert order == [0, 2, 1]


def test_the_scale_of_a_model_for_everybody_is_looked_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def best_scale(stack: Stack, *_: object) -> float:
        asked.append(stack.name)
        return 2.0

    monkeypatch.setattr("napari_unetseg.learning.predictor.best_scale", best_scale)
    model = thresholding()
    card = ModelCard(summary="Bright.").model_dump()
    model = replace(model, info=model.info.replace(card=card))
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64), np.uint8)
    images = [image_of(Stack(p, "YX", name=str(i))) for i, p in enumerate(pixels)]
    suggester = Suggester(images, model, side_px=SIDE, device=FLOAT32, resample=True)
    assert list(suggester.look()) == [1, 2, 3]
    assert asked == ["0"]


def test_texture_tells_fine_from_coarse_structure() -> None:
    y, x = np.indices((128, 128))
    fine, coarse = ((((y // w) + (x // w)) % 2).astype(np.float32)[None] for w in (1, 16))
    of_fine, of_coarse = (texture_of(p).mean(axis=(1, 2)) for p in (fine, coarse))
    assert of_fine[0] == pytest.approx(of_coarse[0], abs=0.01)
    assert of_fine[1] > 4 * of_coarse[1]
    assert of_coarse[5] > 4 * of_fine[5]


def seen(share: float, entropy: float = 0.1, codes: frozenset[int] = frozenset()) -> Seen:
    return Seen(0, codes, np.array([1 - share, share], np.float32), entropy)


def test_reasons_name_what_is_there_and_whether_its_slice_has_any() -> None:
    all_seen = [seen(0.05) for _ in range(8)] + [seen(0.4), seen(0.4, codes=frozenset({1, 2}))]
    reasons = Reasons(all_seen, np.zeros(10), ["cell"])
    assert "much cell, none annotated in this slice" in reasons.of(8)
    assert "much cell" in reasons.of(9)
    assert "none annotated" not in reasons.of(9)
    assert "cell" not in reasons.of(0)


def test_reasons_say_what_is_new_and_what_is_uncertain() -> None:
    all_seen = [seen(0.1, 0.1 + 0.05 * i) for i in range(8)]
    reasons = Reasons(all_seen, np.linspace(1, 0.1, 8), ["cell"])
    assert reasons.of(7) == "unlike anything annotated yet, the model is unsure here"
    assert reasons.of(0) == "like much that is not annotated yet"
    assert "unlike" not in Reasons(all_seen, np.zeros(8), ["cell"]).of(7)
