"""Pictures of what models make of the slice in view, to pick one by eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QListView, QListWidget, QListWidgetItem

from napari_unetseg.config import ModelInfo, read_model_info, shipped_models
from napari_unetseg.errors import UserError
from napari_unetseg.events import ModelPreviewed

from .context import Context
from .listen import listen

#: Side of a picture.
_PICTURE_PX = 76

#: Models of this and earlier sessions beside those that come with the package.
_RECENT = 4

#: The slice in view is looked at when it has rested for so long, and when nothing was painted.
_REST_MS, _PAINTING_REST_MS = 250, 1500

#: Agreement with what is painted from which a model is a start: one that finds nothing, or
#: everything, has a half at most.
AGREES = 0.6

#: Room around it, for its frame and for two lines of text below.
_AROUND = QSize(12, 36)


class ModelStrip(QListWidget):
    """A row of models, each with a picture of the slice in view.

    Attributes
    ----------
    chosen : Signal(object)
        A person picked a model: the path of its folder.
    best_changed : Signal()
    best : Path or None
        Folder of the model that agrees best with what is painted; None where none agrees.
    """

    chosen = Signal(object)
    best_changed = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._names: dict[str, str] = {}
        self._scores: dict[str, float] = {}
        self._selected: Path | None = None
        self._resting = False
        self.best: Path | None = None
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setMovement(QListView.Movement.Static)
        self.setWordWrap(True)
        self.setSpacing(1)
        self.setIconSize(QSize(_PICTURE_PX, _PICTURE_PX))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        bar = self.horizontalScrollBar()
        assert bar is not None
        self.setFixedHeight(_PICTURE_PX + _AROUND.height() + bar.sizeHint().height() + 4)
        self.itemClicked.connect(self._on_item)
        self.itemActivated.connect(self._on_item)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self.refresh)
        previews = context.controller.previews
        listen(previews.previewed, self._on_previewed)
        listen(previews.failed, self._on_failed)
        listen(context.workspace.codes_changed, self._on_painted)
        listen(context.controller.model_changed, self._on_changed)
        listen(context.viewer.dims.events.current_step, self._on_changed)
        listen(context.viewer.layers.selection.events.active, self._on_changed)

    @property
    def models(self) -> list[Path]:
        """Folders of the models, from left to right."""
        return [Path(path) for path in self._names]

    def refresh(self) -> None:
        """List the models, and ask for pictures of them on the slice in view."""
        controller, layers = self._context.controller, self._context.layers
        recent = self._context.workspace.session.recent_models(_RECENT)
        self._list([*shipped_models().values(), *recent])
        entry = layers.current_image()
        if entry is None or not self._names:
            controller.previews.forget()
        else:
            controller.previews.ask(entry, layers.current_plane(entry), self.models)

    def set_resting(self, resting: bool) -> None:
        """Give the room to others while a network is training, and no model is drawn."""
        self._resting = resting
        self._show_or_hide()

    def _show_or_hide(self) -> None:
        self.setVisible(bool(self._names) and not self._resting)

    def _list(self, folders: Sequence[Path]) -> None:
        """List models; pictures of those that stay are kept until there are new ones."""
        if [str(folder) for folder in folders] == list(self._names):
            return
        icons = {path: self._item(path).icon() for path in self._names}
        self.clear()
        self._names = {}
        self._scores = {p: s for p, s in self._scores.items() if Path(p) in folders}
        blank = QPixmap(_PICTURE_PX, _PICTURE_PX)
        blank.fill(QColor(128, 128, 128, 40))
        for path in map(str, folders):
            try:
                info = read_model_info(path)
            except UserError:
                continue  # deleted meanwhile, or damaged: whoever opens it by name is told
            item = QListWidgetItem(icons.get(path, _icon(blank)), info.name)
            item.setData(Qt.ItemDataRole.UserRole, path)
            item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
            item.setSizeHint(QSize(_PICTURE_PX, _PICTURE_PX) + _AROUND)
            item.setToolTip(_about(path, info))
            self._names[path] = info.name
            self.addItem(item)
        self.select(self._selected)
        self._show_or_hide()
        self._find_best()

    def _on_previewed(self, preview: ModelPreviewed) -> None:
        if preview.model not in self._names:
            return
        item, name = self._item(preview.model), self._names[preview.model]
        if preview.sentence:
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            item.setToolTip(preview.sentence)
            self._scores.pop(preview.model, None)
            self._find_best()
            return
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        item.setIcon(_icon(QPixmap(preview.picture)))
        item.setText(name if preview.score is None else f"{name}\n{preview.score:.2f}")
        self._scores[preview.model] = preview.score or 0.0
        self._find_best()

    def _find_best(self) -> None:
        agreeing = {p: s for p, s in self._scores.items() if s >= AGREES and p in self._names}
        best = max(agreeing, key=lambda path: agreeing[path], default=None)
        if (found := None if best is None else Path(best)) != self.best:
            self.best = found
            self.best_changed.emit()

    def _on_failed(self, sentence: str) -> None:
        self._context.say(sentence)

    def _on_changed(self, *_: object) -> None:
        if self._step_is_shown():
            self._rest.start(_REST_MS)

    def _on_painted(self, *_: object) -> None:
        if self._step_is_shown():
            self._rest.start(_PAINTING_REST_MS)

    def _step_is_shown(self) -> bool:
        """Tell whether the step is in view: the strip itself hides where there is no model."""
        parent = self.parentWidget()
        return parent is not None and parent.isVisible()

    def select(self, model: Path | None) -> None:
        """Mark the model in use, without telling anyone."""
        self._selected = model
        if model is None or str(model) not in self._names:
            self.clearSelection()
        else:
            self.setCurrentItem(self._item(str(model)))

    def _item(self, path: str) -> QListWidgetItem:
        item = self.item(list(self._names).index(path))
        assert item is not None
        return item

    def _on_item(self, item: QListWidgetItem) -> None:
        self.chosen.emit(Path(item.data(Qt.ItemDataRole.UserRole)))


def _icon(pixmap: QPixmap) -> QIcon:
    """Return an icon that has its own colours when it is selected, too."""
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def _about(path: str, info: ModelInfo) -> str:
    if info.card is None:
        return f"{info.name}: {', '.join(c.name for c in info.classes)}\n{path}"
    not_for = f"\nNot for: {info.card.not_for}" if info.card.not_for else ""
    return f"{info.card.summary}{not_for}\nThe number is how well it agrees with what is painted."
