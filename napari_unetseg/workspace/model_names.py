"""Names of models: that of the folder, and that in lists."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from unicodedata import category

from napari_unetseg.config import MODEL_JSON, read_model_info
from napari_unetseg.errors import UserError
from napari_unetseg.images import atomic_folder

_SUFFIX = ".unet"
_FORBIDDEN = '/\\:*?"<>|'
#: Folders of these names cannot be made, or not be found again, under Windows.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
#: In UTF-8: file systems take 255 with what is added while a folder is written.
_MOST_BYTES = 200


def name_model(model: Path, name: str, models: Path) -> Path:
    """Give a model a name, and its folder as well; return that.

    Parameters
    ----------
    model : Path
        In `models` it is renamed; from elsewhere, as a checkpoint is, it is copied there.
    name : str
        What a person has typed.
    models : Path
        Folder of the session's models.

    Raises
    ------
    UserError
        If the name cannot be that of a folder, or another model has it.
    """
    name = name.strip().removesuffix(_SUFFIX).strip()
    _check(name)
    target = models / f"{name}{_SUFFIX}"
    info = read_model_info(model).replace(name=name)
    if target != model:
        if target.exists():
            raise UserError(f"Another model is called {name} already; choose another name.")
        _bring(model, target)
    partial = target / f"{MODEL_JSON}.partial"
    partial.write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")
    partial.replace(target / MODEL_JSON)
    return target


def _check(name: str) -> None:
    """Refuse what cannot be the name of a folder on every system."""
    if not name or any(c in _FORBIDDEN or category(c) in ("Cc", "Cs") for c in name):
        raise UserError(f"A model needs a name without any of {' '.join(_FORBIDDEN)}; type one.")
    if name.startswith(".") or name.endswith("."):
        raise UserError("A model needs a name that neither begins nor ends with a dot; type one.")
    if _RESERVED.fullmatch(name):
        raise UserError(f"Windows can have no folder called {name}; choose another name.")
    if len(name.encode()) > _MOST_BYTES:
        raise UserError(
            f"A name of {len(name)} characters is too long for a folder; type one of 50 at most."
        )


def _bring(model: Path, target: Path) -> None:
    try:
        if model.parent == target.parent:
            model.rename(target)
            return
        target.parent.mkdir(exist_ok=True)
        with atomic_folder(target, marker=MODEL_JSON) as folder:
            shutil.copytree(model, folder, dirs_exist_ok=True)
    except OSError as error:
        raise UserError(f"The model could not be called {target.stem} ({error}).") from error
