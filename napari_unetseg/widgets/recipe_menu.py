"""The steps of a chain as a file, with what they learned: written from the window, and opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMenu, QPushButton

from napari_unetseg.classical import ChainRecipe, read_recipe
from napari_unetseg.errors import UserError
from napari_unetseg.images import atomic_file
from napari_unetseg.workspace.export import with_suffix

from .context import Context
from .dialogs import ask_paths
from .newest import NewestWins

_RECIPES = "Recipe (*.json)"


class RecipeMenu(QPushButton):
    """A button with *Save* and *Open*.

    Parameters
    ----------
    context : Context
    wanted : callable
        Called when a recipe is to be saved; returns what makes it on a thread. May raise UserError.

    Attributes
    ----------
    opened : Signal(str, object)
        A recipe was opened: the name of its file, and a ChainRecipe.
    failed : Signal(str)
        Why a recipe could not be opened, or made.
    written : Signal()
        What was being saved is there, or could not be written.
    """

    opened = Signal(str, object)
    failed = Signal(str)
    written = Signal()

    def __init__(self, context: Context, wanted: Callable[[], Callable[[], ChainRecipe]]) -> None:
        super().__init__("Recipe")
        self.setToolTip("Keep these steps in a file, or take them from one.")
        self._context = context
        self._wanted = wanted
        self._writer = NewestWins()
        self._writer.answered.connect(self._on_written)
        self._writer.failed.connect(self._on_written)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.save = menu.addAction("Save recipe …", self._on_save)
        self.open = menu.addAction("Open recipe …", self._on_open)
        self.open.setToolTip("Take the steps from a file, with what it keeps of strokes.")
        self.setMenu(menu)

    @property
    def busy(self) -> bool:
        """Whether a recipe is being written."""
        return self._writer.busy

    def refresh(self, why_not_save: str | None) -> None:
        """Let the steps be saved, or say why not."""
        if self.busy:
            why_not_save = "Wait until what is being saved is written."
        self.save.setEnabled(why_not_save is None)
        self.save.setToolTip(
            why_not_save
            or "Keep these steps in a file, with what they learned or grew from, to apply them "
            "here or with napari-unetseg run."
        )

    def _on_save(self) -> None:
        chosen = ask_paths(self, "new", "Save recipe", _RECIPES, "recipe.json")
        if not chosen:
            return
        # The dialog has asked before it gave a name that exists, but not for a completed one.
        path, is_new = with_suffix(chosen[0], (".json",))
        try:
            make = self._wanted()
        except UserError as error:
            self.failed.emit(str(error))
            return
        self._context.say(f"Saving {path.name} …")
        self._writer.ask(lambda: _written(path, make(), overwrite=not is_new))

    def _on_written(self, sentence: str) -> None:
        self._context.say(sentence)
        self.written.emit()

    def _on_open(self) -> None:
        chosen = ask_paths(self, "file", "Open recipe", _RECIPES)
        if chosen:
            self.open_recipe(chosen[0])

    def open_recipe(self, path: Path) -> None:
        """Take over the steps of a recipe, and what it keeps."""
        try:
            recipe = read_recipe(path)
        except UserError as error:
            self.failed.emit(str(error))
            return
        self.opened.emit(path.name, recipe)


def _written(path: Path, recipe: ChainRecipe, *, overwrite: bool) -> str:
    """Write a recipe; return the sentence that says so."""
    try:
        with atomic_file(path, overwrite=overwrite) as partial:
            partial.write_text(recipe.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"The recipe could not be written ({error.strerror}).") from error
    if recipe.needs_strokes():
        return f"Saved the steps alone as {path.name}: paint some of each class where it is opened."
    kept = ""
    if recipe.learned is not None:
        kept = " with what it has learned"
    elif any(image.strokes for image in recipe.images):
        kept = " with what is painted"
    return f"Saved as {path.name}{kept}; napari-unetseg run {path.name} replays it."
