"""Examples come in one order from any number of processes, and these end."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.synthesis.electron import electron_micrographs
from napari_unetseg.synthesis.stream import checksum, example, stream

DRAW = partial(electron_micrographs, shape=(1, 24, 24))


def test_the_order_does_not_depend_on_who_draws_or_where_one_starts() -> None:
    with stream(DRAW, 5, workers=2) as examples:
        drawn = [next(examples) for _ in range(5)]
    with stream(DRAW, 5, start=3) as examples:
        later = next(examples)
    assert np.array_equal(drawn[3].pixels, later.pixels)
    assert np.array_equal(drawn[4].pixels, example(DRAW, 5, 4).pixels)
    assert not psutil.Process().children(recursive=True) or all(
        "spawn_main" not in " ".join(child.cmdline())
        for child in psutil.Process().children(recursive=True)
    )


def test_the_checksum_depends_on_pixels_codes_and_order() -> None:
    first, second = example(DRAW, 0, 0), example(DRAW, 0, 1)
    assert checksum(checksum("", first), second) == checksum(checksum("", first), second)
    assert checksum(checksum("", first), second) != checksum(checksum("", second), first)
    changed = type(first)(first.pixels, {**first.codes, "membrane": first.codes["membrane"] * 0})
    assert checksum("", changed) != checksum("", first)


def test_a_failure_of_a_worker_reaches_whoever_waits() -> None:
    with (
        stream(partial(electron_micrographs, shape=(1, -5, 24)), 0) as examples,
        pytest.raises(ValueError),  # noqa: PT011
    ):
        next(examples)


def test_a_worker_that_is_killed_is_told_in_a_sentence() -> None:
    with pytest.raises(UserError, match="fewer --workers"):
        _draw_while_a_worker_is_killed()


def _draw_while_a_worker_is_killed() -> None:
    before = set(psutil.Process().children())
    with stream(DRAW, 0) as examples:
        next(examples)
        for child in set(psutil.Process().children()) - before:
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()
        for _ in range(20):
            next(examples)


def test_workers_end_when_the_one_who_wants_examples_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from functools import partial\n"
        "from napari_unetseg.synthesis.electron import electron_micrographs\n"
        "from napari_unetseg.synthesis.stream import stream\n"
        "if __name__ == '__main__':\n"
        "    draw = partial(electron_micrographs, shape=(1, 24, 24))\n"
        "    with stream(draw, 0, workers=2) as examples:\n"
        "        for _ in range(20):\n"
        "            next(examples)\n"
        "        print('drawn', flush=True)\n"
        "        input()\n"
    )
    with subprocess.Popen(
        [sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline().strip() == b"drawn"
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert len(children) >= 2
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
