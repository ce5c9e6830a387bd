"""Saving the steps that are chosen, with what they have learned, and opening them again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_unetseg.classical import ChainRecipe, read_recipe
from napari_unetseg.errors import UserError
from napari_unetseg.images import atomic_file

from .context import Context
from .dialogs import ask_paths
from .newest import NewestWins

_RECIPES = "Recipe (*.json)"


class RecipeRow(QWidget):
    """Two buttons.

    Parameters
    ----------
    context : Context
    wanted : callable
        Called when a recipe is to be saved; returns what makes it on a thread. May raise UserError.

    Attributes
    ----------
    opened : Signal(str, object)
        A recipe was opened: the name of its file, and a ChainRecipe.
    written : Signal()
        What was being saved is there, or could not be written.
    """

    opened = Signal(str, object)
    written = Signal()

    def __init__(self, context: Context, wanted: Callable[[], Callable[[], ChainRecipe]]) -> None:
        super().__init__()
        self._context = context
        self._wanted = wanted
        self._writer = NewestWins()
        self._writer.answered.connect(self._on_written)
        self._writer.failed.connect(self._on_written)
        self.save = QPushButton("Save recipe …")
        self.save.setProperty(
            "tooltip_when_enabled",
            "Keep these steps in a file, with what they learned or grew from, to apply them here "
            "or with napari-unetseg run.",
        )
        self.save.clicked.connect(lambda: self._on_save())
        self.open = QPushButton("Open recipe …")
        self.open.setToolTip("Take the steps from a file, with what it keeps of strokes.")
        self.open.clicked.connect(lambda: self._on_open())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.save)
        row.addWidget(self.open)

    @property
    def busy(self) -> str | None:
        """Why nothing can be saved now; None where it can."""
        return "Wait until what is being saved is written." if self._writer.busy else None

    def _on_save(self) -> None:
        chosen = ask_paths(self, "new", "Save recipe", _RECIPES, "recipe.json")
        if not chosen:
            return
        path = chosen[0].with_suffix(".json")
        try:
            make = self._wanted()
        except UserError as error:
            self._context.say(str(error))
            return
        self._context.say(f"Saving {path.name} …")
        self._writer.ask(lambda: _written(path, make()))

    def _on_written(self, sentence: str) -> None:
        self._context.say(sentence)
        self.written.emit()

    def _on_open(self) -> None:
        chosen = ask_paths(self, "file", "Open recipe", _RECIPES)
        if chosen:
            self.open_recipe(chosen[0])

    def open_recipe(self, path: Path) -> None:
        """Take over the steps of a recipe; what its answers mean comes from a fit."""
        try:
            recipe = read_recipe(path)
        except UserError as error:
            self._context.say(str(error))
            return
        self.opened.emit(path.name, recipe)


def _written(path: Path, recipe: ChainRecipe) -> str:
    """Write a recipe; return the sentence that says so."""
    try:
        with atomic_file(path, overwrite=True) as partial:
            partial.write_text(recipe.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"The recipe could not be written ({error.strerror}).") from error
    if recipe.needs_strokes():
        return (
            f"Saved the steps alone as {path.name}: napari-unetseg run {path.name} needs -l LABELS."
        )
    kept = ""
    if recipe.learned is not None:
        kept = " with what it has learned"
    elif any(image.strokes for image in recipe.images):
        kept = " with what is painted"
    return f"Saved as {path.name}{kept}; napari-unetseg run {path.name} replays it."
