"""The name of the model that training with *Live* has left, to be typed over."""

from __future__ import annotations

from qtpy.QtWidgets import QLineEdit

from napari_unetseg.errors import UserError
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace import name_model

from .context import Context
from .listen import listen

_WHAT = "The name of this model, in lists and for its folder. Type another one and press Enter."
_BUSY = "The model can be named when what is running has ended."


class ModelName(QLineEdit):
    """Shown once *Live* has ended, for as long as a model of this session is at hand."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._was_live = False
        self.setMinimumWidth(80)
        self.editingFinished.connect(self._on_typed)
        controller = context.controller
        listen(controller.live.changed, self.refresh)
        listen(controller.state_changed, self.refresh)
        listen(controller.model_changed, self._on_model_changed)
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Come into view when there is something to be named."""
        controller = self._context.controller
        self._was_live = self._was_live or controller.live.is_on
        model, folder = controller.model, self._context.workspace.session.folder
        named = model is not None and folder in model.path.parents
        self.setVisible(self._was_live and not controller.live.is_on and named)
        idle = controller.state is JobState.IDLE
        self.setEnabled(idle)
        self.setToolTip(_WHAT if idle else _BUSY)

    def _on_model_changed(self) -> None:
        model = self._context.controller.model
        self.setText("" if model is None else model.info.name)
        self.refresh()

    def _on_typed(self) -> None:
        controller = self._context.controller
        model, name = controller.model, self.text()
        if model is None or not self.isEnabled() or name == model.info.name:
            return
        models = self._context.workspace.session.folder / "models"
        try:
            named = name_model(model.path, name, models)
            controller.open_model(named)
        except UserError as error:
            self._context.say(str(error))
            self._on_model_changed()
            return
        self._context.say(f"The model is called {named.stem} now.")
