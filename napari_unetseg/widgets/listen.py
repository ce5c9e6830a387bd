"""Connections that end with the widget they lead to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod


def listen(signal: Any, slot: Callable[..., object]) -> None:
    """Connect a signal that outlives a widget to one of its methods, for as long as it lives.

    psygnal and napari forget a method once its object is collected, but Qt may destroy a widget
    long before: when the dock is closed, the methods of its panels would act on what is gone.

    Parameters
    ----------
    signal : psygnal.SignalInstance or napari EventEmitter
    slot : method of a QObject
    """
    signal.connect(slot)
    method: WeakMethod[Any] = WeakMethod(slot)
    owner: Any = method().__self__  # type: ignore[union-attr]

    def disconnect() -> None:
        alive = method()
        if alive is not None:
            signal.disconnect(alive)

    owner.destroyed.connect(disconnect)
