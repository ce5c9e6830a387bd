"""Measure what the demo finds on several generated stacks.

Runs ``napari-unetseg demo --headless`` for every seed, one after the other, and prints a table as
it stands in ``docs/benchmarks.md``. The exit status is 1 where the network is less than 0.05 mean
IoU over the best baseline, or the corrected round less than 0.01 over the same extra time without
corrections.

::

    python benchmarks/demo_seeds.py [--seeds 0,1,2] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

OVER_BASELINE, BY_CORRECTING = 0.05, 0.01
COLUMNS = (
    "seed",
    "best baseline",
    "its mean IoU",
    "U-Net, first strokes",
    "longer, uncorrected",
    "corrected",
    "over baseline",
    "by correcting",
    "seconds",
)


def main() -> int:
    """Run the demo for every seed and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2", help="of the generated stacks")
    parser.add_argument("--keep", type=Path, help="folder to keep the results in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        rows = [run(int(seed), folder / f"seed-{seed}") for seed in options.seeds.split(",")]
    print("|", " | ".join(COLUMNS), "|")
    print("|", " | ".join("---" for _ in COLUMNS), "|")
    for row in rows:
        print("|", " | ".join(row_text(row)), "|")
    enough = all(row[6] >= OVER_BASELINE and row[7] >= BY_CORRECTING for row in rows)
    print(f"\nAt least {OVER_BASELINE} and {BY_CORRECTING} everywhere: {'yes' if enough else 'NO'}")
    return 0 if enough else 1


def run(seed: int, folder: Path) -> list[Any]:
    """Run the demo in a process of its own and return its row of the table."""
    program = "import sys; from napari_unetseg.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "demo", "--headless", "--overwrite"]
    start = time.monotonic()
    subprocess.run(
        [*command, "--seed", str(seed), "-o", str(folder)], check=True, stdout=sys.stderr
    )
    seconds = time.monotonic() - start
    facts = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    best = facts["best_baseline"]
    mean_iou = {name: scores["mean_iou"] for name, scores in facts["methods"].items()}
    networks = [score for name, score in mean_iou.items() if name.startswith("U-Net")]
    gains = facts["gain_over_best_baseline"], facts["gain_over_same_time_without_corrections"]
    return [seed, best, mean_iou[best], *networks, *gains, round(seconds)]


def row_text(row: list[Any]) -> list[str]:
    """Format a row: scores with three decimals, gains with a sign."""
    scores = [f"{value:.3f}" for value in row[2:6]]
    gains = [f"{value:+.3f}" for value in row[6:8]]
    return [str(row[0]), row[1], *scores, *gains, str(row[8])]


if __name__ == "__main__":
    sys.exit(main())
