"""Training on stacks larger than memory: nothing is held whole, and the same is learned."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from tiny_data import CELL, FLOAT32, discs, tiny_recipe

from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.config import LossConfig, NormalisationConfig, UNetConfig
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, scan_labels
from napari_unetseg.learning import Trainer, TrainingImage, data, region_file
from napari_unetseg.learning.data import load_regions
from napari_unetseg.learning.dataset import training_image
from napari_unetseg.learning.patch_sampler import _Places
from napari_unetseg.learning.region_file import kept_regions


def annotated(n_planes: int = 6, side: int = 160) -> TrainingImage:
    """Return discs in slices that are all annotated, with an id for every one of their quarters."""
    stack, codes = discs(n_planes, (side, side))
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
    y, x = np.indices((side, side)) // 40
    ids = np.where(codes > 1, y * 10 + x + 1, 0).astype(np.uint32)
    return TrainingImage(stack, codes, blocks, ids)


NETWORKS = {
    "slices": UNetConfig(depth=2, filters=8, reduction=1),
    "sections": UNetConfig(depth=2, filters=8, reduction=1, dims="2.5"),
    "volumes": UNetConfig(depth=1, filters=4, reduction=1, dims="3"),
}


@pytest.mark.parametrize("seen", NETWORKS)
def test_a_network_learns_the_same_from_memory_and_from_a_file(seen, monkeypatch) -> None:
    image = annotated()
    recipe = tiny_recipe(4, loss=LossConfig(border_weight=2.0)).replace(
        network=NETWORKS[seen].model_dump()
    )

    def trained():
        trainer = Trainer([image], recipe, (CELL,), device=FLOAT32)
        events = list(trainer.run())
        model = trainer.current_model()
        return model.network.state_dict(), model.info.scores, len(events)

    in_memory = trained()
    made = []
    monkeypatch.setattr(region_file, "MOST_IN_MEMORY_BYTES", 100_000)
    monkeypatch.setattr(region_file, "_GIVE_BACK_BYTES", 0)
    init = region_file._MappedRegions.__init__
    monkeypatch.setattr(
        region_file._MappedRegions, "__init__", lambda *args: made.append(init(*args))
    )
    in_file = trained()
    assert len(made) == 1
    assert all(map(torch.equal, in_memory[0].values(), in_file[0].values()))
    assert in_memory[1] == in_file[1]
    assert in_memory[2] == in_file[2]


def test_regions_in_a_file_are_those_in_memory_whenever_they_are_asked_for() -> None:
    def regions():
        yield from load_regions([annotated()], NormalisationConfig(), (32, 32), unlabelled=True)

    in_memory, in_file = kept_regions(regions()), kept_regions(regions(), 200_000)
    assert isinstance(in_memory, list)
    assert not isinstance(in_file, list)
    assert len(in_memory) == len(in_file) == 6
    for one, other in [*zip(in_memory, in_file, strict=True), (in_memory[1], in_file[1])]:
        for name in ("pixels", "targets", "held_out"):
            assert torch.equal(getattr(one, name), getattr(other, name))
        assert one.maps.keys() == other.maps.keys() == {"unlabelled"}
        assert torch.equal(one.maps["unlabelled"], other.maps["unlabelled"])
        assert one.corner == other.corner


def test_no_room_for_the_file_is_said() -> None:
    resource = pytest.importorskip("resource", reason="Windows has no such limits")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(UserError, match=r"temporary files.*TMPDIR"):
            kept_regions(load_regions([annotated()], NormalisationConfig(), (32, 32)), 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class ReadBySlice:
    """Labels that refuse to be read whole, and count how often a slice is read."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values
        self.shape, self.dtype = values.shape, values.dtype
        self.reads: Counter[int] = Counter()

    def __getitem__(self, where):
        plane = where[0]
        if not isinstance(plane, int):
            raise MemoryError("the whole stack does not fit")
        self.reads[plane] += 1
        return self._values[where]

    def __array__(self, *_args, **_options):
        raise MemoryError("the whole stack does not fit")


@pytest.mark.parametrize("kind", ["annotations", "objects"])
def test_labels_are_read_slice_by_slice_and_empty_ones_once(kind) -> None:
    stack, codes = discs(8, (120, 120))
    codes[[0, 1, 3, 4, 6]] = 0
    lazy = ReadBySlice(codes if kind == "annotations" else codes.astype(np.uint16))
    (labels,) = scan_labels(["l"], [lambda: Stack(lazy, "ZYX")], kind)
    image = training_image(stack, labels, "2-7" if kind == "objects" else None)
    assert image.annotated_planes() == ([2, 5, 7] if kind == "annotations" else [*range(2, 8)])
    trainer = Trainer([image], tiny_recipe(3), labels.classes, device=FLOAT32)
    list(trainer.run())
    assert trainer.current_model().info.history["n_slices"] == len(image.annotated_planes())
    unused = [0, 1, 3, 4, 6] if kind == "annotations" else [0, 1]
    assert [lazy.reads[plane] for plane in unused] == [1] * len(unused)


def test_what_is_labelled_in_a_long_volume_is_in_one_of_its_parts(monkeypatch) -> None:
    image = annotated(20, 64)

    def regions():
        return list(load_regions([image], NormalisationConfig(), (2, 8, 8)))

    (whole,) = regions()
    monkeypatch.setattr(data, "MOST_VOXELS", 5 * 64 * 64)
    parts = regions()
    assert len(parts) == 4
    assert max(len(part.targets) for part in parts) == 5 + 2 * 2
    for name in ("targets", "held_out"):
        first = torch.cat(
            [getattr(part, name)[0 if i == 0 else 2 :][:5] for i, part in enumerate(parts)]
        )
        assert torch.equal(first, getattr(whole, name))
        labelled = sum(int(torch.count_nonzero(getattr(part, name))) for part in parts)
        assert labelled == int(torch.count_nonzero(getattr(whole, name)))
    assert torch.equal(parts[1].pixels, whole.pixels[:, 3:12])


def test_places_of_a_class_are_its_pixels_in_their_order() -> None:
    codes = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (3, 150, 90), np.uint8))
    expected = torch.nonzero(codes == 2)
    places = _Places.of(codes, 2)
    assert places.n == len(expected)
    for number in [0, 1, places.n // 2, places.n - 2, places.n - 1]:
        assert places.place(number, codes) == expected[number].tolist()


SCRIPT = """
import resource, sys
import numpy as np
from napari_unetseg.config import Recipe, TrainingConfig, UNetConfig
from napari_unetseg.images import recent
from napari_unetseg.learning import Trainer, read_training_set, region_file

recent.RECENT.most_bytes = 1 << 22
region_file.MOST_IN_MEMORY_BYTES, region_file._GIVE_BACK_BYTES = 1 << 23, 1 << 23
data = read_training_set([sys.argv[1]], [sys.argv[2]], "masks")
recipe = Recipe(
    network=UNetConfig(depth=2, filters=8, reduction=2),
    training=TrainingConfig(steps=3, max_time_s=None, patch_px=64, batch=2),
)
trainer = Trainer(data.images, recipe, data.classes, device="cpu")
for event in trainer.run():
    pass
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def test_six_times_as_many_annotated_slices_take_no_more_memory(tmp_path) -> None:
    pytest.importorskip("resource", reason="Windows counts memory otherwise")
    zarr = pytest.importorskip("zarr")
    stack, codes = discs(2, (512, 512))

    def peak(n_planes: int) -> int:
        paths = [tmp_path / f"{name}_{n_planes}.zarr" for name in ("image", "masks")]
        for path, planes in zip(paths, (stack.data, codes - 1), strict=True):
            made = zarr.create_array(
                path,
                shape=(n_planes, 512, 512),
                chunks=(4, 256, 256),
                dtype="uint8",
                dimension_names=["z", "y", "x"],
            )
            for first in range(0, n_planes, 2):
                made[first : first + 2] = planes
        command = [sys.executable, "-c", SCRIPT, *map(str, paths)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return int(done.stdout)

    few, many = peak(40), peak(240)
    # 50 MB more of labels, and 200 MB more of what training keeps of a slice.
    assert many - few < 30e6
