"""A model: weights with everything needed to use them, as a folder on disk."""

from __future__ import annotations

import copy
import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from napari_unetseg.config import (
    MODEL_JSON,
    TRAINING_STATE,
    ModelInfo,
    find_model,
    is_unfinished,
    read_model_info,
)
from napari_unetseg.errors import UserError
from napari_unetseg.images import atomic_folder, check_output
from napari_unetseg.networks import Network, build_network

from .rehearsal import Sheet, read_sheet, write_sheet

WEIGHTS, HISTORY, PREVIEW = "weights.safetensors", "history.csv", "preview.png"

#: Patches that training from a model rehearses.
REHEARSAL = "rehearsal.png"

#: Columns of ``history.csv``.
HISTORY_COLUMNS = ("step", "elapsed_s", "loss", "learning_rate", "held_out_mean_iou")


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A trained network and what is known about it.

    Attributes
    ----------
    info : ModelInfo
    network : Network
        On the CPU, in evaluation mode.
    history : tuple of dict
        Rows of ``history.csv``: some of `HISTORY_COLUMNS`.
    preview : ndarray or None, shape (Y, X, 3), uint8
        A training slice with its segmentation.
    rehearsal : ndarray or None, shape (N, Y, X), uint8
        Some of what it was made from, for what is trained from it; N a multiple of 8. Of models of
        single slices of one channel alone.
    """

    info: ModelInfo
    network: Network
    history: tuple[Mapping[str, float], ...] = ()
    preview: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    rehearsal: Sheet | None = field(default=None, repr=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by output channel, ``"background"`` first; what comes after these is no class."""
        return ("background", *(c.name for c in self.info.classes))

    def fingerprint(self) -> str:
        """Identify a model by its weights and what is known about it.

        Returns
        -------
        str
            32 hexadecimal digits.
        """
        digest = hashlib.sha256(self.info.model_dump_json().encode())
        for name, weights in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(weights.numpy().tobytes())
        return digest.hexdigest()[:32]

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the model folder: complete or not at all.

        Parameters
        ----------
        path : str or Path
            The folder, by custom ``NAME.unet``.
        overwrite : bool
            Replace what is there; only another model is ever replaced. The unfinished training of
            this one always is.

        Raises
        ------
        UserError
            If something is there already, or the folder cannot be written.
        """
        target = Path(path)
        unfinished = is_unfinished(target)
        overwrite = overwrite or unfinished
        check_model_output(target, overwrite=overwrite)
        marker = TRAINING_STATE if unfinished else MODEL_JSON
        with atomic_folder(target, overwrite=overwrite, marker=marker) as folder:
            self._write_files(folder)
        return target

    def _write_files(self, folder: Path) -> None:
        weights = {name: t.contiguous() for name, t in self.network.state_dict().items()}
        # Not by save_file, whose files nobody else may read.
        (folder / WEIGHTS).write_bytes(save(weights))
        (folder / MODEL_JSON).write_text(
            self.info.model_dump_json(indent=2) + "\n", encoding="utf-8"
        )
        with (folder / HISTORY).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HISTORY_COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(self.history)
        if self.preview is not None:
            Image.fromarray(self.preview).save(folder / PREVIEW)
        if self.rehearsal is not None:
            write_sheet(self.rehearsal, folder / REHEARSAL)


def in_half_precision(model: Model) -> Model:
    """Return a model whose convolutions take half as much room; `load_model` makes them whole.

    What normalises stays as it is: it is small, and its range is not that of half precision.
    """
    network = copy.deepcopy(model.network)
    for weight in network.parameters():
        if weight.ndim > 1:
            weight.data = weight.data.half()
    return replace(model, network=network)


def check_model_output(path: str | Path, *, overwrite: bool = False) -> None:
    """Raise `UserError` where a model could not be saved, before minutes are spent on it."""
    unfinished = is_unfinished(path)
    if unfinished and not overwrite:
        raise UserError(
            f"{path} holds a training that was stopped; go on with it with --resume, or begin anew "
            "with --overwrite."
        )
    check_output(path, overwrite)
    if Path(path).exists() and not unfinished and not (Path(path) / MODEL_JSON).is_file():
        raise UserError(f"{path} is no model, so it is not replaced; choose another name.")


def load_model(path: str | Path) -> Model:
    """Read a model.

    Parameters
    ----------
    path : str or Path
        Its folder, or the name of one that comes with the package; see `find_model`.

    Raises
    ------
    UserError
        If there is no such folder, or it is no model, or one of another version, or damaged.
    """
    folder = find_model(path)
    info = read_model_info(folder)
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder} has no {WEIGHTS}; copy the whole model folder again.")
    # Shapes only: a description cannot ask for more memory than the weights beside it take.
    with torch.device("meta"):
        network = build_network(info.recipe.network, len(info.channels), len(info.outputs))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS), assign=True)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise UserError(
            f"The weights in {folder} are damaged or of another network; copy the model again."
        ) from error
    network.float().eval().requires_grad_(False)
    if not all(bool(values.isfinite().all()) for values in network.state_dict().values()):
        raise UserError(f"Weights in {folder} are not finite numbers; copy the model again.")
    return Model(
        info,
        network,
        _read_history(folder / HISTORY),
        _read_preview(folder / PREVIEW),
        _read_rehearsal(folder / REHEARSAL, network, len(info.channels)),
    )


def _read_rehearsal(path: Path, network: Network, n_channels: int) -> Sheet | None:
    if not path.is_file():
        return None
    if network.spatial_dims == 3 or network.neighbours or n_channels > 1:
        raise UserError(f"{path} is of a model of single grey slices, not of this one; remove it.")
    return read_sheet(path)


def _read_history(path: Path) -> tuple[Mapping[str, float], ...]:
    if not path.is_file():
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(
                {column: float(value) for column, value in row.items() if value}
                for row in csv.DictReader(file)
            )
    except (ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{path} is damaged; copy the model again.") from error


def _read_preview(path: Path) -> npt.NDArray[np.uint8] | None:
    if not path.is_file():
        return None
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is damaged; copy the model again.") from error
