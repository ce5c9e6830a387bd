"""Steps taken over from elsewhere, a recipe or a row of the table; and made a recipe of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_unetseg.classical import ChainRecipe, find_step
from napari_unetseg.errors import UserError
from napari_unetseg.events import MethodCompared
from napari_unetseg.workspace.baseline_fits import Meaning
from napari_unetseg.workspace.chain_draft import ChainDraft
from napari_unetseg.workspace.kept_recipe import Kept, kept_recipe, other_pixel_sizes, recipe_of
from napari_unetseg.workspace.results import in_slots
from napari_unetseg.workspace.slots import Codes

from .context import Context
from .seeds_choice import SeedsChoice


class TakenSteps(QObject):
    """Puts the steps of recipes into a draft, with what they keep and what their answers mean.

    Parameters
    ----------
    context : Context
    draft : ChainDraft
    seeds : SeedsChoice

    Attributes
    ----------
    kept : Kept or None
        What the recipe that was opened last keeps of strokes.
    failed : Signal(str)
        Why steps could not be taken over.
    """

    failed = Signal(str)

    def __init__(self, context: Context, draft: ChainDraft, seeds: SeedsChoice) -> None:
        super().__init__(seeds)
        self._context = context
        self._draft = draft
        self._seeds = seeds
        self.kept: Kept | None = None

    def take_row(self, row: MethodCompared) -> bool:
        """Go on with a row of the table: with its steps, or with its model; tell if with steps."""
        if row.recipe is not None:
            self.kept = None
            recipe = ChainRecipe.model_validate(row.recipe)
            self._take(recipe, "the table", self._context.controller.compared.moment)
            self._context.say(f"{row.title} is set as it was compared; apply it to the stack.")
        elif row.is_swapped:
            self.failed.emit(
                f"{row.title} answers the wrong way round: what it finds is background here. Train "
                "from it in Train instead, or use another row."
            )
        elif row.model is not None:
            try:
                self._context.controller.open_model(Path(row.model))
            except UserError as error:
                self.failed.emit(str(error))
                return False
            self._context.say(f"{row.title} is the model at hand now; apply it in Train.")
        return row.recipe is not None

    def take_recipe(self, name: str, recipe: ChainRecipe) -> None:
        """Take over the steps of a recipe that was opened, and what it keeps."""
        workspace = self._context.workspace
        try:
            self.kept = Kept(name, recipe, recipe.recalled())
        except UserError as error:
            self.failed.emit(str(error))
            return
        if recipe.serves(recipe.chain) and not workspace.in_use:
            workspace.set_classes(recipe.classes or workspace.classes)
        self._take(recipe, name, workspace.results.moment())
        titles = ", ".join(find_step(settings.step).title for settings in recipe.chain.steps)
        kept = f", {self.kept.in_words()}" if self._seeds.kept is self.kept else ""
        sizes = other_pixel_sizes(recipe, workspace.images.values())
        self._context.say(f"Took {name}: {titles}{kept}.{sizes}")

    def _take(self, recipe: ChainRecipe, told_by: str, moment: Codes) -> None:
        found, meaning = recipe.chain.method(), None
        if found is not None and recipe.mapping is not None:
            slots = in_slots(recipe.mapping, moment)
            meaning = Meaning(found[0].name, found[1], slots, told_by)
        self._draft.set_steps(recipe.chain.steps, meaning)

    def offer(self) -> None:
        """Offer what the recipe keeps as what to grow or learn from, where that can be used."""
        chain, kept = self._draft.chain() if self._draft.steps else None, self.kept
        serves = chain is not None and kept is not None and kept.recipe.serves(chain)
        self._seeds.offer(kept if serves else None)

    def mapping(self) -> dict[int, int] | None:
        """Return answers → codes: as was found, or by names of classes; None where they stay."""
        kept = self._seeds.kept
        if kept is not None:
            return kept.mapping(self._context.workspace.classes)
        meaning = self._draft.meaning
        if meaning is None:
            return None
        codes = self._context.workspace.results.codes_of(meaning.slots)
        return None if all(answer == code for answer, code in codes.items()) else codes

    def recipe(self) -> Callable[[], ChainRecipe]:
        """Return what makes a recipe of the steps as they are now; may take a while."""
        workspace, kept = self._context.workspace, self._seeds.kept
        mapping = None if kept is not None else self.mapping()
        recipe = recipe_of(self._draft.chain(), mapping, kept, workspace.classes)
        entries = list(workspace.images.values())
        uses_strokes = self._draft.use_of_strokes != "unused"
        strokes = self._seeds.strokes_by_image() if uses_strokes else {}
        return lambda: kept_recipe(recipe, entries, strokes)
