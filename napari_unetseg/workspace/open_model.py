"""The model at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_unetseg.config import ModelInfo, read_model_info


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model's folder, and what it says of itself."""

    path: Path
    info: ModelInfo

    @classmethod
    def read(cls, path: str | Path) -> OpenModel:
        """Read what a model says of itself.

        Raises
        ------
        UserError
            If the folder is no model.
        """
        return cls(Path(path), read_model_info(path))
