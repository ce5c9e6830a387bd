from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg import UserError, predict
from napari_unetseg.config import ModelInfo
from napari_unetseg.events import Progress
from napari_unetseg.images import Stack
from napari_unetseg.learning import (
    Model,
    Predictor,
    codes_from_probabilities,
    iter_predict,
    predict_plane,
)
from napari_unetseg.networks import build_network
from napari_unetseg.networks.unet2015 import UNet2015


@pytest.fixture
def model() -> Model:
    """An untrained network, whose answer depends on everything it sees."""
    recipe = tiny_recipe()
    network = build_network(recipe.network, 1, 2)
    network.initialise(torch.Generator().manual_seed(1))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=torch.Generator().manual_seed(2))
    info = ModelInfo(
        name="m", recipe=recipe, classes=(CELL,), channels=("",), pixel_size_um={"Y": 0.1, "X": 0.1}
    )
    return Model(info, network.eval())


@pytest.mark.parametrize("shape", [(150, 131), (17, 23), (64, 64), (5, 200)])
def test_tiles_stitch_to_what_the_whole_slice_gives(model: Model, shape: tuple[int, int]) -> None:
    stack, _ = discs(1, shape)
    whole = Predictor(model, stack, device=FLOAT32, tile_px=(512, 512)).plane(0)
    for tile_px in (16, 40):
        tiled = Predictor(model, stack, device=FLOAT32, tile_px=(tile_px, tile_px)).plane(0)
        assert tiled.shape == (2, *shape)
        assert np.abs(tiled - whole).max() < 1e-5


@pytest.mark.parametrize("tta", [False, True])
def test_tiles_of_the_unpadded_network_stitch_and_mirror_nothing_between_them(
    tta: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe().replace(network={"kind": "unet2015", "filters": 4})
    network = build_network(recipe.network, 1, 2)
    network.initialise(torch.Generator().manual_seed(1))
    info = ModelInfo(name="m", recipe=recipe, classes=(CELL,), channels=("",))
    paper, (stack, _) = Model(info, network.eval()), discs(1, (150, 331))
    whole = Predictor(paper, stack, device=FLOAT32, tile_px=(512, 512), tta=tta).plane(0)
    sizes: list[tuple[int, ...]] = []
    compute = UNet2015.forward_unpadded

    def watched(self: UNet2015, image: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(image.shape[-2:]))
        return compute(self, image)

    monkeypatch.setattr(UNet2015, "forward_unpadded", watched)
    tiled = Predictor(paper, stack, device=FLOAT32, tile_px=(80, 112), tta=tta).plane(0)
    # 80 × 112 px are kept, and the size is the next of those that pool evenly.
    assert {tuple(sorted(size)) for size in sizes} == {(84 + 184, 116 + 184)}
    assert np.abs(tiled - whole).max() < 1e-5


def test_probabilities_sum_to_one_and_the_most_probable_is_the_code(model: Model) -> None:
    stack, _ = discs(2)
    answers = dict(iter_predict(model, stack, device=FLOAT32))
    assert list(answers) == [0, 1]
    assert answers[0].dtype == np.float32
    assert np.allclose(answers[0].sum(axis=0), 1, atol=1e-5)
    codes = codes_from_probabilities(answers[0])
    assert codes.dtype == np.uint8
    assert ((codes == 2) == (answers[0][1] > answers[0][0])).all()
    assert np.array_equal(answers[1], predict_plane(model, stack, 1, device=FLOAT32))


def test_only_the_chosen_slices_are_read(model: Model) -> None:
    stack, _ = discs(4)
    assert [plane for plane, _ in iter_predict(model, stack, [3, 1], device=FLOAT32)] == [3, 1]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_the_answer_does_not_depend_on_the_type_or_range_of_grey_values(
    model: Model, dtype: type
) -> None:
    stack, _ = discs(1)
    scaled = Stack(stack.data.astype(dtype) * 7 + 30, "ZYX")
    assert np.allclose(
        predict_plane(model, stack, 0, device=FLOAT32),
        predict_plane(model, scaled, 0, device=FLOAT32),
        atol=1e-3,
    )


def test_resampling_brings_back_the_scale_of_the_model(model: Model) -> None:
    stack, _ = discs(1, (64, 64))
    twice = Stack(stack.data.repeat(2, axis=1).repeat(2, axis=2), "ZYX", {"Y": 0.05, "X": 0.05})
    expected = predict_plane(model, stack, 0, device=FLOAT32)
    resampled = predict_plane(model, twice, 0, device=FLOAT32, resample=True)
    as_it_is = predict_plane(model, twice, 0, device=FLOAT32)
    large = expected.repeat(2, axis=1).repeat(2, axis=2)
    assert resampled.shape == (2, 128, 128)
    assert np.abs(resampled - large).mean() < 0.5 * np.abs(as_it_is - large).mean()


def test_an_image_with_other_channels_is_refused(model: Model) -> None:
    with pytest.raises(UserError, match=r"3 channel.*made\s+for 1"):
        predict_plane(model, discs(1, n_channels=3)[0], 0, device=FLOAT32)


def test_predict_gives_masks_with_the_axes_of_the_image(model: Model) -> None:
    stack, _ = discs(3)
    events: list[Progress] = []
    masks = predict(stack, model, device="cpu", on_event=events.append)
    assert masks.shape == stack.labels_shape
    assert set(np.unique(masks).tolist()) <= {0, 1}
    assert [event.done for event in events] == [1, 2, 3]
    assert predict(stack, model, probabilities=True, device="cpu").shape == (3, 2, 96, 96)
