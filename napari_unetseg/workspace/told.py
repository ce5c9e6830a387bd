"""How probable the network finds what is shown as segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_unetseg.classical import Told
from napari_unetseg.images import map_npy

from .workspace import Workspace


class ToldProbabilities:
    """Where the probabilities stand that belong to the segmentation shown, if there are any."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._paths: dict[str, Path] = {}
        self._names: tuple[str, ...] = ()

    def take(self, role: str, names: Sequence[str]) -> None:
        """Take over what a network has answered: arrays of that role, of classes by name."""
        session = self._workspace.session
        self._paths = {image: session.path(image, role) for image in self._workspace.images}
        self._names = tuple(names)

    def forget(self) -> None:
        """Say that the segmentation shown is going to be another."""
        self._paths = {}

    def codes(self) -> list[int]:
        """Return the code of each class; none where a class is there no more."""
        code_of = {c.name: code for code, c in enumerate(self._workspace.classes, start=2)}
        known = all(name in code_of for name in self._names)
        return [code_of[name] for name in self._names] if known else []

    def path(self, image_id: str) -> Path | None:
        """Return the file of an image; None where nothing is told of it."""
        path = self._paths.get(image_id)
        return path if path is not None and path.is_file() and self.codes() else None

    def of(self, image_id: str) -> Told | None:
        """Return what is told of an image."""
        path = self.path(image_id)
        return None if path is None else Told(map_npy(str(path), "r"), self.codes())
