"""Damaged files and messages, some thousands of each: an answer or one sentence, soon."""

import io
import json
import pickle
import resource
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
import tifffile
import torch
from mutations import STRANGE_JSON, damaged, damaged_json, damaged_text, with_right_checksums
from PIL import Image
from safetensors.torch import save

from napari_unetseg.annotations import new_blocks
from napari_unetseg.config import ModelInfo, Recipe, default_class, load_recipe, read_model_info
from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished, FinishReason
from napari_unetseg.images import Stack, map_npy, open_stack, read_labels, write_labels
from napari_unetseg.jobs import BaselineCommand, ImageRef, ImageToSegment, Worker
from napari_unetseg.jobs.commands import to_fields
from napari_unetseg.jobs.wire import read_command, write_command
from napari_unetseg.learning import Model, load_model
from napari_unetseg.networks import build_network
from napari_unetseg.project import Session

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

#: Seconds of the processor that no input may take.
AT_MOST_S = 5
#: Memory that reading a file of a few kB may ask for; more is refused by the system here.
AT_MOST_BYTES = 4 << 30


class Unpickled(BaseException):
    """Something was unpickled; nothing catches this."""


@pytest.fixture(autouse=True)
def nothing_is_unpickled(monkeypatch):
    def refusing(real):
        def refuse(*arguments, **options):
            # dask looks at its own functions that way, never at what is in a file.
            if sys._getframe(1).f_globals["__name__"].partition(".")[0] in ("dask", "cloudpickle"):
                return real(*arguments, **options)
            raise Unpickled

        return refuse

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refusing(getattr(pickle, name)))


@pytest.fixture(autouse=True)
def little_memory():
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:  # noqa: PTH123
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + AT_MOST_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Tally:
    """How many inputs were read, how many refused, and the slowest."""

    def __init__(self, folder):
        self.read = self.refused = 0
        self.slowest_s = 0.0
        self.folder = folder

    @contextmanager
    def one(self, content, what):
        """Run what reads one input; keep the input where that goes wrong."""
        began = time.process_time()
        try:
            try:
                yield
                self.read += 1
            except UserError as error:
                self.refused += 1
                sentence = str(error)
            else:
                sentence = "read"
            assert sentence.strip()
            assert "\n" not in sentence
            took = time.process_time() - began
            assert took < AT_MOST_S, f"{took:.1f} s"
        except BaseException:
            (self.folder / "culprit").write_bytes(content)
            print(f"{what}: the input is in {self.folder / 'culprit'}: {content[:200]!r}")  # noqa: T201
            raise
        self.slowest_s = max(self.slowest_s, took)

    def __str__(self):
        return (
            f"{self.read + self.refused} inputs: {self.refused} refused in a sentence, {self.read} "
            f"read; the slowest took {self.slowest_s:.2f} s"
        )


@pytest.fixture
def tally(tmp_path):
    return Tally(tmp_path)


def seed_images(folder):
    """Write small images of many kinds; return name → (bytes, pixels as they are read)."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 255, (3, 24, 32), dtype=np.uint8)
    deep = rng.integers(0, 60000, (40, 50, 3), dtype=np.uint16)
    labels = rng.integers(0, 3, (3, 24, 32)).astype(np.uint8)
    like = Stack(grey, "ZYX", {"Z": 0.05, "Y": 0.01, "X": 0.01}, "cells")
    tifffile.imwrite(folder / "plain.tif", grey, photometric="minisblack")
    tifffile.imwrite(folder / "lzw.tif", grey, photometric="minisblack", compression="lzw")
    tifffile.imwrite(folder / "tiled.tif", deep, compression="zlib", tile=(32, 32))
    tifffile.imwrite(folder / "imagej.tif", grey, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "big.tif", grey, bigtiff=True, byteorder=">")
    classes = (default_class(1), default_class(2))
    write_labels(folder / "ours.ome.tif", labels, like=like, kind="annotations", classes=classes)
    Image.fromarray(grey[0]).save(folder / "grey.png")
    Image.fromarray((deep // 256).astype(np.uint8)).save(folder / "colour.png")
    Image.fromarray(deep[..., 0]).save(folder / "deep.png")
    Image.fromarray(labels[0]).convert("P").save(folder / "palette.png")
    Image.fromarray(grey[1]).save(folder / "grey.jpg")
    return {
        path.name: (path.read_bytes(), np.stack(list(open_stack(path).planes())))
        for path in sorted(folder.iterdir())
    }


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return seed_images(tmp_path_factory.mktemp("seeds"))


@pytest.mark.filterwarnings("ignore")
def test_damaged_images_are_read_or_refused(tmp_path, images, tally, figures):
    rng = np.random.default_rng(0)
    for name, (content, pixels) in images.items():
        for i in range(300):
            broken = damaged(content, rng)
            if name.endswith(".png") and i % 2:
                broken = with_right_checksums(broken)
            path = tmp_path / name
            path.write_bytes(broken)
            with tally.one(broken, name):
                stack = open_stack(path)
                for plane in stack.planes():
                    assert plane.shape == (stack.n_channels, *stack.plane_shape)
                if broken == content:
                    assert (np.stack(list(stack.planes())) == pixels).all()
            if not i % 3:
                with tally.one(broken, f"{name} as labels"):
                    read_labels(path, "annotations")
            path.unlink()
    figures(f"images: {tally}")


@pytest.mark.filterwarnings("ignore")
def test_images_cut_short_never_give_other_pixels(tmp_path, images, tally, figures):
    for name, (content, pixels) in images.items():
        for length in np.linspace(0, len(content) - 1, 120).astype(int):
            path = tmp_path / name
            path.write_bytes(content[:length])
            with tally.one(content[:length], name):
                read = np.stack(list(open_stack(path).planes()))
                assert read.shape == pixels.shape
                assert (read == pixels).all()
            path.unlink()
    figures(f"images cut short: {tally}")


def tiny_model():
    recipe = Recipe()
    recipe = recipe.replace(network=recipe.network.replace(depth=1, filters=4))
    info = ModelInfo(name="m", recipe=recipe, classes=(default_class(1),), channels=("",))
    network = build_network(recipe.network, 1, 2)
    return Model(info, network, ({"step": 1.0, "loss": 0.5},), np.zeros((9, 9, 3), np.uint8))


def pickles():
    """Return files that ask to be unpickled."""
    zipped = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, zipped)
    array = io.BytesIO()
    np.save(array, np.array([{"a": 1}], dtype=object))
    return [zipped.getvalue(), array.getvalue(), pickle.dumps({"a": 1})]


@pytest.mark.filterwarnings("ignore")
def test_damaged_models_are_loaded_or_refused(tmp_path, tally, figures):
    rng = np.random.default_rng(1)
    folder = tiny_model().save(tmp_path / "m.unet")
    names = ("model.json", "weights.safetensors", "history.csv", "preview.png")
    whole = {name: (folder / name).read_bytes() for name in names}
    facts = json.loads(whole["model.json"])
    for i in range(1500):
        name = names[min(int(rng.integers(8)) // 3, 2) + int(rng.random() < 0.05)]
        broken = damaged(whole[name], rng)
        if name == "model.json":
            broken = damaged_text(facts, rng)
        (folder / name).write_bytes(broken)
        with tally.one(broken, name):
            load_model(folder)
        if name == "model.json" and not i % 2:
            with tally.one(broken, name):
                read_model_info(folder)
        (folder / name).write_bytes(whole[name])
    for length in range(0, len(whole["weights.safetensors"]), 97):
        (folder / names[1]).write_bytes(whole[names[1]][:length])
        with pytest.raises(UserError):
            load_model(folder)
    for content in [*pickles(), save({"other": torch.zeros(2)})]:
        (folder / names[1]).write_bytes(content)
        with pytest.raises(UserError):
            load_model(folder)
    (folder / names[1]).write_bytes(whole[names[1]])
    assert load_model(folder).info.name == "m"
    figures(f"models: {tally}")


def test_a_small_file_cannot_ask_for_a_huge_network(tmp_path, tally):
    folder = tiny_model().save(tmp_path / "m.unet")
    facts = json.loads((folder / "model.json").read_text())
    facts["recipe"]["network"] |= {"depth": 6, "filters": 128}
    (folder / "model.json").write_text(json.dumps(facts))
    with tally.one(b"", "a huge network"):
        load_model(folder)
    assert tally.refused


def test_damaged_recipes_are_read_or_refused(tmp_path, tally, figures):
    rng = np.random.default_rng(2)
    path, facts = tmp_path / "recipe.json", Recipe().model_dump(mode="json")
    for i in range(3000 + len(STRANGE_JSON)):
        broken = STRANGE_JSON[i] if i < len(STRANGE_JSON) else damaged_text(facts, rng)
        path.write_bytes(broken)
        with tally.one(broken, "recipe"):
            recipe = load_recipe(str(path))
            assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    figures(f"recipes: {tally}")


SHAPE = (2, 70, 80)


@pytest.mark.filterwarnings("ignore")
def test_damaged_sessions_never_keep_a_window_from_opening(tmp_path, tally, figures):
    rng = np.random.default_rng(3)
    old = Session(tmp_path / "sessions")
    old.array("image-1", "annotations", SHAPE)[0, 0, :50] = 2
    old.array("image-1", "blocks", new_blocks(SHAPE).shape)[0, 0] = 1
    old.describe([default_class(1)], {"image-1": {"fingerprint": "abc", "name": "cells"}})
    old.close()
    names = ("session.json", "image-1/annotations.npy", "image-1/blocks.npy")
    whole = {name: (old.folder / name).read_bytes() for name in names}
    facts = json.loads(whole["session.json"])
    n_found = 0
    for i in range(900):
        name = names[int(rng.integers(3))]
        broken = damaged(whole[name], rng)
        if name == "session.json":
            broken = STRANGE_JSON[i] if i < len(STRANGE_JSON) else damaged_text(facts, rng)
        (old.folder / name).write_bytes(broken)
        with tally.one(broken, name):
            session = Session(tmp_path / "sessions")
            for work in session.earlier_work("abc"):
                n_found += 1
                earlier = np.load(work.annotations, allow_pickle=False)
                assert np.count_nonzero(earlier) == work.n_labelled_px
            if i % 10:
                session._arrays.clear()  # as if killed
            else:
                session.close()
        assert (old.folder / "image-1" / "annotations.npy").exists() or not broken
        (old.folder / "image-1").mkdir(parents=True, exist_ok=True)
        for each in names:
            (old.folder / each).write_bytes(whole[each])
        for child in (tmp_path / "sessions").iterdir():
            if child != old.folder:
                (child / "session.json").unlink()
                child.rmdir()
    assert tally.refused == 0
    figures(f"sessions: {tally}; work found in {n_found}")


def test_damaged_arrays_are_opened_or_refused(tmp_path, tally, figures):
    rng = np.random.default_rng(4)
    path = tmp_path / "codes.npy"
    np.save(path, np.ones((2, 20, 30), np.uint8))
    whole = path.read_bytes()
    for content in [*pickles(), *(damaged(whole, rng) for _ in range(2000))]:
        path.write_bytes(content)
        with tally.one(content, "npy"):
            opened = map_npy(path)
            opened.sum(where=opened == opened)
    figures(f"arrays: {tally}")


def commands(folder):
    """Return a command that works, its image and its target."""
    np.save(folder / "image.npy", np.random.default_rng(0).integers(0, 255, (2, 40, 40), np.uint8))
    image = ImageRef("image-1", str(folder / "image.npy"), "ZYX", {"Y": 0.1, "X": 0.1})
    target = ImageToSegment(image, str(folder / "codes.npy"))
    return BaselineCommand([target], {"steps": [{"step": "otsu"}]})


def test_damaged_command_lines_are_understood_or_refused(tmp_path, tally, figures):
    rng = np.random.default_rng(5)
    facts = {"job": 3, **to_fields(commands(tmp_path))}
    for i in range(4000 + len(STRANGE_JSON)):
        broken = STRANGE_JSON[i] if i < len(STRANGE_JSON) else damaged_text(facts, rng)
        with tally.one(broken, "command"):
            number, message = read_command(broken)
            assert isinstance(number, int)
            if isinstance(message, UserError):
                raise message
            assert read_command(write_command(number, message)) == (number, message)
    figures(f"command lines: {tally}")


def test_a_child_survives_whatever_is_sent_and_works_afterwards(tmp_path, figures):
    rng = np.random.default_rng(6)
    good = commands(tmp_path)
    worker, n_failed, n_done = Worker(), 0, 0
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        worker.start()
        pid = worker.pid
        for i in range(250):
            fields = damaged_json(to_fields(good), rng)
            for _ in range(5):
                # Newlines would make several lines of it, the first of them of no job.
                worker._child.send(damaged_text({**fields, "job": 0}, rng) + b"\n")
            line = json.dumps({**fields, "job": worker._job + 1}).encode() + b"\n"
            finished = submit_line(worker, good, line)
            n_failed += finished.reason is FinishReason.FAILED
            n_done += finished.reason is FinishReason.COMPLETED
            assert "Something went wrong" not in finished.sentence, (fields, finished.details)
            assert worker.pid == pid, f"input {i}: {worker.stderr_tail()}"
        assert submit_line(worker, good, None).reason is FinishReason.COMPLETED
    finally:
        worker.close()
    figures(
        f"one child: 250 damaged commands ({n_failed} refused in a sentence, {n_done} done) among "
        "1250 damaged lines; then a good one, done by the same process"
    )


def submit_line(worker, good, line):
    """Submit a command, in whose place a line goes to the child; return its `Finished`."""
    send = worker._child.send
    if line is not None:
        worker._child.send = lambda _: send(line)
    worker.submit(good)
    worker._child.send = send
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for event in worker.poll():
            if isinstance(event, Finished):
                return event
        time.sleep(0.002)
    raise TimeoutError(line)
