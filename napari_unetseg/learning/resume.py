"""What a training run was doing when it was stopped, kept on disk so that it can go on."""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from napari_unetseg.config import TRAINING_STATE, LabelClass, Recipe
from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, Warned
from napari_unetseg.images import atomic_file, fingerprint

from .bundle import Model
from .data import LabelledRegion, TrainingImage

#: Seconds between two writings; longer where they would cost more than this share of the time.
KEEP_EVERY_S = 30.0
KEEP_COST = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """A run between two steps.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Weights, optimisers, generators.
    values : dict
        Everything else, as builtins.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class StateFile:
    """``training-state.safetensors`` in a model's folder, there while the model is in training.

    Saving the model replaces the folder, and so removes the file.

    Parameters
    ----------
    folder : Path
        Of the model.
    resume : bool
        Whether to go on with what is there; otherwise it is removed.

    Attributes
    ----------
    found : TrainingState or None
        What to go on with.

    Raises
    ------
    UserError
        If there is nothing to go on with, or it is damaged.
    """

    def __init__(self, folder: Path, *, resume: bool = False) -> None:
        self._path = folder / TRAINING_STATE
        self._kept_at = time.monotonic()
        self._wait_s = KEEP_EVERY_S
        self.found: TrainingState | None = None
        if resume:
            self.found = self._read()
        else:
            self.remove()

    def _read(self) -> TrainingState:
        if not self._path.is_file():
            raise UserError(
                f"There is no stopped training in {self._path.parent} to go on with; "
                "train without --resume."
            )
        try:
            with safe_open(self._path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                values = json.loads(file.metadata()["values"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{self._path} is damaged; train anew, with --overwrite.") from error
        return TrainingState(tensors, values)

    def keep(self, state: Callable[[], TrainingState]) -> Iterator[Event]:
        """Write what `state` returns, when it is time."""
        if time.monotonic() - self._kept_at < self._wait_s:
            return
        began = time.monotonic()
        try:
            self._write(state())
        except UserError as error:
            self._wait_s = math.inf
            yield Warned(f"Training goes on, but could not be resumed if it were stopped: {error}")
            return
        self._kept_at = time.monotonic()
        self._wait_s = max(KEEP_EVERY_S, (self._kept_at - began) / KEEP_COST)

    def _write(self, state: TrainingState) -> None:
        content = save(
            {
                name: tensor.to("cpu", memory_format=torch.contiguous_format, copy=True)
                for name, tensor in state.tensors.items()
            },
            {"values": json.dumps(state.values)},
        )
        with atomic_file(self._path, overwrite=True) as partial:
            partial.write_bytes(content)

    def remove(self) -> None:
        """Leave nothing behind: neither the file nor a folder that was made for it."""
        if self._path.is_file():
            self._path.unlink()
            if not any(self._path.parent.iterdir()):
                self._path.parent.rmdir()


@contextmanager
def complete_state() -> Iterator[None]:
    """Raise `UserError` where a state lacks something that is asked of it."""
    try:
        yield
    except UserError:
        raise
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"The stopped training lacks something ({error}); train anew, with --overwrite."
        ) from error


def check_same_training(stopped: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise `UserError` unless a training that was stopped is the one now asked for."""
    settings = _differences(stopped["settings"], asked["settings"])
    different = ["settings"] if settings else []
    different += [n for n in asked if n != "settings" and stopped.get(n) != asked[n]]
    if different:
        which = f" ({'; '.join(settings)})" if settings else ""
        raise UserError(
            f"The training that was stopped had other {' and '.join(different)}{which}; resume it "
            "with the same as before, or train anew with --overwrite."
        )


def _differences(stopped: Any, asked: Any, name: str = "") -> list[str]:
    """Name the settings that differ, with what they were; of new ones a state says nothing."""
    if not isinstance(stopped, dict) or not isinstance(asked, dict):
        return [] if stopped == asked else [f"{name} was {stopped}, not {asked}"]
    return [
        difference
        for key in asked
        if key in stopped
        for difference in _differences(stopped[key], asked[key], f"{name}.{key}".lstrip("."))
    ]


def what_is_asked(
    images: Sequence[TrainingImage],
    recipe: Recipe,
    classes: Sequence[LabelClass],
    base: Model | None,
    regions: Sequence[LabelledRegion],
) -> dict[str, Any]:
    """Return, as builtins and by name, what makes a training the same as another one."""
    return {
        "settings": recipe.model_dump(mode="json"),
        "classes": [c.name for c in classes],
        "base model": base.info.name if base is not None else None,
        "patches to rehearse": _rehearsed(base),
        "images": [fingerprint(image.stack) for image in images],
        "annotations": [_checksum(region) for region in regions],
    }


def _rehearsed(base: Model | None) -> int | None:
    patches = None if base is None else base.rehearsal
    return None if patches is None else zlib.crc32(patches.tobytes())


def _checksum(region: LabelledRegion) -> int:
    value = 0
    for labels in (region.targets, *region.maps.values()):
        value = zlib.crc32(labels.contiguous().numpy().data, value)
    return value


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put ``prefix/`` before every name."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``prefix/``, without it."""
    start = f"{prefix}/"
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


def optimiser_tensors(optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Return what optimisers remember of each weight, by name."""
    return {
        f"{i}/{j}/{name}": value
        for i, optimiser in enumerate(optimisers)
        for j, weight in enumerate(_weights(optimiser))
        for name, value in optimiser.state.get(weight, {}).items()
        if isinstance(value, Tensor)
    }


def load_optimisers(
    optimisers: Sequence[torch.optim.Optimizer], tensors: Mapping[str, Tensor]
) -> None:
    """Make optimisers remember `tensors`, as `optimiser_tensors` returned them, and nothing else.

    What has the shape of a weight gets its device and memory layout, too.
    """
    for i, optimiser in enumerate(optimisers):
        optimiser.state.clear()
        for j, weight in enumerate(_weights(optimiser)):
            for name, value in under(f"{i}/{j}", tensors).items():
                like = value.shape == weight.shape
                copied = torch.empty_like(weight).copy_(value) if like else value.clone()
                optimiser.state[weight][name] = copied.detach()


def _weights(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [weight for group in optimiser.param_groups for weight in group["params"]]
