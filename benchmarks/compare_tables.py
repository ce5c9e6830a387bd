"""Which method to use, on real and generated images: ``--write`` makes ``docs/comparison.md``.

Every method is compared as ``napari-unetseg compare`` does, in the same time::

    UNETSEG_DATA=../shared/data python benchmarks/compare_tables.py --write
    UNETSEG_DATA=../shared/data python benchmarks/compare_tables.py --only vnc --max-time 60

Which images are compared follows from a rule that was written down before any result was seen, and
every table is shown: all sets with a known truth that this program is developed with, whatever wins
there, and the samples of this repository. Of stacks and films three slices are annotated, evenly
spread; of separate images ten. Then the same real sets with little annotated, as by somebody who
begins: the one slice in the middle, or two images, and half the time.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_unetseg.comparison import DEFAULT_TIME_S, AnnotatedImage, Comparison
from napari_unetseg.config import LabelClass, shipped_models
from napari_unetseg.events import MethodCompared, Progress
from napari_unetseg.images import LabelsKind
from napari_unetseg.learning import read_training_set
from napari_unetseg.synthesis.nuclei_images import split_names

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("UNETSEG_DATA", ROOT.parent / "shared" / "data"))
DOCS = ROOT / "docs"

#: Of stacks; the one in the middle is annotated where little is.
SLICES = {
    "vnc": "3,10,16",
    "ovule": "20,50,80",
    "neuropil": "1,4,6",
    "nuclei-stack": "2,5,8",
}

#: Of the images of nuclei that no model has learned from, every so many.
EVERY_NUCLEI = 10

#: Share of the time that is given where little is annotated.
FEW_SHARE = 0.5

INTRODUCTION = """# Do I need a network?

```
UNETSEG_DATA=../shared/data python benchmarks/compare_tables.py --write
```

What `napari-unetseg compare` says. Which images are compared was decided before any result was
seen, and all tables are here, whatever wins: every set with a known truth that this program is
developed with, and the samples of the repository. Of stacks and films three slices are annotated,
evenly spread, of separate images ten, and the time is {seconds:.0f} s. Then the same real sets as
somebody has them who begins, with one slice annotated, or two images, in {few:.0f} s.

Parameters of the classical methods are searched, steps before and after them are tried, the pixel
classifier and a network are trained on one part of the annotations; all are scored on blocks of
64 px that are held out, the same for every method, or in turn where too little is annotated for
that. The spread is the standard error of the mean IoU over what is scored on: blocks lie near each
other, so between images of another day scores differ by more. *prepare* is the time to search or to
train, *slice* that to segment a slice then. Bold is what is recommended: the simplest of those that
are as good as the best, which is within 0.01 of it, or within the standard error of the difference
and 0.02.
"""


@dataclass(frozen=True, slots=True)
class Task:
    """Images with annotations."""

    title: str
    images: list[AnnotatedImage]
    classes: tuple[LabelClass, ...]


def stack(title: str, image: Path, labels: Path, slices: str, kind: LabelsKind = "masks") -> Task:
    """Read some slices of a stack with their truth."""
    data = read_training_set([image], [labels], kind, slices=slices)
    images = [AnnotatedImage(i.stack, i.codes, i.blocks) for i in data.images]
    return Task(title, images, data.classes)


def nuclei(title: str = "Ten fluorescence images of nuclei", n: int = 10) -> Task:
    """Read fluorescence images with their truth: the first and last of ten where it is two."""
    folder = DATA / "nuclei"
    _, kept_out = split_names([path.name for path in (folder / "images").glob("*.png")])
    names = spread(kept_out[EVERY_NUCLEI // 2 :: EVERY_NUCLEI], n)
    images, masks = ([folder / kind / name for name in names] for kind in ("images", "masks"))
    data = read_training_set(images, masks, "objects")
    found = [AnnotatedImage(i.stack, i.codes, i.blocks) for i in data.images]
    return Task(title, found, data.classes)


def spread(items: Sequence[str], n: int) -> list[str]:
    """Return some items, evenly spread; of one, that in the middle."""
    if n == 1:
        return [items[len(items) // 2]]
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, min(n, len(items))).round()]


def vnc(title: str, slices: str) -> Task:
    """Read membranes in serial-section EM."""
    folder = DATA / "vnc"
    return stack(title, folder / "raw.ome.tif", folder / "membranes.ome.tif", slices)


def ovule(title: str, slices: str) -> Task:
    """Read nuclei in a confocal volume."""
    folder = DATA / "ovule3d"
    return stack(title, folder / "raw.ome.tif", folder / "nuclei.ome.tif", slices, "objects")


def film(title: str, name: str, n: int) -> Task:
    """Read frames of a film, of those that are annotated completely."""
    base = DATA / "ctc" / f"{name}_01"
    lines = base.with_name(f"{base.name}_frames.txt").read_text(encoding="utf-8").splitlines()[1:]
    frames = [str(i) for i, line in enumerate(lines) if line.split()[-1] == "yes"]
    image, masks = (base.with_name(f"{base.name}_{kind}.ome.tif") for kind in ("images", "masks"))
    return stack(title, image, masks, ",".join(spread(frames, n)), "objects")


def sample(title: str, name: str) -> Task:
    """Read a sample of this repository."""
    folder = ROOT / "sample_data"
    image, masks = folder / f"{name}.ome.tif", folder / f"{name}_masks.ome.tif"
    slices = SLICES["nuclei-stack" if name == "nuclei" else name]
    return stack(title, image, masks, slices)


def middle(name: str) -> str:
    """Return the slice of a stack that is annotated where little is."""
    return spread(SLICES[name].split(","), 1)[0]


MANY: dict[str, Callable[[], Task]] = {
    "vnc": lambda: vnc("Membranes in serial-section EM, three slices", SLICES["vnc"]),
    "nuclei": nuclei,
    "ovule": lambda: ovule("Nuclei in a confocal volume, three slices", SLICES["ovule"]),
    "hela": lambda: film("Cells in DIC, three frames", "DIC-C2DH-HeLa", 3),
    "u373": lambda: film("Cells in phase contrast, three frames", "PhC-C2DH-U373", 3),
    "neuropil": lambda: sample("The generated neuropil, three slices", "neuropil"),
    "nuclei-stack": lambda: sample("The generated nuclei, three slices", "nuclei"),
}

FEW: dict[str, Callable[[], Task]] = {
    "vnc-few": lambda: vnc("Membranes in serial-section EM, one slice", middle("vnc")),
    "nuclei-few": lambda: nuclei("Two fluorescence images of nuclei", 2),
    "ovule-few": lambda: ovule("Nuclei in a confocal volume, one slice", middle("ovule")),
    "hela-few": lambda: film("Cells in DIC, one frame", "DIC-C2DH-HeLa", 1),
    "u373-few": lambda: film("Cells in phase contrast, one frame", "PhC-C2DH-U373", 1),
}

TASKS = MANY | FEW


def main() -> None:
    """Compare, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=TASKS)
    parser.add_argument("--write", action="store_true", help="write the page, not only print it")
    parser.add_argument("--max-time", type=float, default=DEFAULT_TIME_S, help="seconds for each")
    arguments = parser.parse_args()
    seconds, few = arguments.max_time, FEW_SHARE * arguments.max_time
    page = [INTRODUCTION.format(seconds=seconds, few=few) + beside()]
    for name in arguments.only or TASKS:
        task = TASKS[name]()
        comparison = compared(task, few if name in FEW else seconds)
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
    for note in dict.fromkeys(row.note for row in comparison.rows if row.note):
        titles = ", ".join(row.title for row in comparison.rows if row.note == note)
        yield f"{titles}: {note[0].lower()}{note[1:]}\n"
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
        "on each slice" if row.on_each_slice else "needed" if row.needs_labels else "",
    ]


if __name__ == "__main__":
    main()
