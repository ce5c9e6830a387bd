"""Real images of nuclei, shown at every size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.transform import resize

from napari_unetseg.config import BACKGROUND
from napari_unetseg.errors import UserError

from .draws import log_uniform
from .example import Example
from .light import light_micrograph

#: Images that no model that ships has learned from.
N_KEPT_OUT = 100

#: Share of examples that are real.
_REAL = 0.4

#: Images that are smaller show no nuclei.
_SMALLEST_PX = 16


def split_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide images into those to learn from and those kept out.

    Which ones are kept out depends on their names alone.

    Returns
    -------
    learned, kept_out : list of str
    """
    shuffled = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return sorted(shuffled[N_KEPT_OUT:]), sorted(shuffled[:N_KEPT_OUT])


def checksum_of(folder: Path) -> str:
    """Return the SHA-256 of all images and ids in a folder, with their names."""
    digest = hashlib.sha256()
    for part in ("images", "masks"):
        for path in sorted((folder / part).glob("*.png")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def check_nuclei(folder: Path) -> None:
    """Raise `UserError` unless a folder holds enough images of nuclei, each with its ids."""
    images, masks = (
        {path.name for path in (folder / part).glob("*.png")} for part in ("images", "masks")
    )
    if lacking := sorted(images - masks):
        raise UserError(f"{folder / 'masks'} has no {lacking[0]}; every image needs one.")
    if len(images) <= N_KEPT_OUT:
        raise UserError(
            f"{folder / 'images'} holds {len(images)} PNG files; more than {N_KEPT_OUT} "
            "are needed, for so many are kept out."
        )
    for name in sorted(images):
        _check_pair(folder / "images" / name, folder / "masks" / name)


def _check_pair(image: Path, mask: Path) -> None:
    try:
        with Image.open(image) as pixels, Image.open(mask) as ids:
            sizes, bands = (pixels.size, ids.size), ids.getbands()
    except OSError as error:
        raise UserError(f"{image} or its mask is no image ({error}); copy it again.") from error
    if sizes[0] != sizes[1] or min(sizes[0]) < _SMALLEST_PX or len(bands) > 1:
        raise UserError(
            f"{image} has {sizes[0][0]} × {sizes[0][1]} px and its mask {sizes[1][0]} × "
            f"{sizes[1][1]} in {len(bands)} channels; both need the same size, {_SMALLEST_PX} px "
            "or more, and a mask one channel."
        )


def nuclei_image(rng: np.random.Generator, folder: Path, side: int) -> Example:
    """Draw a square of an image of BBBC038, reduced or enlarged.

    Parameters
    ----------
    rng : numpy.random.Generator
    folder : Path
        With ``images`` and ``masks``: grey values and ids of nuclei, PNG files of the same names.
    side : int
        Of the square, in px.
    """
    names = _names(folder)
    name = names[int(rng.integers(len(names)))]
    with Image.open(folder / "images" / name) as image:
        pixels = np.asarray(image.convert("L")).astype(np.int64)
    with Image.open(folder / "masks" / name) as image:
        ids = np.asarray(image).astype(np.int64)
    wanted = log_uniform(rng, 10, 50)
    cut = int(np.clip(side * _diameter(ids) / wanted, 24, 4 * side))
    pixels, ids = (_mirrored_up_to(plane, cut) for plane in (pixels, ids))
    y, x = (int(rng.integers(n - cut + 1)) for n in pixels.shape)
    window = slice(y, y + cut), slice(x, x + cut)
    small = resize(  # type: ignore[no-untyped-call]
        pixels[window].astype(float), (side, side), order=1, anti_aliasing=True
    )
    at = (np.arange(side) + 0.5) * cut / side
    numbers = ids[window][np.ix_(at.astype(int), at.astype(int))].astype(np.uint32)
    codes = np.where(numbers > 0, BACKGROUND + 1, BACKGROUND).astype(np.uint8)
    grey = np.clip(np.round(small * 255 / max(small.max(), 1)), 0, 255).astype(np.uint8)
    return Example(grey[None], {"nucleus": codes[None]}, {"nucleus": numbers[None]})


def nuclei_or_cells(rng: np.random.Generator, folder: Path, side: int) -> Example:
    """Draw a real image of nuclei, or a synthetic one of nuclei or cells."""
    if rng.random() < _REAL:
        return nuclei_image(rng, folder, side)
    return light_micrograph(rng, (side, side))


@lru_cache(maxsize=4)
def _names(folder: Path) -> list[str]:
    return split_names([path.name for path in (folder / "images").glob("*.png")])[0]


def _diameter(ids: npt.NDArray[np.int64]) -> float:
    areas = np.bincount(ids.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.sqrt(4 / np.pi * np.median(areas))) if len(areas) else 20.0


def _mirrored_up_to(plane: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.int64]:
    """Mirror an image at its lower and right edges until it is large enough."""
    while min(plane.shape) < side:
        grown = [(0, min(n - 1, max(0, side - n))) for n in plane.shape]
        plane = np.pad(plane, grown, mode="reflect")
    return plane
