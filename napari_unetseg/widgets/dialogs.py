"""The only way in which this window asks for a path; tests put their own answer in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from qtpy.QtWidgets import QFileDialog, QWidget


def ask_paths(
    parent: QWidget,
    what: Literal["files", "file", "folder", "new"],
    title: str,
    kinds: str = "",
    start: str = "",
) -> list[Path]:
    """Ask for existing files, one file, a folder, or the name of something new.

    Parameters
    ----------
    kinds : str
        Which files are listed, as Qt writes it: ``"JSON (*.json)"``.
    start : str
        Folder or path to begin at.

    Returns
    -------
    list of Path
        Empty when the person changed their mind.
    """
    if what == "files":
        return [Path(p) for p in QFileDialog.getOpenFileNames(parent, title, start, kinds)[0]]
    if what == "file":
        chosen = QFileDialog.getOpenFileName(parent, title, start, kinds)[0]
    elif what == "folder":
        chosen = QFileDialog.getExistingDirectory(parent, title, start)
    else:
        chosen = QFileDialog.getSaveFileName(parent, title, start, kinds)[0]
    return [Path(chosen)] if chosen else []
