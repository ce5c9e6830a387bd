"""The only way in which this window asks for a path; tests put their own answer in its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from qtpy.QtWidgets import QFileDialog, QWidget

#: Endings as Qt writes them in a kind of files.
_ENDING = re.compile(r"\*(\.[\w.]+)")


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
        return _ask_new(parent, title, kinds, start)
    return [Path(chosen)] if chosen else []


def _ask_new(parent: QWidget, title: str, kinds: str, start: str) -> list[Path]:
    """Ask for a name whose ending follows the kind of file that is chosen."""
    dialog = QFileDialog(parent, title, start, kinds)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.selectFile(start)
    dialog.filterSelected.connect(lambda kind: _follow(dialog, kind))
    _follow(dialog, dialog.selectedNameFilter())
    chosen = [Path(dialog.selectedFiles()[0])] if dialog.exec() else []
    dialog.deleteLater()
    return chosen


def _follow(dialog: QFileDialog, kind: str) -> None:
    """Give the name that is being chosen the first ending of this kind of file."""
    endings = _ENDING.findall(kind)
    if not endings:
        return
    dialog.setDefaultSuffix(endings[0])
    known = sorted({e for k in dialog.nameFilters() for e in _ENDING.findall(k)}, key=len)
    for path in dialog.selectedFiles():
        stem = next((path.removesuffix(e) for e in known[::-1] if path.endswith(e)), "")
        if stem and not path.endswith(tuple(endings)):
            dialog.selectFile(f"{stem}{endings[0]}")
