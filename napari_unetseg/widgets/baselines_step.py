"""Baselines: classical steps, tried on the slice in view, then applied to the stack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_unetseg.classical import (
    METHODS,
    ChainRecipe,
    FittedBaseline,
    LevelMethod,
    UseOfStrokes,
    find_step,
    in_words,
)
from napari_unetseg.classical.mapping import lookup
from napari_unetseg.errors import UserError
from napari_unetseg.events import MethodCompared
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace.baseline_fits import BaselineFits, can_be_fitted
from napari_unetseg.workspace.chain_draft import ChainDraft
from napari_unetseg.workspace.kept_recipe import Kept, kept_recipe, other_pixel_sizes, recipe_of
from napari_unetseg.workspace.model_classes import codes_for

from .chain_editor import ChainEditor
from .compared_table import ComparedTable
from .context import Context
from .fit_button import FitButton
from .histogram import Histogram
from .listen import listen
from .method_choice import MethodChoice
from .preview import LivePreview, Request
from .recipe_menu import RecipeMenu
from .seeds_choice import SeedsChoice
from .step import StepPanel
from .use_result_row import UseResultRow

Codes = npt.NDArray[np.uint8]

_REFINES = "Betters the segmentation that is shown, or a part of it. Add the steps it takes."


class BaselinesStep(StepPanel):
    """Choose a method and steps around it, see them on the slice in view, apply them."""

    TITLE: ClassVar[str] = "Baselines"
    HINT: ClassVar[str] = (
        "Try a classical method on the slice in view; where one suffices, nothing need be trained."
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._entered = False
        self.fits = BaselineFits()
        self._mappings: dict[str, dict[int, int] | None] = {}
        self._kept: Kept | None = None
        self._made_way = False
        self.preview = LivePreview(context, self)
        self.draft = ChainDraft(next(iter(METHODS)))
        self._build()
        self._connect()
        self._on_draft_changed()

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.choice = MethodChoice()
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.seeds = SeedsChoice(self.context)
        self.editor = ChainEditor(self.context, self.draft)
        self.histogram = Histogram()
        self.seen = QLabel()
        self.seen.setWordWrap(True)
        self.show_preview = QCheckBox("Preview")
        self.show_preview.setChecked(True)
        self.show_preview.setToolTip(
            "Show what the steps answer on the slice in view while you move the sliders."
        )
        self.in_means = QCheckBox("Mean colours")
        self.in_means.setToolTip(
            "Show each group in its mean colour, its centroid: the image in few colours."
        )
        self.fit = FitButton()
        self.histogram.hide()
        self.seen.hide()
        self.use = UseResultRow(self.context)
        self.recipes = RecipeMenu(self.context, self._recipe)
        self.editor.beside_add.addWidget(self.recipes)
        by_hand = QWidget()
        column = QVBoxLayout(by_hand)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(self.column.spacing())
        for widget in (
            self.choice,
            self.summary,
            self.seeds,
            self.editor,
            self.histogram,
            self.seen,
        ):
            column.addWidget(widget)
        row = QHBoxLayout()
        row.addWidget(self.show_preview)
        row.addWidget(self.in_means)
        row.addWidget(self.fit, 1)
        column.addLayout(row)
        self.apply = self.primary(
            "Apply to stack",
            "Segment every slice of every image into a labels layer that you can edit.",
            self._on_apply,
            column,
        )
        column.addWidget(self.use)
        self.column.addWidget(by_hand)
        self.compared = ComparedTable(self.context)
        self.compared.used.connect(self._on_used)
        self.compared_section = self.instead(by_hand, self.compared, "Which method should I use?")
        self.compared_section.toggled.connect(self._ask_preview)
        self.column.addStretch(1)

    def _connect(self) -> None:
        context = self.context
        self.choice.chosen.connect(self.draft.choose)
        listen(self.draft.changed, self._on_draft_changed)
        self.seeds.changed.connect(self._on_view_changed)
        self.histogram.moved.connect(self._on_line_moved)
        self.preview.shown.connect(self._on_previewed)
        self.show_preview.toggled.connect(self._ask_preview)
        self.in_means.toggled.connect(self._ask_preview)
        self.preview.failed.connect(context.say)
        self.recipes.opened.connect(self._on_opened)
        self.recipes.written.connect(self._update_buttons)
        self.fit.pressed_to_fit.connect(self._on_fit)
        self.fit.fitted.connect(self._on_fitted)
        self.fit.failed.connect(self._on_fit_failed)
        listen(context.controller.state_changed, self._update_buttons)
        listen(context.controller.baseline_ready, self._on_baseline_ready)
        listen(context.workspace.images_changed, self._on_view_changed)
        listen(context.workspace.codes_changed, self._on_codes_changed)
        listen(context.workspace.classes_changed, self.preview.recolor)
        listen(context.viewer.dims.events.current_step, self._on_view_changed)
        listen(context.viewer.layers.selection.events.active, self._on_view_changed)
        listen(context.viewer.layers.events.removed, self._update_buttons)

    # ----------------------------------------------------------------- state

    def entered(self) -> None:
        """Show the preview of the slice in view."""
        self._entered = True
        self._update_buttons()
        self._ask_preview()

    def showEvent(self, event: QShowEvent) -> None:
        """Wake up when a hidden dock comes back, too."""
        super().showEvent(event)
        if not self._entered and not event.spontaneous():
            self.entered()

    def hideEvent(self, event: QHideEvent) -> None:
        """Take the preview away when another step is shown, or the dock is closed."""
        super().hideEvent(event)
        if not event.spontaneous():
            self._entered = False
            self.preview.remove()

    def _update_buttons(self, *_: object) -> None:
        if not self._entered:
            return
        entry = self.context.layers.current_image()
        idle = self.context.controller.state is JobState.IDLE
        busy = None if idle else "Wait for what is running, or cancel it."
        no_image = None if entry else "Choose an image in the Data step first."
        no_steps = None if self.draft.steps else "Add a step first, such as filling holes."
        self.enable(self.apply, no_image or self._why_not_apply() or no_steps or busy)
        self.enable(self.fit, no_image or self._why_not_fit())
        self.recipes.refresh(no_steps)
        self.use.refresh(entry)

    def _learns(self) -> bool:
        found = self.draft.chain().method() if self.draft.steps else None
        return found is not None and found[0].prepare_on(found[1]) == "strokes"

    def _groups(self) -> bool:
        return self.draft.method is not None and METHODS[self.draft.method].groups

    def _grows(self) -> bool:
        return self._use_of_strokes() != "unused"

    def _why_not_apply(self) -> str | None:
        if self._use_of_strokes() != "needed":
            return None
        if self.seeds.points or self.seeds.kept or self._is_annotated():
            return None
        return "Paint some of each class first; this method grows or learns from that."

    def _why_not_fit(self) -> str | None:
        if self.fit.busy:
            return None
        if not can_be_fitted(self.draft.method):
            return "Settings are searched for methods that find classes; try these on the preview."
        if self._is_annotated():
            return None
        return "Paint some of each class first; the settings are fitted to that."

    def _use_of_strokes(self) -> UseOfStrokes:
        found = self.draft.chain().method() if self.draft.steps else None
        return "unused" if found is None else found[0].use_of_strokes(found[1])

    def _is_annotated(self) -> bool:
        return any(e.annotated_planes() for e in self.context.workspace.images.values())

    # --------------------------------------------------------------- preview

    def _on_draft_changed(self) -> None:
        if self._made_way:
            self._made_way = False
            self.show_preview.setChecked(True)
        self.choice.set_name(self.draft.method)
        if self._decides_by_grey() is None:
            self.histogram.hide()
        self._offer_seeds()
        self.in_means.setVisible(self._groups())
        self._say_summary()
        self._update_buttons()
        self._ask_preview()

    def _offer_seeds(self) -> None:
        """Offer what the method can grow or learn from."""
        chain, kept = self.draft.chain() if self.draft.steps else None, self._kept
        serves = chain is not None and kept is not None and kept.recipe.serves(chain)
        self.seeds.offer(kept if serves else None)
        self.seeds.verb.setText("Learn from" if self._learns() else "Grow from")
        self.seeds.setVisible(self._grows())

    def _on_view_changed(self, *_: object) -> None:
        self._update_buttons()
        self._ask_preview()

    def _on_codes_changed(self, *_: object) -> None:
        self._update_buttons()
        if self.draft.method is None or self._use_of_strokes() != "unused":
            self._ask_preview()

    def _say_summary(self) -> None:
        method = self.draft.method
        if method is None:
            self.summary.setText(_REFINES)
            return
        found = METHODS[method]
        is_fitted = self.fits.mapping(self.draft.chain()) is not None
        fitted = " Fitted to your annotations." if is_fitted else ""
        self.summary.setText(f"{found.summary} Good for: {_lower(found.good_for)}{fitted}")

    def _mapping(self) -> dict[int, int] | None:
        """Return answers → codes, from a fit or by the names of classes; None where they stay."""
        kept, chain = self.seeds.kept, self.draft.chain()
        classes = self.context.workspace.classes
        return self.fits.mapping(chain) if kept is None else kept.mapping(classes)

    def _table(self) -> Codes | None:
        mapping = self._mapping() if self.draft.steps else None
        return None if mapping is None else lookup(mapping)

    def _ask_preview(self, *_: object) -> None:
        if not self._entered:
            return
        entry = self.context.layers.current_image()
        wanted = (
            self.show_preview.isChecked()
            and self._why_not_apply() is None
            and not self.compared_section.isExpanded()
        )
        if entry is None or not wanted or not self.draft.steps:
            self.preview.remove()
            return
        plane = self.context.layers.current_plane(entry)
        try:
            strokes = self.seeds.strokes(entry) if self._grows() else None
        except UserError as error:
            self.context.say(str(error))
            return
        chain, table = self.draft.chain(), self._table()
        learned = None if self.seeds.kept is None else self.seeds.kept.learned
        in_means = self.in_means.isChecked() and self._groups()
        self.preview.request(Request(entry, plane, chain, table, strokes, learned, in_means))

    def _on_previewed(self) -> None:
        preview = self.preview.answer
        if preview is None:
            return
        said = []
        if preview.box is not None:
            rows, columns = preview.box
            said.append(
                f"the middle of what is in sight, {rows.stop - rows.start} × "
                f"{columns.stop - columns.start} px"
            )
        if preview.n_planes > 1:
            said.append(f"{preview.n_planes} slices")
        self.seen.setText(f"Previewed on {' of '.join(said)}: this takes longer." if said else "")
        self.seen.setVisible(bool(said))
        self.editor.suggest(preview.by_grey_value)
        grey, method = preview.grey, self._decides_by_grey()
        self.histogram.setVisible(grey is not None and method is not None)
        if grey is not None and method is not None:
            can = len(method.set_by_hand) == len(grey.levels) > 0
            self.histogram.show_values(
                grey.counts, grey.span, grey.levels, grey.names, can_be_dragged=can
            )

    def _decides_by_grey(self) -> LevelMethod[Any] | None:
        """Return the method if it has grey values for thresholds, and is looked at."""
        at, name = self.draft.at, self.draft.method
        method = None if name is None or self.draft.steps[at].step != name else METHODS[name]
        return method if isinstance(method, LevelMethod) and method.decides_by_grey else None

    def _on_line_moved(self, line: int, level: float) -> None:
        """Set a threshold by hand."""
        method = self._decides_by_grey()
        if method is None:
            return
        values = dict(zip(method.set_by_hand, self.histogram.levels, strict=True))
        params = self.draft.steps[self.draft.at].checked().replace(**values)
        self.draft.set_params(params)

    # ------------------------------------------------------------------- fit

    def _on_fit(self) -> None:
        self.context.say("Searching the settings that agree best with your annotations …")
        self.fit.search(self.draft.chain(), list(self.context.workspace.images.values()))
        self._update_buttons()

    def _on_fitted(self, fitted: FittedBaseline) -> None:
        self.fits.take(fitted)
        self.draft.choose(fitted.method)
        at = next(i for i, s in enumerate(self.draft.steps) if s.step == fitted.method)
        self.draft.look_at(at)
        self.draft.set_params(fitted.params)
        self._on_draft_changed()
        self.context.say(
            f"Fitted: mean IoU {fitted.mean_iou:.3f} on {self._fitted_on()}. "
            "Look at the preview, then apply it to the stack."
        )

    def _fitted_on(self) -> str:
        if self._use_of_strokes() == "needed":
            return "the half of what you painted that it was not shown"
        return "what you painted"

    def _on_fit_failed(self, sentence: str) -> None:
        self.context.say(sentence)
        self._update_buttons()

    # ----------------------------------------------------------------- apply

    def _on_apply(self) -> None:
        chain, kept = self.draft.chain(), self.seeds.kept
        try:
            strokes = self._strokes()
        except UserError as error:
            self.context.say(str(error))
            return
        if kept is not None:
            codes_for(self.context.workspace, kept.recipe.classes, "the recipe's")
        self._mappings = dict.fromkeys(self.context.workspace.images, self._mapping())
        learned = None if kept is None else kept.recipe.learned
        self.context.controller.baseline(chain, strokes, learned)

    def _on_baseline_ready(self, image_id: str, recipe: ChainRecipe, labels: Any) -> None:
        if image_id not in self._mappings or image_id not in self.context.workspace.images:
            return
        mapping = self._mappings.pop(image_id)
        # The preview makes way for the result until the next move of a slider.
        self._made_way = self._made_way or self.show_preview.isChecked()
        self.show_preview.setChecked(False)
        if labels.dtype != np.uint8:
            self.context.workspace.number_objects(image_id, labels)
            self._update_buttons()
            return
        recipe = recipe.model_copy(update={"mapping": mapping})
        if mapping is not None:
            for plane in labels:
                plane[...] = recipe.meant(plane)
        title = " · ".join(find_step(settings.step).title for settings in recipe.chain.steps)
        self.context.results.add(image_id, title, labels, in_words(recipe.chain), recipe)
        self._update_buttons()

    # ---------------------------------------------------------------- compared

    def _on_used(self, row: MethodCompared) -> None:
        """Go on with a row of the table: with its steps, or with its model."""
        if row.recipe is not None:
            self._kept = None
            self.compared_section.collapse(animate=False)
            self._take(ChainRecipe.model_validate(row.recipe))
            self.context.say(f"{row.title} is set as it was compared; apply it to the stack.")
        elif row.model is not None:
            try:
                self.context.controller.open_model(Path(row.model))
            except UserError as error:
                self.context.say(str(error))
                return
            self.context.say(f"{row.title} is the model at hand now; apply it in Train.")

    # --------------------------------------------------------------- recipes

    def _recipe(self) -> Callable[[], ChainRecipe]:
        """Return what makes a recipe of the steps as they are now."""
        classes = self.context.workspace.classes
        recipe = recipe_of(self.draft.chain(), self.fits, self.seeds.kept, classes)
        entries, strokes = list(self.context.workspace.images.values()), self._strokes()
        return lambda: kept_recipe(recipe, entries, strokes)

    def _strokes(self) -> dict[str, Codes]:
        """Return by image what a method grows from, where that is not what is painted."""
        return self.seeds.strokes_by_image() if self._grows() else {}

    def open_recipe(self, path: Path) -> None:
        """Take over the steps of a recipe, and what it keeps."""
        self.recipes.open_recipe(path)

    def _on_opened(self, name: str, recipe: ChainRecipe) -> None:
        try:
            self._kept = Kept(name, recipe, recipe.recalled())
        except UserError as error:
            self.context.say(str(error))
            return
        if recipe.serves(recipe.chain) and not self.context.workspace.in_use:
            self.context.workspace.set_classes(recipe.classes or self.context.workspace.classes)
        self._take(recipe)
        titles = ", ".join(find_step(settings.step).title for settings in recipe.chain.steps)
        kept = f", {self._kept.in_words()}" if self.seeds.kept is self._kept else ""
        entries = self.context.workspace.images.values()
        self.context.say(f"Took {name}: {titles}{kept}.{other_pixel_sizes(recipe, entries)}")

    def _take(self, recipe: ChainRecipe) -> None:
        found = recipe.chain.method()
        if found is not None and recipe.mapping is not None:
            method, params = found
            self.fits.take(FittedBaseline(method.name, params, recipe.mapping, float("nan")))
        self.draft.set_steps(recipe.chain.steps)
        self._on_draft_changed()


def _lower(sentence: str) -> str:
    """Write the first word small, unless it is an abbreviation."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]
