"""The steps of a chain as a file: written from the window, and taken over again."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMenu, QPushButton

from napari_unetseg.classical import ChainRecipe, in_words, read_recipe
from napari_unetseg.errors import UserError
from napari_unetseg.images import atomic_file
from napari_unetseg.workspace.baseline_fits import BaselineFits
from napari_unetseg.workspace.chain_draft import ChainDraft

from .context import Context
from .dialogs import ask_paths

_RECIPES = "Recipe (*.json)"


class RecipeMenu(QPushButton):
    """A button with *Save* and *Open*.

    Parameters
    ----------
    context : Context
    draft : ChainDraft
        What is saved.
    fits : BaselineFits
        What the answers mean.

    Attributes
    ----------
    opened : Signal(object)
        A `ChainRecipe` was read, to go on with.
    """

    opened = Signal(object)

    def __init__(self, context: Context, draft: ChainDraft, fits: BaselineFits) -> None:
        super().__init__("Recipe")
        self.setToolTip("Keep these steps in a file, or take them from one.")
        self._context = context
        self._draft = draft
        self._fits = fits
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.save = menu.addAction("Save recipe …", self._on_save)
        self.open = menu.addAction("Open recipe …", self._on_open)
        self.open.setToolTip("Take the steps from a file.")
        self.setMenu(menu)

    def refresh(self, why_not_save: str | None) -> None:
        """Let the steps be saved, or say why not."""
        self.save.setEnabled(why_not_save is None)
        self.save.setToolTip(
            why_not_save
            or "Keep these steps in a file, to apply them here or with napari-unetseg run."
        )

    def _on_save(self) -> None:
        chain = self._draft.chain()
        chosen = ask_paths(self, "new", "Save recipe", _RECIPES, "recipe.json")
        if not chosen:
            return
        path = chosen[0].with_suffix(".json")
        mapping = self._fits.mapping(chain)
        found = chain.method()
        own = () if found is None else found[0].classes(found[1])
        classes = own if mapping is None else self._context.workspace.classes
        recipe = ChainRecipe(chain=chain, mapping=mapping, classes=classes)
        try:
            with atomic_file(path, overwrite=True) as partial:
                partial.write_text(recipe.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            self._context.say(f"The recipe could not be written ({error.strerror}).")
            return
        self._context.say(f"Saved as {path.name}; napari-unetseg run {path.name} replays it.")

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
        self.opened.emit(recipe)
        self._context.say(f"Took {path.name}: {in_words(recipe.chain)}.")
