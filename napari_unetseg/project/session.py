"""Where the work of one window lives on disk, from the first stroke on.

Annotations are painted into memory-mapped files, so what is painted survives the death of the
process, whatever its cause. A session folder holds ``session.json`` and, per image, ``.npy`` files.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import platformdirs
import psutil
from pydantic import BaseModel, Field, ValidationError

from napari_unetseg.annotations import new_blocks
from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import let_go, map_npy, written_planes

from .kept_objects import KeptObjects, are_continued, has_notes, kept_objects
from .kept_results import KeptResult, kept_results, results_continued
from .kept_sources import KeptSources, kept_sources

#: How many sessions are kept whole. Of older ones models go, and annotations of which nearly all
#: are in a newer session too, as are their objects; nothing else made by hand is ever deleted.
MAX_KEPT = 30

#: Share of earlier annotations from which later ones are taken to go on from them.
CONTAINED = 0.9

_DESCRIPTION = "session.json"

#: Arrays that are worth keeping when a session has ended.
_KEPT = ("annotations", "blocks", "region")


def default_root() -> Path:
    """Return the folder of all sessions: ``$NAPARI_UNETSEG_HOME``, or the user's data folder."""
    home = os.environ.get("NAPARI_UNETSEG_HOME")
    return (Path(home) if home else platformdirs.user_data_path("napari-unetseg")) / "sessions"


@dataclass(frozen=True, slots=True)
class EarlierWork:
    """Annotations of an image that an earlier session left behind.

    Attributes
    ----------
    fingerprint : str
        Of the image.
    annotations, blocks : Path
    region : Path or None
        Of the region of interest, where there was one.
    classes : tuple of LabelClass
    saved_at : float
        As of `time.time`.
    n_labelled_px : int
    objects : tuple of KeptObjects
        Numbered objects that were corrected.
    results : tuple of KeptResult
        Results of classical methods that were corrected.
    meant_as : sequence of int
        The code of each slot of results.
    sources : KeptSources or None
        Which annotations were taken over, where that is known.
    """

    fingerprint: str
    annotations: Path
    blocks: Path
    region: Path | None
    classes: tuple[LabelClass, ...]
    saved_at: float
    n_labelled_px: int
    objects: tuple[KeptObjects, ...] = ()
    results: tuple[KeptResult, ...] = ()
    meant_as: Sequence[int] = range(256)
    sources: KeptSources | None = None


class Session:
    """A folder for the arrays of one window.

    Parameters
    ----------
    root : Path, optional
        Folder of all sessions.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()
        self.folder = self.root / f"{time.strftime('%Y-%m-%dT%H%M%S')}-{uuid.uuid4().hex[:6]}"
        self.folder.mkdir(parents=True)
        self._arrays: dict[Path, np.memmap[Any, Any]] = {}
        for ended in _ended_sessions(self.root, here=True):
            _drop_scratch(ended)  # of windows that were killed: copies of whole images
        self._description: dict[str, Any] = {"version": 1, "classes": [], "images": {}}
        self._write_description(process=_this_process())

    def path(self, image: str, role: str) -> Path:
        """Return where the array `role` of an image lies."""
        folder = self.folder / image
        folder.mkdir(exist_ok=True)
        return folder / f"{role}.npy"

    def array(self, image: str, role: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Return a zeroed, file-backed array of uint8; where the system can, it takes no space.

        Who has the one before of that name keeps it.
        """
        path = self.path(image, role)
        try:  # zeros written over it would fill the disk, and truncating it pull it away
            path.unlink(missing_ok=True)
        except OSError:  # some systems delete no file that is mapped
            if path in self._arrays and self._arrays[path].shape == shape:
                self._arrays[path][...] = 0
                return self._arrays[path]
        self._arrays[path] = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        return self._arrays[path]

    def let_go(self) -> None:
        """Give back the memory that holds what was looked at; it stays in the files."""
        for array in list(self._arrays.values()):
            let_go(array)

    def describe(
        self,
        classes: Iterable[LabelClass],
        images: dict[str, dict[str, Any]],
        meant_as: Sequence[int] = range(256),
    ) -> None:
        """Write ``session.json``: whose arrays these are, and what their codes mean.

        Parameters
        ----------
        images : dict
            By id: at least ``"fingerprint"`` and ``"name"``.
        meant_as : sequence of 256 int
            The code of each slot of results.
        """
        self._description["classes"] = [c.model_dump() for c in classes]
        self._description["meant_as"] = list(meant_as)
        self._description["images"] = images
        self._write_description(process=_this_process())

    def _write_description(self, process: list[float] | None) -> None:
        whose = {"process": process, "host": platform.node()}
        text = json.dumps({**self._description, **whose}, indent=1)
        partial = self.folder / f"{_DESCRIPTION}.partial"
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.folder / _DESCRIPTION)

    def flush(self) -> None:
        """Ask the system to write what is mapped; may take a while, call it off the window."""
        for array in list(self._arrays.values()):
            array.flush()

    def close(self) -> None:
        """Flush; then delete what nobody needs of this session and of all that have ended.

        What holds neither annotations nor a model goes, and of the oldest what `MAX_KEPT` says.
        """
        with suppress(OSError):  # on a full disk: that the process is gone tells the same
            self.flush()
        self._arrays.clear()
        with suppress(OSError):
            self._write_description(process=None)
        kept = 0
        later: list[EarlierWork] = []
        for ended in _ended_sessions(self.root, here=True):
            _drop_scratch(ended)
            # None, for a damaged file, is not nothing: a person may still want to look at it.
            holds_work = any(_holds_work(path) for path in ended.glob("*/annotations.npy"))
            kept += holds_work or any(ended.glob("models/*"))
            if kept > MAX_KEPT:
                shutil.rmtree(ended / "models", ignore_errors=True)
                holds_work = holds_work and not _repeats(ended, later)
            if not holds_work and not any(ended.glob("models/*")):
                shutil.rmtree(ended, ignore_errors=True)
            else:
                later += _works_in(ended)

    def recent_models(self, n: int) -> list[Path]:
        """Return the folders of the last `n` models that this or any session made, newest first."""
        made = {path.parent: path for path in self.root.glob("*/models/*.unet/model.json")}
        written = {folder: _modified(path) for folder, path in made.items()}
        return sorted(written, key=lambda folder: written[folder], reverse=True)[:n]

    def earlier_work(self, fingerprint: str) -> list[EarlierWork]:
        """Find the annotations of an image in the sessions that have ended, newest first.

        Those that later ones go on from are left out.
        """
        found: list[EarlierWork] = []
        for folder in _ended_sessions(self.root):
            if folder != self.folder:
                works = [w for w in _works_in(folder) if w.fingerprint == fingerprint]
                found += [w for w in works if not _is_continued(w, found)]
        return found


def _this_process() -> list[float]:
    return [os.getpid(), psutil.Process().create_time()]


_Code = Annotated[int, Field(ge=0, le=255)]


class _ImageFacts(BaseModel):
    fingerprint: str


class _Description(BaseModel):
    """What is read of ``session.json``."""

    classes: tuple[LabelClass, ...] = ()
    images: dict[str, _ImageFacts] = {}
    meant_as: tuple[_Code, ...] = Field(tuple(range(256)), min_length=256, max_length=256)
    process: tuple[int, float] | None = None
    host: str = ""

    def has_ended(self, *, here: bool) -> bool:
        """Tell whether the process that wrote it is gone.

        Parameters
        ----------
        here : bool
            Whether it must be known for certain: a process that did not say goodbye may still run
            on another computer with the same home folder.
        """
        if self.process is None:
            return True
        if here and self.host != platform.node():
            return False
        pid, created = self.process
        try:
            return bool(abs(psutil.Process(pid).create_time() - created) >= 1)
        except (psutil.Error, ValueError, OverflowError):
            return True


def _ended_sessions(root: Path, *, here: bool = False) -> list[Path]:
    """Return the folders of sessions whose process is gone, newest first."""
    folders = [path.parent for path in root.glob(f"*/{_DESCRIPTION}")]
    said = ((folder, _read(folder)) for folder in folders)
    ended = [
        folder for folder, description in said if description and description.has_ended(here=here)
    ]
    return sorted(ended, key=_last_written, reverse=True)


def _last_written(folder: Path) -> float:
    return _modified(folder / _DESCRIPTION)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0  # another window has just deleted it


def _read(folder: Path) -> _Description | None:
    """Return what a session says of itself; None where it cannot be read."""
    try:
        return _Description.model_validate_json((folder / _DESCRIPTION).read_bytes())
    except (OSError, ValidationError):
        return None


def _drop_scratch(folder: Path) -> None:
    """Delete what a session that has ended needs no more."""
    for scratch in folder.glob("*/*.npy"):
        if scratch.stem not in _KEPT and not has_notes(scratch):
            scratch.unlink(missing_ok=True)
    shutil.rmtree(folder / "previews", ignore_errors=True)
    for partial in [*folder.glob("*.partial"), *folder.glob("models/.*")]:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def _works_in(folder: Path) -> list[EarlierWork]:
    """Return the annotations in a session, of undamaged files."""
    description = _read(folder)
    works = []
    if description is None:
        return []
    for image, facts in description.images.items():
        path = folder / Path(image).name / "annotations.npy"
        n_labelled = _n_labelled(path) if path.is_file() else None
        objects, results = kept_objects(path.parent), kept_results(path.parent)
        if n_labelled is not None and (n_labelled or objects or results):
            work = EarlierWork(
                facts.fingerprint,
                path,
                path.with_name("blocks.npy"),
                _region_beside(path),
                description.classes,
                path.stat().st_mtime,
                n_labelled,
                objects,
                results,
                description.meant_as,
                sources=kept_sources(path),
            )
            works.append(work)
    return works


def _region_beside(annotations: Path) -> Path | None:
    path = annotations.with_name("region.npy")
    try:
        region = map_npy(path) if path.is_file() else None
    except UserError:
        return None
    if region is None or region.dtype != np.uint8 or region.shape != map_npy(annotations).shape:
        return None
    return path if any(region[plane].any() for plane in written_planes(region)) else None


def _repeats(folder: Path, later: Sequence[EarlierWork]) -> bool:
    """Tell whether later sessions go on from everything annotated in a session."""
    works = _works_in(folder)
    readable = {work.annotations for work in works}
    n_files = sum(_holds_work(path) for path in folder.glob("*/annotations.npy"))
    return len(readable) == n_files and all(_is_continued(work, later) for work in works)


def _is_continued(work: EarlierWork, later: Iterable[EarlierWork]) -> bool:
    """Tell whether nearly all that was annotated is so, and alike, in later work."""
    for other in later:
        if other.fingerprint != work.fingerprint:
            continue
        if not are_continued(work.objects, other.objects):
            continue
        if not results_continued(work.results, other.results):
            continue
        try:
            codes, others = map_npy(work.annotations), map_npy(other.annotations)
        except UserError:  # another window has just deleted it
            continue
        if others.shape == codes.shape:
            planes = labelled_planes(codes, map_npy(work.blocks))
            alike = sum(int(np.count_nonzero(codes[p][codes[p] == others[p]])) for p in planes)
            if alike >= CONTAINED * work.n_labelled_px:
                return True
    return False


def _holds_work(path: Path) -> bool:
    """Tell whether anything is annotated, or may be, or objects or results were corrected."""
    folder = path.parent
    return _n_labelled(path) != 0 or bool(kept_objects(folder) or kept_results(folder))


def _n_labelled(path: Path) -> int | None:
    """Count the annotated pixels in a file; None where it, or the blocks beside it, is damaged."""
    try:
        codes, blocks = map_npy(path), map_npy(path.with_name("blocks.npy"))
    except UserError:
        return None
    whole = codes.ndim == 3 and codes.dtype == blocks.dtype == np.uint8
    if not whole or new_blocks(codes.shape).shape != blocks.shape:
        return None
    return sum(int(np.count_nonzero(codes[plane])) for plane in labelled_planes(codes, blocks))


def labelled_planes(codes: npt.NDArray[np.uint8], blocks: npt.NDArray[np.uint8]) -> Iterator[int]:
    """Yield the slices of a file on which anything is annotated; holes in it are not read.

    Parameters
    ----------
    codes : ndarray, shape (planes, Y, X), uint8
        Annotations, mapped.
    blocks : ndarray, shape (planes, blocks_y, blocks_x), uint8
        What is held out: where a disk says wrongly that nothing was written, this tells otherwise.
    """
    decided = np.flatnonzero(blocks.any(axis=(1, 2))).tolist()
    return (p for p in sorted({*written_planes(codes), *decided}) if codes[p].any())
