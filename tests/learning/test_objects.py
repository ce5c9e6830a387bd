from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg import UserError
from napari_unetseg.config import (
    LossConfig,
    ModelInfo,
    NormalisationConfig,
    ObjectsConfig,
    Recipe,
    UNet2015Config,
    UNetConfig,
)
from napari_unetseg.events import TrainingStep
from napari_unetseg.images import Stack
from napari_unetseg.learning import (
    Answer,
    Model,
    Predictor,
    StateFile,
    Trainer,
    TrainingImage,
    load_model,
    objects_found,
    predict,
    predict_plane,
    resume,
)
from napari_unetseg.learning.data import load_regions
from napari_unetseg.learning.detail import median_diameter, with_reduction_of_objects
from napari_unetseg.learning.losses import segmentation_loss
from napari_unetseg.learning.objects import split_by_distance
from napari_unetseg.learning.patches import DENSE
from napari_unetseg.learning.stepper import Stepper
from napari_unetseg.learning.targets import distance_loss, object_distances

CONFIG = ObjectsConfig()


def touching_discs(
    n_planes: int = 2, side: int = 120, radius: int = 14
) -> tuple[Stack, np.ndarray]:
    """Return pairs of discs that touch, and their ids."""
    y, x = np.indices((side, side))
    ids = np.zeros((n_planes, side, side), np.uint32)
    for plane in range(n_planes):
        number = 0
        for cy in range(radius + 4, side - radius, 2 * radius + 12):
            for cx in range(radius + 4 + 3 * plane, side - radius, 2 * radius - 1):
                number += 1
                ids[plane][(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = number
    rng = np.random.default_rng(0)
    grey = 60 + 90 * (ids > 0) + rng.normal(0, 10, ids.shape)
    return Stack(grey.clip(0, 255).astype(np.uint8), "ZYX"), ids


def image_of(stack: Stack, ids: np.ndarray) -> TrainingImage:
    return TrainingImage(stack, (ids > 0).astype(np.uint8) + np.uint8(1), None, ids)


def trained(recipe: Recipe, *images: TrainingImage, base: Model | None = None) -> Model:
    images = images or (image_of(*touching_discs()),)
    trainer = Trainer(images, recipe, (CELL,), name="discs", base=base, device=FLOAT32)
    list(trainer.run())
    return trainer.current_model()


def open_recipe() -> Recipe:
    """Return settings that leave the reduction and the patches open."""
    recipe = tiny_recipe(2, patch_px=0, batch=0)
    return recipe.replace(network={"depth": 1, "filters": 4})


def distances(model: Model, stack: Stack, plane: int = 0, **options: object) -> np.ndarray:
    answer = Predictor(model, stack, device=FLOAT32, **options).answer(plane, distances=True)
    assert answer.distances is not None
    return answer.distances


@pytest.fixture(scope="module")
def model() -> Model:
    return trained(tiny_recipe(8))


@pytest.mark.parametrize("shape", [(24, 31), (9, 12, 10)])
def test_a_distance_is_that_to_the_nearest_pixel_of_another_object(shape: tuple[int, ...]) -> None:
    # Corners of the image belong to no object, so that every object lies inside of it.
    ids = np.zeros(shape, np.int64)
    ids[tuple(slice(2, n // 2) for n in shape)] = 4
    ids[tuple(slice(n // 2, n - 2) for n in shape)] = 9
    ids[(slice(2, shape[0] // 2), *(slice(n // 2, n - 2) for n in shape[1:]))] = 2
    expected = np.zeros(shape)
    for number in (2, 4, 9):
        inside, outside = np.argwhere(ids == number), np.argwhere(ids != number)
        depth = cdist(inside, outside).min(axis=1)
        expected[tuple(inside.T)] = depth / depth.max()
    np.testing.assert_allclose(object_distances(ids), expected, rtol=1e-6)


def test_objects_go_on_behind_the_edge_of_the_image() -> None:
    ids = np.zeros((1, 8), int)
    ids[0, 4:] = 3
    assert object_distances(ids)[0].tolist() == [0, 0, 0, 0, 0.25, 0.5, 0.75, 1]
    assert object_distances(np.full((4, 5), 7)).tolist() == np.ones((4, 5)).tolist()
    assert not object_distances(np.zeros((4, 5), int)).any()


def test_unlabelled_pixels_have_no_part_in_the_error_of_distances() -> None:
    torch.manual_seed(0)
    predicted = torch.rand(2, 6, 6, requires_grad=True)
    distances = torch.rand(2, 6, 6)
    codes = torch.randint(0, 3, (2, 6, 6))
    loss = distance_loss(predicted, distances, codes)
    errors = (predicted - distances).abs().detach()[codes > 0]
    by_hand = torch.where(errors < 0.1, errors**2 / 0.2, errors - 0.05).mean()
    assert float(loss.detach()) == pytest.approx(float(by_hand), rel=1e-5)
    loss.backward()
    assert predicted.grad is not None
    assert not predicted.grad[codes == 0].any()
    nothing = distance_loss(predicted.detach(), distances, torch.zeros_like(codes))
    assert float(nothing) == 0


def test_voxels_of_thick_sections_are_longer_along_z() -> None:
    ids = np.zeros((5, 9, 9), np.uint8)
    ids[1:4, 2:7, 2:7] = 7
    # In the middle the side is 3 px away and the end 2 sections: one pixel, or ten.
    assert object_distances(ids, 0.5)[2, 4].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]
    thick = object_distances(ids, 5.0)[2, 4]
    np.testing.assert_allclose(thick, [0, 0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0, 0], rtol=1e-6)


def test_losses_of_classes_do_not_see_the_channel_of_distances(model: Model) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    codes = torch.randint(0, 3, (2, 8, 8), generator=generator)
    wanted = torch.rand(2, 8, 8, generator=generator)
    stepper = Stepper(model.network, tiny_recipe().training, FLOAT32, distance_weight=3.0)
    loss = stepper.loss(logits, codes, {"distance": wanted})
    of_classes = segmentation_loss(logits[:, :2], codes, LossConfig())
    of_distances = distance_loss(logits[:, 2], wanted, codes)
    assert float(loss) == pytest.approx(float(of_classes + 3 * of_distances), rel=1e-6)


@pytest.mark.parametrize(
    ("diameter_px", "reduction"), [(10, 1), (59, 1), (61, 2), (112, 3), (999, 8)]
)
def test_images_are_reduced_until_the_median_object_is_as_wide_as_wanted(
    diameter_px: float, reduction: int
) -> None:
    wanted = ObjectsConfig().diameter_px
    found = with_reduction_of_objects(UNetConfig(), diameter_px, wanted)
    assert found == UNetConfig(reduction=reduction)
    for asked in (UNetConfig(reduction=4), UNet2015Config()):
        assert with_reduction_of_objects(asked, diameter_px, wanted) == asked


def test_the_median_diameter_is_that_of_a_circle_as_large() -> None:
    assert median_diameter([image_of(*touching_discs(radius=14))]) == pytest.approx(28, rel=0.03)


def test_objects_of_slices_that_are_not_annotated_do_not_count() -> None:
    stack, ids = touching_discs()
    codes = (ids > 0).astype(np.uint8) + np.uint8(1)
    codes[1] = 0
    ids[1] = 1
    assert median_diameter([TrainingImage(stack, codes, None, ids)]) == pytest.approx(28, rel=0.03)
    assert median_diameter([TrainingImage(stack, codes)]) is None
    assert median_diameter([TrainingImage(stack, np.zeros_like(codes), None, ids)]) is None


def test_touching_objects_are_told_apart_by_their_distances() -> None:
    _, ids = touching_discs(1)
    found = split_by_distance(ids > 0, object_distances(ids), 28.0, CONFIG)
    assert found.max() == ids.max()
    for number in np.unique(ids[ids > 0]):
        values, counts = np.unique(found[ids == number], return_counts=True)
        best = values[counts.argmax()]
        overlap = ((found == best) & (ids == number)).sum()
        assert overlap / ((found == best) | (ids == number)).sum() > 0.97


def test_what_has_no_middle_is_one_object_and_what_is_too_small_is_none() -> None:
    inside = np.zeros((1, 40, 40), bool)
    inside[0, 2:12, 2:12] = True
    inside[0, 30:32, 30:32] = True
    found = split_by_distance(inside, np.zeros(inside.shape, np.float32), 20.0, CONFIG)
    assert np.unique(found).tolist() == [0, 1]
    assert (found[0, 2:12, 2:12] == 1).all()


def test_a_slice_alone_is_as_it_is_between_empty_ones() -> None:
    for shape in ((120, 120), (1, 120)):  # one row of pixels, too
        _, ids = touching_discs(1)
        ids = ids[:, : shape[0]] if shape[0] > 1 else ids[:, 18:19]
        depth = object_distances(ids)
        around = ((1, 1), (0, 0), (0, 0))
        between = split_by_distance(np.pad(ids, around) > 0, np.pad(depth, around), 28.0, CONFIG)
        assert np.array_equal(split_by_distance(ids > 0, depth, 28.0, CONFIG)[0], between[1])


def test_the_channel_of_distances_is_no_class(model: Model) -> None:
    stack, _ = touching_discs()
    assert model.info.object_diameter_px == pytest.approx(28, rel=0.03)
    assert model.class_names == ("background", "cell")
    assert model.info.outputs == ("background", "cell", "distance")
    assert model.network.head.out_channels == 3
    probabilities = predict_plane(model, stack, 0, device=FLOAT32)
    assert probabilities.shape == (2, *stack.plane_shape)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-5)
    assert set(np.unique(predict(stack, model, device="cpu"))) <= {0, 1}


def test_views_are_averaged_and_undone(model: Model) -> None:
    stack, _ = touching_discs()
    pixels = np.stack([plane[0] for plane in stack.planes()])
    plain, averaged = distances(model, stack), distances(model, stack, tta=True)
    expected = []
    for turned in (False, True):
        for axes in ((), (-1,), (-2,), (-2, -1)):
            seen = np.flip(pixels, axes)
            seen = seen.swapaxes(-1, -2) if turned else seen
            found = distances(model, Stack(np.ascontiguousarray(seen), "ZYX"))
            found = found.swapaxes(-1, -2) if turned else found
            expected.append(np.flip(found, axes))
    np.testing.assert_allclose(averaged, np.mean(expected, axis=0), atol=1e-4)
    assert np.abs(plain - averaged).max() > 1e-4


def test_distances_of_tiles_are_those_of_the_whole_and_of_another_pixel_size_as_large(
    model: Model,
) -> None:
    stack, _ = touching_discs()
    whole = distances(model, stack)
    np.testing.assert_allclose(distances(model, stack, tile_px=(48, 40)), whole, atol=1e-4)
    info = model.info.replace(pixel_size_um={"Y": 0.1, "X": 0.1})
    calibrated = Model(info, model.network)
    half = Stack(stack.data[:, ::2, ::2], "ZYX", {"Y": 0.2, "X": 0.2})
    found = distances(calibrated, half, resample=True)
    assert found.shape == (60, 60)
    small = distances(calibrated, half)
    truth = whole[::2, ::2]
    assert np.abs(found - truth).mean() < np.abs(small - truth).mean()


def test_distances_are_answered_only_where_they_are_asked_for(model: Model) -> None:
    predictor = Predictor(model, touching_discs()[0], device=FLOAT32)
    plain, asked = predictor.answer(0), predictor.answer(0, distances=True)
    assert plain.distances is None
    assert asked.probabilities is None
    np.testing.assert_array_equal(plain.codes, asked.codes)
    np.testing.assert_array_equal(plain.codes, predictor.plane(0).argmax(axis=0) + 1)


def test_a_usual_object_is_as_wide_in_um_where_images_are_resampled(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At half the pixel size objects are twice as wide, and so are what is too small and blurred.

    The smallest object is 0.02 · π/4 · (2 · 28)² = 49 px of the image, not 12.
    """
    calibrated = Model(model.info.replace(pixel_size_um={"Y": 0.2, "X": 0.2}), model.network)
    codes = np.ones((1, 80, 80), np.uint8)
    codes[0, 10:15, 10:16] = 2  # 30 px
    codes[0, 40:50, 40:46] = 2  # 60 px
    stack = Stack(codes * np.uint8(50), "ZYX", {"Y": 0.1, "X": 0.1})
    answer = Answer(codes[0], distances=np.zeros(stack.plane_shape, np.float32))
    monkeypatch.setattr(Predictor, "answers", lambda _, planes, **__: ((n, answer) for n in planes))
    found = predict(stack, calibrated, objects=True, resample=True, device="cpu")
    assert not found[0, 10:15, 10:16].any()
    assert (found[0, 40:50, 40:46] == 1).all()
    as_it_is = predict(stack, calibrated, objects=True, device="cpu")
    assert np.unique(as_it_is).tolist() == [0, 1, 2]


@pytest.mark.parametrize("dims", ["2.5", "3"])
def test_distances_are_learned_from_neighbours_and_in_volumes(dims: str) -> None:
    image = image_of(*touching_discs(6, 60, 12))
    found = trained(tiny_recipe(3).replace(network={"depth": 1, "filters": 4, "dims": dims}), image)
    assert found.info.outputs == ("background", "cell", "distance")
    predictor = Predictor(found, image.stack, device=FLOAT32)
    answers = dict(predictor.answers(range(6), distances=True))
    whole = np.stack([answers[n].distances for n in range(6)])
    assert whole.shape == image.stack.labels_shape
    tile = (16, 16) if dims == "2.5" else (3, 16, 16)
    np.testing.assert_allclose(distances(found, image.stack, 4, tile_px=tile), whole[4], atol=1e-4)


def test_distances_in_a_volume_reach_through_sections() -> None:
    image = image_of(*touching_discs(3, 60, 12))
    image.ids[:] = image.ids[0] > 0
    image.ids[0] = 0
    margins = (256, 256), (8, 256, 256)
    slices, volume = (
        list(
            load_regions(
                [image], NormalisationConfig(), margin, from_ids={"distance": object_distances}
            )
        )
        for margin in margins
    )
    assert [region.maps["distance"].shape for region in slices] == [(60, 60)] * 3
    found = volume[0].maps["distance"].numpy()
    np.testing.assert_allclose(found, object_distances(image.ids), atol=1e-3)
    assert found[1].max() < found[2].max() == 1


def test_patches_are_as_large_as_without_the_reduction() -> None:
    image = image_of(*touching_discs(2, 120, 14))
    wide = ObjectsConfig(diameter_px=14).model_dump()
    found = trained(open_recipe().replace(objects=wide), image)
    assert found.info.recipe.network.reduction == 2
    assert found.info.recipe.training.patch_px == 2 * DENSE.patch_px
    assert found.info.recipe.training.batch == DENSE.batch
    assert found.info.history["patch_px"] == 120  # no larger than the slice
    asked = open_recipe().replace(objects=wide, training=tiny_recipe(2).training.model_dump())
    assert trained(asked, image).info.recipe.training.patch_px == 48
    again = trained(tiny_recipe(2), image, base=found)
    assert again.info.recipe.network.reduction == 2


def test_a_training_of_objects_goes_on_as_if_it_had_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "KEEP_EVERY_S", 0.0)
    monkeypatch.setattr(resume, "KEEP_COST", 1e9)
    monkeypatch.setattr("napari_unetseg.learning.run.REPORT_EVERY_S", 0.0)
    image, recipe = image_of(*touching_discs()), tiny_recipe(6)

    def trainer(state: StateFile | None, images: list[TrainingImage]) -> Trainer:
        return Trainer(images, recipe, (CELL,), device=FLOAT32, state_file=state)

    events = trainer(StateFile(tmp_path), [image]).run()
    next(e for e in events if isinstance(e, TrainingStep) and e.step > 3)
    events.close()
    whole, rest = trainer(None, [image]), trainer(StateFile(tmp_path, resume=True), [image])
    for one in (whole, rest):
        list(one.run())
    expected, found = (one.current_model().network.state_dict() for one in (whole, rest))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    image.ids[image.ids == 2] = 1
    with pytest.raises(UserError, match="other annotations"):
        list(trainer(StateFile(tmp_path, resume=True), [image]).run())


def test_python_returns_ids(model: Model) -> None:
    stack, _ = touching_discs()
    found = predict(stack, model, device="cpu", objects=True)
    assert found.dtype == np.uint32
    assert found.shape == stack.labels_shape
    masks = predict(stack, model, device="cpu")
    assert not found[masks == 0].any()
    with pytest.raises(UserError, match="one at a time"):
        predict(stack, model, objects=True, uncertainty=True)


def test_a_model_of_objects_is_saved_and_read(model: Model, tmp_path: Path) -> None:
    stack, _ = touching_discs()
    model.save(tmp_path / "discs.unet")
    written = json.loads((tmp_path / "discs.unet" / "model.json").read_text())
    assert written["object_diameter_px"] == pytest.approx(28, rel=0.03)
    read = load_model(tmp_path / "discs.unet")
    assert read.info == model.info
    np.testing.assert_array_equal(distances(model, stack), distances(read, stack))


def test_training_from_a_model_of_objects_keeps_what_it_knows_of_distances(model: Model) -> None:
    again = trained(tiny_recipe(1, learning_rate=1e-9), base=model)
    old, new = model.network.head.weight[-1], again.network.head.weight[-1]
    torch.testing.assert_close(new, old, atol=1e-4, rtol=0)


def test_without_ids_or_when_not_wanted_classes_alone_are_learned() -> None:
    stack, ids = touching_discs()
    image = image_of(stack, ids)
    plain = TrainingImage(*discs(2))
    for images, recipe in (
        ([image], tiny_recipe(2).replace(objects=None)),
        ([plain, image], tiny_recipe(2)),
    ):
        model = trained(recipe, *images)
        assert model.info.object_diameter_px is None
        assert model.network.head.out_channels == 2
        assert Predictor(model, stack, device=FLOAT32).answer(0, distances=True).distances is None


def test_ids_are_not_shared_by_frames_and_go_through_slices(model: Model) -> None:
    _, ids = touching_discs(1)
    ids = ids.repeat(4, axis=0)
    distances = np.stack([object_distances(plane) for plane in ids])
    codes = (ids > 0).astype(np.uint8) + np.uint8(1)
    found = objects_found(model.info, codes, distances, n_frames=2)
    assert found.dtype == np.uint32
    assert found.max() == 2 * ids.max()
    assert not set(np.unique(found[:2])) & set(np.unique(found[2:])) - {0}
    np.testing.assert_array_equal(found[0], found[1])
    classes_alone = ModelInfo(**{**model.info.model_dump(), "object_diameter_px": None})
    connected = objects_found(classes_alone, codes, None, n_frames=2)
    assert connected.max() < found.max()


def test_strokes_on_a_model_of_objects_keep_them_apart() -> None:
    """Strokes do not tell objects apart, so the model that training starts from does."""
    expert = trained(tiny_recipe(80, batch=4))
    stack, ids = touching_discs()
    codes = (ids > 0).astype(np.uint8) + np.uint8(1)
    codes[:, 40:] = 0
    strokes = TrainingImage(stack, codes)

    def error(model: Model) -> float:
        return float(np.abs(distances(model, stack) - object_distances(ids[0])).mean())

    again = trained(tiny_recipe(40), strokes, base=expert)
    assert again.info.object_diameter_px == expert.info.object_diameter_px
    untaught = trained(tiny_recipe(40, distillation=1e-9), strokes, base=expert)
    assert error(again) < error(expert) + 0.02 < error(untaught)
    plain = trained(tiny_recipe(2, distillation=0.0), strokes, base=expert)
    assert plain.info.object_diameter_px is None


def test_no_object_is_of_two_classes(model: Model) -> None:
    """Distances do not know classes: touching ones of two classes may have one middle."""
    codes = np.ones((1, 40, 40), np.uint8)
    codes[0, 10:30, 10:20], codes[0, 10:30, 20:30] = 2, 3
    y, x = np.indices((40, 40))
    depth = np.clip(1 - np.hypot(y - 20, x - 20) / 12, 0, 1).astype(np.float32)[None]
    info = model.info.replace(classes=[CELL.model_dump(), {"name": "b", "color": "#000000"}])
    found = objects_found(info, codes, depth)
    assert found.max() == 2
    for number in (1, 2):
        assert len(np.unique(codes[found == number])) == 1
