"""Which layers of a viewer are one image, and how a person wants them read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from napari.layers import Image, Layer

from napari_unetseg.images import Stack

from .stack_from_layers import (
    CHOICES,
    METADATA,
    channel_names,
    guess_axes,
    stack_from_layers,
)


@dataclass(frozen=True, slots=True)
class Choice:
    """How to read an image.

    Attributes
    ----------
    axes : str
        Of each of its layers.
    channels : tuple of int or None
        Those to use; None for all.
    """

    axes: str
    channels: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class OpenImage:
    """Layers that are one image: a layer by itself, or one per channel."""

    layers: tuple[Image, ...]

    @property
    def name(self) -> str:
        """What a person calls it."""
        if len(self.layers) == 1:
            return str(self.layers[0].name)
        facts = self.layers[0].metadata[METADATA]
        return str(facts.get("name") or facts["group"])

    @property
    def axes_choices(self) -> tuple[str, ...]:
        """The axes that fit; none where the image has more than can be worked with."""
        choices = CHOICES.get(self.layers[0].ndim, ())
        has_channels = self.layers[0].rgb or len(self.layers) > 1
        return tuple(axes for axes in choices if not (has_channels and "C" in axes))

    def channel_names(self, axes: str) -> tuple[str, ...]:
        """Name its channels when its axes are read like this."""
        return channel_names(self.layers, axes)

    def as_stack(self, choice: Choice) -> Stack:
        """Describe it."""
        return stack_from_layers(self.layers, choice.axes, choice.channels)


def open_images(layers: Iterable[Layer]) -> list[OpenImage]:
    """Group the image layers of a viewer.

    Layers whose metadata names the same group, and that have one shape, are the channels of one
    image.
    """
    groups: dict[object, list[Image]] = {}
    for layer in layers:
        if not isinstance(layer, Image) or "role" in layer.metadata.get(METADATA, {}):
            continue  # what is shown of a result is no image to work on
        group = layer.metadata.get(METADATA, {}).get("group")
        key = id(layer) if group is None or layer.rgb else (group, layer.data.shape)
        groups.setdefault(key, []).append(layer)
    return [OpenImage(tuple(sorted(found, key=_channel))) for found in groups.values()]


def _channel(layer: Image) -> int:
    return int(layer.metadata.get(METADATA, {}).get("channel", 0))


class Choices:
    """What was chosen for each image, for as long as its layers are open."""

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[Image, Choice] = WeakKeyDictionary()

    def __getitem__(self, image: OpenImage) -> Choice:
        made = self._made.get(image.layers[0])
        if made is not None and made.axes in image.axes_choices:
            return made
        guessed = guess_axes(image.layers[0])
        return Choice(guessed if guessed in image.axes_choices else image.axes_choices[0])

    def set_axes(self, image: OpenImage, axes: str) -> None:
        """Read an image with other axes, and with all its channels."""
        self._made[image.layers[0]] = Choice(axes)

    def set_channels(self, image: OpenImage, channels: tuple[int, ...]) -> None:
        """Use these channels of an image."""
        self._made[image.layers[0]] = dataclasses.replace(self[image], channels=channels)

    def restore(self, image: OpenImage, choice: Choice) -> None:
        """Go back to an earlier choice."""
        self._made[image.layers[0]] = choice
