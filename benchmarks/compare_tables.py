"""Which method to use, on real and generated images: ``--write`` makes ``docs/comparison.md``.

Every method is compared as ``napari-unetseg compare`` does, in the same time::

    UNETSEG_DATA=../shared/data python benchmarks/compare_tables.py --write
    UNETSEG_DATA=../shared/data python benchmarks/compare_tables.py --only vnc --max-time 60

``vnc`` is serial-section EM, three slices of it annotated completely (membranes); ``nuclei`` ten
fluorescence images that no model has learned from; ``neuropil`` and ``nuclei-stack`` the samples
of this repository, three slices of each annotated.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_unetseg.comparison import DEFAULT_TIME_S, AnnotatedImage, Comparison
from napari_unetseg.config import LabelClass, shipped_models
from napari_unetseg.events import MethodCompared, Progress
from napari_unetseg.learning import read_training_set
from napari_unetseg.synthesis.nuclei_images import split_names

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("UNETSEG_DATA", ROOT.parent / "shared" / "data"))
DOCS = ROOT / "docs"

#: Of stacks.
SLICES = {"vnc": "3,10,16", "neuropil": "1,4,6", "nuclei-stack": "2,5,8"}

#: Of the images of nuclei that no model has learned from, every so many.
EVERY_NUCLEI = 10

INTRODUCTION = """# Do I need a network?

```
UNETSEG_DATA=../shared/data python benchmarks/compare_tables.py --write
```

What `napari-unetseg compare` says of four sets of images, {seconds:.0f} s for each. Parameters of
the classical methods are searched, the pixel classifier is trained and a network is trained on
one part of the annotations; all are scored on blocks of 64 px that are held out, and the same for
every method. The spread is the standard error of the mean IoU over these blocks: they lie near
each other, so between images of another day scores differ by more. *prepare* is the time to
search or to train, *slice* that to segment a slice then. Bold is what is recommended: the
simplest of those that are as good as the best.
"""


@dataclass(frozen=True, slots=True)
class Task:
    """Images with annotations."""

    title: str
    images: list[AnnotatedImage]
    classes: tuple[LabelClass, ...]


def stack(title: str, image: Path, masks: Path, slices: str) -> Task:
    """Read some slices of a stack with their truth."""
    data = read_training_set([image], [masks], "masks", slices=slices)
    images = [AnnotatedImage(i.stack, i.codes, i.blocks) for i in data.images]
    return Task(title, images, data.classes)


def nuclei() -> Task:
    """Read ten fluorescence images with their truth."""
    folder = DATA / "nuclei"
    _, kept_out = split_names([path.name for path in (folder / "images").glob("*.png")])
    names = kept_out[EVERY_NUCLEI // 2 :: EVERY_NUCLEI]
    images, masks = ([folder / kind / name for name in names] for kind in ("images", "masks"))
    data = read_training_set(images, masks, "objects")
    found = [AnnotatedImage(i.stack, i.codes, i.blocks) for i in data.images]
    return Task("Ten fluorescence images of nuclei", found, data.classes)


TASKS: dict[str, Callable[[], Task]] = {
    "vnc": lambda: stack(
        "Membranes in serial-section EM, three slices of 1024 × 1024 px",
        DATA / "vnc" / "raw.ome.tif",
        DATA / "vnc" / "membranes.ome.tif",
        SLICES["vnc"],
    ),
    "nuclei": nuclei,
    "neuropil": lambda: stack(
        "The generated neuropil, three slices of 384 × 384 px",
        ROOT / "sample_data" / "neuropil.ome.tif",
        ROOT / "sample_data" / "neuropil_masks.ome.tif",
        SLICES["neuropil"],
    ),
    "nuclei-stack": lambda: stack(
        "The generated nuclei, three slices of 192 × 192 px",
        ROOT / "sample_data" / "nuclei.ome.tif",
        ROOT / "sample_data" / "nuclei_masks.ome.tif",
        SLICES["nuclei-stack"],
    ),
}


def main() -> None:
    """Compare, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=TASKS)
    parser.add_argument("--write", action="store_true", help="write the page, not only print it")
    parser.add_argument("--max-time", type=float, default=DEFAULT_TIME_S, help="seconds for each")
    arguments = parser.parse_args()
    page = [INTRODUCTION.format(seconds=arguments.max_time) + beside()]
    for name in arguments.only or TASKS:
        task = TASKS[name]()
        comparison = compared(task, arguments.max_time)
        page.append("\n".join(section(task.title, comparison)))
        print(page[-1], flush=True)
    if arguments.write:
        (DOCS / "comparison.md").write_text("\n".join(page), encoding="utf-8")


def beside() -> str:
    """Say so where other programs keep the processor busy."""
    cores = os.cpu_count() or 1
    if not hasattr(os, "getloadavg") or os.getloadavg()[0] < cores / 4:
        return ""
    return (
        f"\nOther programs kept the {cores} cores busy meanwhile: alone, more methods fit into "
        "the time, and each takes less of it.\n"
    )


def compared(task: Task, max_time_s: float) -> Comparison:
    """Compare every method on a task."""
    comparison = Comparison(
        task.images, task.classes, models=list(shipped_models()), max_time_s=max_time_s
    )
    for event in comparison.run():
        if isinstance(event, Progress):
            print(f"\r{event.stage:80}", end="", flush=True)
    print()
    return comparison


def section(title: str, comparison: Comparison) -> Iterator[str]:
    """Yield the lines of a table, and what is recommended."""
    recommended = comparison.recommended()
    yield f"## {title}\n"
    yield f"{comparison.scored_on}\n"
    yield f"**{recommended.sentence}**\n"
    yield "| method | mean IoU | Dice | boundary F1 | prepare | slice | labels |"
    yield "|---|---|---|---|---|---|---|"
    for row in comparison.rows:
        cells = " | ".join(told(row))
        bold = "**" if row.name == recommended.name else ""
        yield f"| {bold}{row.title}{bold} | {cells} |"
    yield ""
    for row in comparison.rows:
        if row.note:
            yield f"{row.title}: {row.note[0].lower()}{row.note[1:]}"
    reasons = dict.fromkeys(missed.reason for missed in comparison.not_run)
    for reason in reasons:
        missed = [one.title for one in comparison.not_run if one.reason == reason]
        yield f"Not in the table ({reason}): {', '.join(missed)}."
    yield ""


def told(row: MethodCompared) -> list[str]:
    """Return the cells of a row."""
    spread = "" if row.spread is None else f" ± {row.spread:.3f}"
    return [
        f"{row.mean_iou:.3f}{spread}",
        f"{row.dice:.3f}",
        "" if row.boundary_f1 is None else f"{row.boundary_f1:.3f}",
        f"{row.prepare_s:.1f} s",
        f"{np.ceil(1000 * row.slice_s):.0f} ms",
        "needed" if row.needs_labels else "",
    ]


if __name__ == "__main__":
    main()
