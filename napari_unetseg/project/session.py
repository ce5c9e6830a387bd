"""Where the work of one window lives on disk, from the first stroke on.

Annotations are painted into memory-mapped files, so what is painted survives the death of the
process, whatever its cause. A session folder holds ``session.json`` and, per image, ``.npy`` files.
"""

from __future__ import annotations

import json
import os
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

from napari_unetseg.config import LabelClass

#: How many sessions that hold annotations are kept; the oldest go first.
MAX_KEPT = 30

_DESCRIPTION = "session.json"


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
        text = json.dumps({**self._description, "process": process}, indent=1)
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
        """Flush; then delete the session if nothing was annotated, and sessions past `MAX_KEPT`."""
        self.flush()
        self._arrays.clear()
        self._write_description(process=None)
        for scratch in self.folder.glob("*/*.npy"):
            if scratch.stem not in ("annotations", "blocks"):
                scratch.unlink(missing_ok=True)
        if not any(_count_labelled(path) for path in self.folder.glob("*/annotations.npy")):
            shutil.rmtree(self.folder, ignore_errors=True)
        for old in _ended_sessions(self.root)[MAX_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)

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


def _ended_sessions(root: Path) -> list[Path]:
    """Return the folders of sessions whose process is gone, newest first."""
    folders = [path.parent for path in root.glob(f"*/{_DESCRIPTION}")]
    ended = [folder for folder in folders if not _is_running(_read(folder))]
    return sorted(ended, key=lambda f: (f / _DESCRIPTION).stat().st_mtime, reverse=True)


def _read(folder: Path) -> dict[str, Any]:
    """Return what a session says of itself; nothing where it cannot be read."""
    try:
        description = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return description if isinstance(description, dict) else {}


def _is_running(description: dict[str, Any]) -> bool:
    """Tell whether the process that wrote the session is alive, and is not a newer namesake."""
    try:
        pid, created = description["process"]
        return bool(abs(psutil.Process(pid).create_time() - created) < 1)
    except (KeyError, TypeError, ValueError, psutil.Error):
        return False


def _work_in(folder: Path, fingerprint: str) -> EarlierWork | None:
    description = _read(folder)
    for image, facts in description.get("images", {}).items():
        path = folder / image / "annotations.npy"
        if facts.get("fingerprint") != fingerprint or not path.is_file():
            continue
        n_labelled = _count_labelled(path)
        if n_labelled:
            classes = tuple(LabelClass(**c) for c in description["classes"])
            return EarlierWork(
                path, path.with_name("blocks.npy"), classes, path.stat().st_mtime, n_labelled
            )
    return None


def _count_labelled(path: Path) -> int:
    codes = np.load(path, mmap_mode="r", allow_pickle=False)
    return sum(int(np.count_nonzero(plane)) for plane in codes)
