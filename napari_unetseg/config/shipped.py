"""Models that come with the package, known by their names alone."""

from __future__ import annotations

from pathlib import Path

from napari_unetseg.errors import UserError

from .model_info import MODEL_JSON, is_unfinished

#: Where they lie.
FOLDER = Path(__file__).parents[1] / "models"

_SUFFIX = ".unet"


def shipped_models() -> dict[str, Path]:
    """Return the folders of the models that come with the package, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob(f"*{_SUFFIX}"))}


def find_model(model: str | Path) -> Path:
    """Return the folder of a model.

    Parameters
    ----------
    model : str or Path
        A folder, with or without its ``.unet``, or the name of a model that comes with the
        package. A model on disk comes before one of the package with the same name; a folder
        that is none, such as one of images, does not.

    Raises
    ------
    UserError
        If there is neither.
    """
    path = Path(model)
    candidates = [path, path.with_name(path.name + _SUFFIX)] if path.name else [path]
    for folder in candidates:
        if (folder / MODEL_JSON).is_file() or is_unfinished(folder):
            return folder
    shipped = shipped_models()
    if str(model) in shipped:
        return shipped[str(model)]
    if path.exists():
        return path  # whoever reads it says what is wrong
    names = f", or one of {', '.join(shipped)}, which come with the program" if shipped else ""
    raise UserError(f"There is no model {model}; a model is a folder NAME{_SUFFIX}{names}.")
