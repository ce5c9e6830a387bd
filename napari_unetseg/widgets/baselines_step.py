"""Baselines: classical steps, tried on the slice in view, then applied to the stack."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_unetseg.classical import METHODS, ChainRecipe, FittedBaseline
from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished, FinishReason, MethodCompared
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace import ImageEntry
from napari_unetseg.workspace.baseline_fits import Meaning, can_be_fitted
from napari_unetseg.workspace.chain_draft import ChainDraft
from napari_unetseg.workspace.model_classes import codes_for
from napari_unetseg.workspace.next_step import Offer
from napari_unetseg.workspace.readiness import only_painted
from napari_unetseg.workspace.results import in_slots
from napari_unetseg.workspace.slots import Codes

from .chain_editor import ChainEditor
from .compared_table import ComparedTable
from .context import Context
from .fit_button import FitButton
from .listen import listen
from .method_choice import MethodChoice
from .recipe_menu import RecipeMenu
from .refined import Refined
from .seeds_choice import SeedsChoice
from .step import StepPanel
from .steps_preview import StepsPreview
from .taken_steps import TakenSteps
from .use_result_row import UseResultRow


class BaselinesStep(StepPanel):
    """Choose a method and steps around it, see them on the slice in view, apply them.

    Attributes
    ----------
    offers_changed : Signal()
        `offer` may be another.
    """

    offers_changed = Signal()

    TITLE: ClassVar[str] = "Baselines"
    HINT: ClassVar[str] = (
        "Try a classical method on the slice in view; where one suffices, nothing need be trained."
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._entered = False
        self._asked: dict[str, tuple[dict[int, int] | None, Codes]] = {}
        self._left_out: list[ImageEntry] = []
        self._said_of_steps = ""
        self._refined_last: Any = None
        self._fitted: Any = None
        self._fit_from = context.workspace.results.moment()
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
        self.taken = TakenSteps(self.context, self.draft, self.seeds)
        self.editor = ChainEditor(self.context, self.draft)
        shown = self.steps_preview = StepsPreview(self.context, self.draft, self.seeds)
        self.refined = Refined(self.context, shown.live.hidden)
        self.preview, self.histogram, self.seen = shown.live, shown.histogram, shown.seen
        self.show_preview, self.in_means = shown.is_wanted, shown.in_means
        self.fit = FitButton()
        self.steps_preview.row.addWidget(self.fit, 1)
        self.use = UseResultRow(self.context)
        self.recipes = RecipeMenu(self.context, self.taken.recipe)
        self.editor.beside_add.addWidget(self.recipes)
        by_hand = QWidget()
        column = QVBoxLayout(by_hand)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(self.column.spacing())
        for widget in (
            self.choice,
            self.summary,
            self._meaning_row(),
            self.seeds,
            self.editor,
            self.steps_preview,
        ):
            column.addWidget(widget)
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
        self.compared_section.toggled.connect(self.offers_changed)
        self.column.addStretch(1)

    def _meaning_row(self) -> QWidget:
        """Return a line that says what answers mean, where they are not left as they are."""
        self.meaning = QWidget()
        self.meant = QLabel()
        self.meant.setWordWrap(True)
        self.drop = self.button(
            "Drop",
            "Take the answers of the method as they are; ↶ brings back what they mean now.",
            self.draft.drop_meaning,
        )
        row = QHBoxLayout(self.meaning)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.meant, 1)
        row.addWidget(self.drop)
        return self.meaning

    def _connect(self) -> None:
        context = self.context
        self.choice.chosen.connect(self.draft.choose)
        listen(self.draft.changed, self._on_draft_changed)
        self.seeds.changed.connect(self._on_given_changed)
        self.steps_preview.wanted.connect(self._ask_preview)
        self.steps_preview.wanted.connect(self.offers_changed)
        self.preview.shown.connect(self._on_previewed)
        self.recipes.opened.connect(self.taken.take_recipe)
        self.recipes.written.connect(self._update_buttons)
        self.recipes.failed.connect(self._say_of_steps)
        self.taken.failed.connect(self._say_of_steps)
        self.fit.pressed_to_fit.connect(self._on_fit)
        self.fit.fitted.connect(self._on_fitted)
        self.fit.failed.connect(self._on_fit_failed)
        listen(context.controller.state_changed, self._update_buttons)
        listen(context.controller.baseline_ready, self._on_baseline_ready)
        listen(context.controller.finished, self._on_finished)
        listen(context.workspace.images_changed, self._on_given_changed)
        listen(context.workspace.codes_changed, self._on_codes_changed)
        listen(context.workspace.classes_changed, self.preview.recolor)
        listen(context.viewer.dims.events.current_step, self._on_view_changed)
        listen(context.viewer.layers.selection.events.active, self._on_view_changed)
        listen(context.at_hand.changed, self._on_at_hand_changed)
        listen(context.viewer.layers.events.removed, self._update_buttons)

    # ----------------------------------------------------------------- state

    def entered(self) -> None:
        """Show the preview of the slice in view."""
        self._entered = True
        self._say_summary()
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
            self.steps_preview.remove()

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
        self.offers_changed.emit()

    @property
    def offer(self) -> Offer:
        """What can be pressed now."""
        if self.compared_section.isExpanded():
            if self.compared.use.isVisible():
                return "rows"
            return "compare" if self.compared.compare.isEnabled() else "nothing"
        if self.fit.busy:
            return "stop"
        if self.fit.isEnabled() and self.draft.steps != self._fitted:
            return "fit"
        if not self.apply.isEnabled():
            return "nothing"
        return "preview" if self.steps_preview.is_wanted.isChecked() else "apply"

    @property
    def why_not(self) -> str:
        """Why nothing is offered, where that is so."""
        is_table = self.compared_section.isExpanded()
        return str((self.compared.compare if is_table else self.apply).toolTip())

    def _why_not_apply(self) -> str | None:
        if self.draft.method is None:
            return self.refined.why_not(self.context.layers.current_image())
        found = self.draft.chain().method() if self.draft.steps else None
        if found is None or self.seeds.kept:
            return None
        what_for = "this method grows or learns from that."
        return self._why_too_little(self.seeds.codes(), found[0].n_codes_needed(found[1]), what_for)

    def _why_not_fit(self) -> str | None:
        if self.fit.busy:
            return None
        if not can_be_fitted(self.draft.method):
            return "Settings are searched for methods that find classes; try these on the preview."
        entries = self.context.workspace.images.values()
        painted = {code for entry in entries for code in entry.codes_painted()}
        return self._why_too_little(painted, 2, "the settings are fitted to that.")

    def _why_too_little(self, codes: set[int], n_needed: int, what_for: str) -> str | None:
        if len(codes) >= n_needed:
            return None
        if not codes:
            return f"Paint some of each class first; {what_for}"
        return only_painted(self.context.workspace, min(codes))

    def _say_of_steps(self, sentence: str) -> None:
        """Say something until the steps, or what they are given, have changed."""
        self._said_of_steps = sentence
        self.context.say(sentence)

    def _take_back_said(self) -> None:
        self.context.take_back(self._said_of_steps)
        self._said_of_steps = ""

    # --------------------------------------------------------------- preview

    def _on_draft_changed(self) -> None:
        self._take_back_said()
        self.choice.set_name(self.draft.method)
        self.taken.offer()
        self.seeds.verb.setText("Learn from" if self.draft.learns else "Grow from")
        self.seeds.setVisible(self.draft.use_of_strokes != "unused")
        self.steps_preview.follow_steps()
        self._say_summary()
        self._update_buttons()
        self._ask_preview()

    def _on_given_changed(self, *_: object) -> None:
        self._take_back_said()
        self._say_summary()
        self._on_view_changed()

    def _on_view_changed(self, *_: object) -> None:
        self._update_buttons()
        self._ask_preview()

    def _on_at_hand_changed(self) -> None:
        """Refine another segmentation, where another is at hand now."""
        entry = self.context.layers.current_image()
        if not self._entered or self.draft.method is not None or entry is None:
            return
        if self.refined.layer(entry) is not self._refined_last:
            self._say_summary()
            self._ask_preview()

    def _on_codes_changed(self, *_: object) -> None:
        self._take_back_said()
        self._update_buttons()
        if self.draft.method is None or self.draft.use_of_strokes != "unused":
            self._ask_preview()

    def _say_summary(self) -> None:
        method, meaning = self.draft.method, self.draft.meaning
        if method is None:
            entry = self.context.layers.current_image()
            self._refined_last = None if entry is None else self.refined.layer(entry)
            self.summary.setText(self.refined.sentence(entry))
        else:
            found = METHODS[method]
            self.summary.setText(f"{found.summary} Good for: {_lower(found.good_for)}")
        if meaning is not None:
            self.meant.setText(f"Which of its answers is which class comes from {meaning.told_by}.")
        self.meaning.setVisible(self.seeds.kept is None and self.taken.mapping() is not None)

    def _ask_preview(self, *_: object) -> None:
        if not self._entered:
            return
        if self.compared_section.isExpanded():
            self.steps_preview.remove()
            return
        entry = self.context.layers.current_image()
        refines = self.draft.method is None
        begun = self.refined.labels(entry) if refines and entry is not None else None
        self.steps_preview.ask(self.taken.mapping(), self._why_not_apply(), begun)

    def _on_previewed(self) -> None:
        if self.preview.answer is not None:
            self.editor.suggest(self.preview.answer.by_grey_value)

    # ------------------------------------------------------------------- fit

    def _on_fit(self) -> None:
        self.context.say("Searching the settings that agree best with your annotations …")
        self._fit_from = self.context.workspace.results.moment()
        self.fit.search(self.draft.chain(), list(self.context.workspace.images.values()))
        self._update_buttons()

    def _on_fitted(self, fitted: FittedBaseline) -> None:
        slots = in_slots(fitted.mapping, self._fit_from)
        self.draft.take_fit(Meaning(fitted.method, fitted.params, slots))
        self._fitted = self.draft.steps
        self._say_of_steps(
            f"Fitted: mean IoU {fitted.mean_iou:.3f} on {self._fitted_on()}. "
            "Look at the preview, then apply it to the stack."
        )

    def _fitted_on(self) -> str:
        if self.draft.use_of_strokes == "needed":
            return "the half of what you painted that it was not shown"
        return "what you painted"

    def _on_fit_failed(self, sentence: str) -> None:
        self._say_of_steps(sentence)
        self._update_buttons()

    # ----------------------------------------------------------------- apply

    def _on_apply(self) -> None:
        chain, kept = self.draft.chain(), self.seeds.kept
        images = self.context.workspace.images
        grows = self.draft.use_of_strokes == "needed" and not self.draft.learns
        try:
            uses_strokes = self.draft.use_of_strokes != "unused"
            strokes = self.seeds.strokes_by_image() if uses_strokes else {}
            left_out = [
                entry for entry in images.values() if grows and not self.seeds.has_some(entry)
            ]
        except UserError as error:
            self._say_of_steps(str(error))
            return
        if kept is not None:
            codes_for(self.context.workspace, kept.recipe.classes, "the recipe's")
        self._left_out = left_out
        moment = self.context.workspace.results.moment()
        self._asked = dict.fromkeys(images, (self.taken.mapping(), moment))
        learned = None if kept is None else kept.recipe.learned
        without = [entry.id for entry in left_out]
        begun = self.refined.begin() if self.draft.method is None else {}
        self.context.controller.baseline(chain, strokes, learned, begun, left_out=without)

    def _on_baseline_ready(self, image_id: str, recipe: ChainRecipe, labels: Any) -> None:
        if image_id not in self._asked or image_id not in self.context.workspace.images:
            return
        mapping, moment = self._asked.pop(image_id)
        # The preview makes way for the result until the next move of a slider.
        self.steps_preview.make_way()
        title, made_by = self.refined.named(image_id, recipe.chain)
        if labels.dtype != np.uint8:
            self.context.objects.found(image_id, labels, made_by)
            self._update_buttons()
            return
        recipe = recipe.model_copy(update={"mapping": mapping})
        if mapping is not None:
            for plane in labels:
                plane[...] = recipe.meant(plane)
        replayed_by = self.refined.replayed_by(image_id, recipe)
        add, answer = self.context.results.add, (labels, made_by, replayed_by, moment)
        self.context.layers.after_stroke(lambda: add(image_id, title, *answer))
        self._update_buttons()

    def _on_finished(self, finished: Finished) -> None:
        left_out, self._left_out = self._left_out, []
        if left_out and finished.reason is FinishReason.COMPLETED:
            names = ", ".join(entry.stack.name for entry in left_out)
            nothing = "nothing is painted or clicked there"
            self.context.say(f"{finished.sentence} Left out {names}: {nothing}.")

    # -------------------------------------------------------------- taken over

    def _on_used(self, row: MethodCompared) -> None:
        """Go on with a row of the table."""
        if self.taken.take_row(row):
            self.compared_section.collapse(animate=False)


def _lower(sentence: str) -> str:
    """Write the first word small, unless it is an abbreviation."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]
