"""Models that come with the package: whole, small, quickly read, and clear about themselves."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest

from napari_unetseg import load_model, predict
from napari_unetseg.config import shipped_models
from napari_unetseg.images import Stack
from napari_unetseg.measure import ObjectMatcher
from napari_unetseg.synthesis.electron import electron_micrographs
from napari_unetseg.synthesis.light import fluorescent_nuclei, phase_contrast

#: All of them together.
MOST_BYTES = 20_000_000


def test_they_are_small_enough_for_a_wheel() -> None:
    files = [file for folder in shipped_models().values() for file in folder.iterdir()]
    assert set(shipped_models()) == {"membranes", "mitochondria", "nuclei", "cells"}
    assert sum(file.stat().st_size for file in files) < MOST_BYTES


@pytest.mark.parametrize("name", shipped_models())
def test_each_says_what_it_is_for_and_how_to_make_it_again(name: str) -> None:
    info = load_model(name).info
    assert info.name == name
    assert info.card is not None
    assert info.card.summary
    assert info.card.not_for
    assert info.card.licence == "BSD-3-Clause"
    assert info.card.command.startswith("napari-unetseg pretrain ")
    assert f"--steps {info.history['steps']} " in info.card.command
    assert info.card.tested
    (data,) = info.data
    assert len(data["sha256"]) == 64
    # Neither may be in weights that anyone can use: their licences forbid it.
    assert not any(word in str(info.data).lower() for word in ("vnc", "cell tracking", "ctc"))


@pytest.mark.parametrize("name", shipped_models())
def test_each_is_read_in_a_moment(name: str) -> None:
    load_model(name)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        load_model(name)
        seconds.append(time.perf_counter() - began)
    assert statistics.median(seconds) < 0.3


def test_membranes_are_found_in_images_like_those_it_learned_from() -> None:
    both = either = 0
    for seed in range(8):  # some of them show next to no membrane, or next to nothing for noise
        drawn = electron_micrographs(np.random.default_rng([seed, 99]), (1, 192, 192), px_nm=8.0)
        found = predict(Stack(drawn.pixels[0], "YX"), "membranes", device="cpu") > 0
        codes = drawn.codes["membrane"][0]
        true, known = codes == 2, codes > 0
        both += int((found & true).sum())
        either += int(((found | true) & known).sum())
    assert both / either > 0.4


@pytest.mark.parametrize(
    ("name", "drawn_by"), [("nuclei", fluorescent_nuclei), ("cells", phase_contrast)]
)
def test_objects_are_found_one_by_one_in_images_like_those_it_learned_from(name, drawn_by) -> None:
    matcher = ObjectMatcher()
    for seed in range(8):
        drawn = drawn_by(np.random.default_rng([seed, 98]), (192, 192))
        found = predict(Stack(drawn.pixels[0], "YX"), name, objects=True, device="cpu")
        (truth,) = drawn.ids.values()
        matcher.add(truth[0], found, seed)
    assert matcher.scores().seg > 0.5
