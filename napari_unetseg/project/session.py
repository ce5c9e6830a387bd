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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs
import psutil
from pydantic import BaseModel, ValidationError

from napari_unetseg.annotations import new_blocks
from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import map_npy

#: How many sessions that hold annotations are kept; the oldest go first.
MAX_KEPT = 30

_DESCRIPTION = "session.json"

#: Arrays that are worth keeping when a session has ended.
_KEPT = ("annotations", "blocks")


def default_root() -> Path:
    """Return the folder of all sessions: ``$NAPARI_UNETSEG_HOME``, or the user's data folder."""
    home = os.environ.get("NAPARI_UNETSEG_HOME")
    return (Path(home) if home else platformdirs.user_data_path("napari-unetseg")) / "sessions"


@dataclass(frozen=True, slots=True)
class EarlierWork:
    """Annotations of an image that an earlier session left behind."""

    annotations: Path
    blocks: Path
    classes: tuple[LabelClass, ...]
    saved_at: float
    n_labelled_px: int


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
        """Return a zeroed, file-backed array of uint8; where the system can, it takes no space."""
        path = self.path(image, role)
        if path in self._arrays and self._arrays[path].shape == shape:
            self._arrays[path][...] = 0  # the file is mapped: opening it anew would pull it away
        else:
            self._arrays[path] = np.lib.format.open_memmap(
                path, mode="w+", dtype=np.uint8, shape=shape
            )
        return self._arrays[path]

    def describe(self, classes: Iterable[LabelClass], images: dict[str, dict[str, Any]]) -> None:
        """Write ``session.json``: whose arrays these are, and what their codes mean.

        Parameters
        ----------
        images : dict
            By id: at least ``"fingerprint"`` and ``"name"``.
        """
        self._description["classes"] = [c.model_dump() for c in classes]
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

        Sessions without annotations go, and the oldest past `MAX_KEPT`.
        """
        self.flush()
        self._arrays.clear()
        self._write_description(process=None)
        kept = 0
        for ended in _ended_sessions(self.root, here=True):
            _drop_scratch(ended)
            # None, for a damaged file, is not nothing: a person may still want to look at it.
            holds_work = any(_n_labelled(path) != 0 for path in ended.glob("*/annotations.npy"))
            kept += holds_work
            if not holds_work or kept > MAX_KEPT:
                shutil.rmtree(ended, ignore_errors=True)

    def earlier_work(self, fingerprint: str) -> EarlierWork | None:
        """Find the newest annotations of an image in the sessions that have ended."""
        for folder in _ended_sessions(self.root):
            if folder == self.folder:
                continue
            work = _work_in(folder, fingerprint)
            if work is not None:
                return work
        return None


def _this_process() -> list[float]:
    return [os.getpid(), psutil.Process().create_time()]


class _ImageFacts(BaseModel):
    fingerprint: str


class _Description(BaseModel):
    """What is read of ``session.json``."""

    classes: tuple[LabelClass, ...] = ()
    images: dict[str, _ImageFacts] = {}
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
    try:
        return (folder / _DESCRIPTION).stat().st_mtime
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
        if scratch.stem not in _KEPT:
            scratch.unlink(missing_ok=True)
    for partial in [*folder.glob("*.partial"), *folder.glob("models/.*")]:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def _work_in(folder: Path, fingerprint: str) -> EarlierWork | None:
    description = _read(folder)
    if description is None:
        return None
    for image, facts in description.images.items():
        path = folder / Path(image).name / "annotations.npy"
        if facts.fingerprint != fingerprint or not path.is_file():
            continue
        n_labelled = _n_labelled(path)
        if n_labelled:
            blocks = path.with_name("blocks.npy")
            saved_at = path.stat().st_mtime
            return EarlierWork(path, blocks, description.classes, saved_at, n_labelled)
    return None


def _n_labelled(path: Path) -> int | None:
    """Count the annotated pixels in a file; None where it, or the blocks beside it, is damaged."""
    try:
        codes, blocks = map_npy(path), map_npy(path.with_name("blocks.npy"))
    except UserError:
        return None
    whole = codes.ndim == 3 and codes.dtype == blocks.dtype == np.uint8
    if not whole or new_blocks(codes.shape).shape != blocks.shape:
        return None
    return sum(int(np.count_nonzero(plane)) for plane in codes)
