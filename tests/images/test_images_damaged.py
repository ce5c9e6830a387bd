"""Damaged files of every format, as images and as labels: their pixels, or one sentence.

Each is opened in a process of its own that is stopped when it takes too long, or more memory than
a small file needs. ``UNETSEG_DAMAGED=1000`` looks at as many of each format, and not at a few.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from seed_files import SEEDS

CHILD = Path(__file__).with_name("damage_child.py")

#: Of each format; the larger number is for a long run.
N_CASES = int(os.environ.get("UNETSEG_DAMAGED", "3"))

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux"),
    pytest.mark.timeout(300 + 60 * N_CASES),
]


def made(folder):
    """Write a whole file of each format into a folder of its own."""
    for name, seed in SEEDS.items():
        (folder / name).mkdir(parents=True)
        seed.write(folder / name / name)
    return folder


def looked_at(folder, first, count, names=SEEDS):
    """Return what was told of cases that went wrong, and how many ended in which way."""
    command = [sys.executable, "-W", "ignore", str(CHILD), str(folder), "7", str(first)]
    ran = subprocess.run(
        [*command, str(count), *names],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    *wrong, outcomes = [json.loads(line) for line in ran.stdout.splitlines()]
    return wrong, outcomes


def test_damaged_files_are_read_or_refused_in_a_sentence(tmp_path):
    wrong, outcomes = looked_at(made(tmp_path / "whole"), 0, N_CASES)
    assert not wrong, json.dumps(wrong[:5], indent=1)
    assert sum(outcomes.values()) == N_CASES * len(SEEDS)
    # Otherwise nothing was damaged, or nothing could be opened at all.
    assert outcomes["refused"] > N_CASES * len(SEEDS) // 4
    assert outcomes["same"] + outcomes["read"] > N_CASES * len(SEEDS) // 20


WRONG = {
    "raise KeyboardInterrupt('traceback')": "traceback",
    "os.kill(os.getpid(), 11)": "it ended with -11",
    "np.ones(1 << 31, np.uint8)": "MemoryError",
    "pickle.loads(pickle.dumps(Path))": "pickle.find_class",
    "raise UserError('two\\nlines')": "not one sentence",
    "return Stack(np.zeros((3, 24, 32), np.uint8), 'ZYX')": "as if it were whole",
    "signal.alarm(1); time.sleep(9)": "it took",
}


def test_what_should_not_happen_is_seen(tmp_path):
    whole = tmp_path / "whole"
    (whole / "grey.tif").mkdir(parents=True)
    for name in ("grey.tif/grey.tif", "other.tif"):
        SEEDS["grey.tif"].write(whole / name)
    lines = "".join(f"    if number == {n}:\n        {do}\n" for n, do in enumerate(WRONG))
    code = f"""
import sys, pickle
sys.path.insert(0, {str(CHILD.parent)!r})
import damage_child, damaging
from damage_child import *
from napari_unetseg.images import Stack
whole = open_stack
def opened(path, *rest):
    if "work" not in str(path):
        return whole(path)
    number = int(str(path.parent).rpartition("-")[2])
{lines}
damage_child.open_stack = opened
damage_child.as_labels = lambda path, expected, *_: as_image(path, expected)
damaging.KINDS = (damaging._cut,)
main(Path({str(whole)!r}), 1, 0, {len(WRONG)}, ["grey.tif"])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    *told, outcomes = map(json.loads, ran.stdout.splitlines())
    assert outcomes == {"wrong": len(WRONG)}, ran.stderr
    for case, wanted in zip(told, WRONG.values(), strict=True):
        assert wanted in case["said"]
