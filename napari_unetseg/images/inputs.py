"""Which files a person means."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from napari_unetseg.errors import UserError

from .formats import SUFFIXES
from .names import is_of_system, natural_key, stem_of, suffix_of
from .picture_folder import ABOUT_JSON
from .places import split_place
from .reading import is_chunk_store, nothing_at
from .sequence import images_in


def find_inputs(specs: Sequence[str | Path]) -> list[Path]:
    """Turn files, folders and quoted globs into a list of images.

    Parameters
    ----------
    specs : sequence of str or Path
        A folder stands for the images directly in it, in natural order; a Zarr is an image, and so
        is a folder of slices that says of itself what labels they are. A file may be followed by
        the part of it that is meant, and any of them by their axes: see `split_place`.

    Raises
    ------
    UserError
        If one of them names nothing.
    """
    found: list[Path] = []
    for spec in specs:
        found += _find(spec)
    return list(dict.fromkeys(found))


def _find(spec: str | Path) -> list[Path]:
    place = split_place(spec)
    path = Path(spec) if place is None else place[0] / place[1]
    is_one = is_chunk_store(path) or (path / ABOUT_JSON).is_file()
    if path.is_dir() and not is_one and suffix_of(path) not in SUFFIXES:
        if (path / "model.json").is_file():
            raise UserError(f"{path} is a model, not an image; train and predict take it with -m.")
        images = images_in(path)
        if not images:
            raise UserError(f"The folder {path} holds no images; it needs TIFF, PNG or JPEG files.")
        return images
    if place is not None:
        return [path]
    if glob.has_magic(str(spec)):
        images = [Path(match) for match in glob.glob(str(spec), recursive=True)]  # noqa: PTH207
        images = [p for p in images if suffix_of(p) in SUFFIXES and not is_of_system(p)]
        images.sort(key=natural_key)
        if images:
            return images
        raise UserError(f"No image matches {spec}; check the pattern.")
    raise nothing_at(path)


def pair_inputs(images: Sequence[Path], labels: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Find the labels of each image: by stem if all have one, else in natural order.

    Raises
    ------
    UserError
        If stems do not match and the counts differ.
    """
    by_stem = {stem_of(path): path for path in labels}
    stems = [stem_of(path) for path in images]
    unique = len(by_stem) == len(labels) and len(set(stems)) == len(stems)
    if unique and all(stem in by_stem for stem in stems):
        return [(image, by_stem[stem]) for image, stem in zip(images, stems, strict=True)]
    if len(images) != len(labels):
        missing = next((path for path in images if stem_of(path) not in by_stem), images[0])
        raise UserError(
            f"There are {len(images)} images and {len(labels)} labels files, and {missing.name} "
            "has no labels of the same name; give as many of each, or name them alike."
        )
    ordered = (sorted(images, key=natural_key), sorted(labels, key=natural_key))
    pairs = dict(zip(*ordered, strict=True))
    return [(image, pairs[image]) for image in images]


def parse_slices(text: str | None, n_planes: int) -> list[int]:
    """Read ``"0,7,14"`` or ``"0-4"``, counted from 0; all slices where `text` is None.

    What `wording.ranges` writes is read, too.

    Raises
    ------
    UserError
        If it is something else, or a slice is not there.

    Examples
    --------
    >>> parse_slices("0,4-6", 20), parse_slices("1–3, 7", 20)
    ([0, 4, 5, 6], [1, 2, 3, 7])
    """
    if text is None:
        return list(range(n_planes))
    chosen: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().replace("–", "-").partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(
                f"{text!r} does not say which slices; write numbers from 0 and ranges, as in 0,7 "
                "or 0-4."
            )
        begin, end = int(first), int(last or first)
        if end < begin:
            raise UserError(f"The range {part.strip()!r} runs backwards; write {end}-{begin}.")
        if end >= n_planes:
            raise UserError(
                f"There is no slice {end}; the image has {n_planes}, counted from 0 to "
                f"{n_planes - 1}."
            )
        chosen.update(range(begin, end + 1))
    return sorted(chosen)
