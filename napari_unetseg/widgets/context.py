"""What every step of the dock works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_unetseg.workspace import JobController, Workspace

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .layers import LayerBinder


@dataclass(eq=False)
class Context:
    """The viewer, what is open in it, what runs for it, and the layers that show it.

    Attributes
    ----------
    said : Signal(str)
        The sentence for the status line.
    """

    viewer: Viewer
    workspace: Workspace
    controller: JobController
    layers: LayerBinder

    said = Signal(str)

    def say(self, sentence: str) -> None:
        """Show one sentence in the status line."""
        self.said.emit(sentence)
