"""The steps of a chain: a list to reorder, and the settings of the one that is looked at."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from napari_unetseg.classical import FILTERS, METHODS, REFINEMENTS, find_step
from napari_unetseg.errors import UserError
from napari_unetseg.workspace.chain_draft import ChainDraft, title_of

from .context import Context
from .forms import ConfigForm
from .listen import listen
from .step_labels import folded_of, instead_of, labels_of, where_of

#: Rows that are shown at most before the list scrolls.
_ROWS = 5

#: The step that takes one channel, and its setting.
_CHANNEL = "channel"

_STAYS = "There is no step of its kind there to change places with."


class ChainEditor(QWidget):
    """A list of steps with a form for one of them.

    Parameters
    ----------
    draft : ChainDraft

    Attributes
    ----------
    beside_add : QHBoxLayout
        Room for another button.
    """

    def __init__(self, context: Context, draft: ChainDraft) -> None:
        super().__init__()
        self._context = context
        self.draft = draft
        self.forms: dict[str, ConfigForm[Any]] = {}
        self._form_widgets: dict[str, QWidget] = {}
        self._is_shown = False
        self._failure = ""
        self._build()
        draft.changed.connect(self._refresh)
        listen(context.workspace.images_changed, self._on_image_changed)
        listen(context.viewer.layers.selection.events.active, self._on_image_changed)
        self._refresh()

    def _build(self) -> None:
        self.steps = QListWidget()
        self.steps.setToolTip("What is done, one step after the other; click on one to set it.")
        self.steps.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.steps.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.steps.currentRowChanged.connect(self._on_row_changed)
        self.add = QPushButton("Add a step")
        self.add.setToolTip("Filter the image beforehand, or better the result.")
        self.menu = QMenu(self.add)
        self._fill_menu()
        self.add.setMenu(self.menu)
        self.up = self._tool("↑", lambda: self.draft.move(-1))
        self.down = self._tool("↓", lambda: self.draft.move(1))
        self.remove = self._tool("✕", self.draft.remove)
        self.undo = self._tool("↶", self.draft.undo)
        self.redo = self._tool("↷", self.draft.redo)
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.add, 1)
        self.beside_add = QHBoxLayout()
        row.addLayout(self.beside_add)
        for button in (self.up, self.down, self.remove, self.undo, self.redo):
            row.addWidget(button)
        self.channels = QLabel()
        self.channels.setWordWrap(True)
        self.channels.linkActivated.connect(self.draft.add)
        self._forms_column = QVBoxLayout()
        self._forms_column.setContentsMargins(0, 0, 0, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.steps)
        column.addLayout(row)
        column.addWidget(self.channels)
        column.addLayout(self._forms_column)

    def _fill_menu(self) -> None:
        for heading, registry in (
            ("Before the method", FILTERS),
            ("After the method", REFINEMENTS),
        ):
            self.menu.addAction(_heading(heading, self.menu))
            for name in registry:
                step = find_step(name)
                action = self.menu.addAction(step.title, lambda n=name: self.draft.add(n))
                action.setToolTip(f"{step.summary} {step.good_for}")
                action.setData(name)
        self.menu.setToolTipsVisible(True)

    def _tool(self, text: str, slot: Any) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setAutoRaise(True)
        button.clicked.connect(lambda: slot())
        return button

    # ----------------------------------------------------------------- state

    @property
    def form(self) -> ConfigForm[Any] | None:
        """The form of the step looked at; None where there are no steps."""
        if self.draft.at < 0:
            return None
        name = self.draft.steps[self.draft.at].step
        if name not in self.forms:
            form = self.forms[name] = ConfigForm(
                find_step(name).params,
                labels_of(name),
                folded=folded_of(name),
                instead=instead_of(name),
                where=where_of(name),
            )
            form.changed.connect(self._on_form_changed)
            self._form_widgets[name] = form.make_widget()
            self._forms_column.addWidget(self._form_widgets[name])
        return self.forms[name]

    def _refresh(self) -> None:
        self._forget_failure()
        draft = self.draft
        self._is_shown = True
        self.steps.clear()
        self.steps.addItems([f"{i}. {title_of(s)}" for i, s in enumerate(draft.steps, start=1)])
        self.steps.setCurrentRow(draft.at)
        height = self.steps.sizeHintForRow(0) if draft.steps else 0
        self.steps.setFixedHeight(height * min(len(draft.steps), _ROWS) + 6)
        self.steps.setVisible(len(draft.steps) > 1 or (draft.method is None and bool(draft.steps)))
        form = self.form
        self._show_channels()
        if form is not None:
            form.set_value(draft.steps[draft.at].checked())
        shown = draft.steps[draft.at].step if draft.steps else ""
        for name, widget in self._form_widgets.items():
            widget.setVisible(name == shown)
        self._is_shown = False
        self._update_tools()

    def suggest(self, by_grey_value: dict[str, float]) -> None:
        """Show what grey values of the method would be that are set in %."""
        name = self.draft.method
        if name in self.forms:
            own = instead_of(name)  # the preview may be of a method that was left meanwhile
            self.forms[name].suggest({n: at for n, at in by_grey_value.items() if n in own})

    def _show_channels(self) -> None:
        """Say what becomes of several channels; let none be chosen that is not there."""
        entry = self._context.layers.current_image()
        n = 1 if entry is None else entry.stack.n_channels
        steps = self.draft.steps
        chosen = [s.checked().model_dump()[_CHANNEL] for s in steps if s.step == _CHANNEL]
        if entry is not None and _CHANNEL in self.forms:
            # A recipe may ask for more than there are, and is told so by its answer.
            self.forms[_CHANNEL].set_highest(_CHANNEL, max([n, *chosen]))
        method = None if self.draft.method is None else METHODS[self.draft.method]
        if method is not None and method.mixes_channels and n > 1 and not chosen:
            # A link's own blue cannot be read on napari's dark themes.
            color = self.palette().windowText().color().name()
            link = f'<a href="{_CHANNEL}" style="color: {color}">{find_step(_CHANNEL).title}</a>'
            self.channels.setText(
                f"{method.title} looks at the mean of the {n} channels; add {link} to look at one "
                "of them."
            )
            self.channels.show()
        else:
            self.channels.hide()

    def _on_image_changed(self, *_: object) -> None:
        self._show_channels()

    def _update_tools(self) -> None:
        draft = self.draft
        states = (
            (
                self.up,
                draft.can_move(-1),
                "Do this step earlier.",
                _STAYS,
            ),
            (self.down, draft.can_move(1), "Do this step later.", _STAYS),
            (self.remove, draft.can_remove(), "Remove this step.", "Choose another method above."),
            (self.undo, draft.can_undo, "Undo the last change of the steps.", "Nothing to undo."),
            (self.redo, draft.can_redo, "Redo what was undone.", "Nothing to redo."),
        )
        for button, can, what, why_not in states:
            button.setEnabled(can)
            button.setToolTip(what if can else why_not)
        for button in (self.up, self.down, self.remove):
            button.setVisible(len(draft.steps) > 1 or draft.can_remove())
        for button in (self.undo, self.redo):
            button.setVisible(draft.can_undo or draft.can_redo)

    # --------------------------------------------------------------- changes

    def _on_row_changed(self, row: int) -> None:
        if not self._is_shown:
            self.draft.look_at(row)

    def _on_form_changed(self) -> None:
        form = self.form
        if self._is_shown or form is None:
            return
        try:
            params = form.value()
        except UserError as error:
            self._failure = str(error)
            self._context.say(self._failure)
            return
        self._forget_failure()
        self.draft.set_params(params)

    def _forget_failure(self) -> None:
        self._context.take_back(self._failure)
        self._failure = ""


def _heading(text: str, menu: QMenu) -> QWidgetAction:
    """Return a line of a menu that cannot be chosen; napari's style draws no sections."""
    label = QLabel(text)
    label.setContentsMargins(8, 6, 8, 2)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    action = QWidgetAction(menu)
    action.setDefaultWidget(label)
    return action
