"""What a pickle describes, looked at without doing it: nothing is imported, nothing is called."""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class NotUnderstoodError(ValueError):
    """A pickle does something else than describing plain values and arrays."""


@dataclass(frozen=True, slots=True)
class Named:
    """Something a pickle names, like a function: only its name is known here."""

    name: str


@dataclass(slots=True, eq=False)
class Described:
    """What a pickle would make by a call: by what, of what, and with which state."""

    made_by: Any
    arguments: Any
    state: Any = None


_MARK = object()

#: Opcodes whose argument is the value.
_PLAIN = frozenset(
    [
        "BININT",
        "BININT1",
        "BININT2",
        "INT",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
    ]
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NOTHING = frozenset(("PROTO", "FRAME", "STOP"))


@dataclass(slots=True)
class _Machine:
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def above_mark(self) -> list[Any]:
        at = next(i for i in reversed(range(len(self.stack))) if self.stack[i] is _MARK)
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def tuple_of(self, count: int) -> None:
        found = tuple(self.stack[len(self.stack) - count :])
        if len(found) != count:
            raise NotUnderstoodError("a tuple of more than there is")
        del self.stack[len(self.stack) - count :]
        self.stack.append(found)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise NotUnderstoodError("items of something that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key if isinstance(key, str | int | bytes) else id(key)] = value

    def append_all(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise NotUnderstoodError("an element of something that is no list")
        self.stack[-1].extend(items)

    def describe(self) -> None:
        arguments = self.stack.pop()
        self.stack.append(Described(self.stack.pop(), arguments))

    def build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Described):
            self.stack[-1].state = state

    def name(self) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        self.stack.append(Named(f"{module}.{attribute}"))


_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "MARK": lambda m, _: m.stack.append(_MARK),
    "POP": lambda m, _: m.stack.pop(),
    "POP_MARK": lambda m, _: m.above_mark(),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_SET": lambda m, _: m.stack.append([]),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.above_mark())),
    "LIST": lambda m, _: m.stack.append(m.above_mark()),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "SETITEM": lambda m, _: m.set_items([*reversed((m.stack.pop(), m.stack.pop()))]),
    "SETITEMS": lambda m, _: m.set_items(m.above_mark()),
    "APPEND": lambda m, _: m.append_all([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append_all(m.above_mark()),
    "ADDITEMS": lambda m, _: m.append_all(m.above_mark()),
    "GLOBAL": lambda m, name: m.stack.append(Named(str(name).replace(" ", "."))),
    "STACK_GLOBAL": lambda m, _: m.name(),
    "REDUCE": lambda m, _: m.describe(),
    "NEWOBJ": lambda m, _: m.describe(),
    "BUILD": lambda m, _: m.build(),
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    "PUT": lambda m, index: m.put(index),
    "BINPUT": lambda m, index: m.put(index),
    "LONG_BINPUT": lambda m, index: m.put(index),
    "GET": lambda m, index: m.stack.append(m.memo[index]),
    "BINGET": lambda m, index: m.stack.append(m.memo[index]),
    "LONG_BINGET": lambda m, index: m.stack.append(m.memo[index]),
}


def described(content: bytes) -> Any:
    """Return what a pickle describes.

    Parameters
    ----------
    content : bytes
        Of any protocol.

    Returns
    -------
    object
        Numbers, text, bytes, tuples, lists and dictionaries as they are; what would be called is
        `Described`, and what would be imported `Named`.

    Raises
    ------
    NotUnderstoodError
        If it does anything else, or is damaged.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            name = opcode.name
            if name in _PLAIN:
                machine.stack.append(argument)
            elif name in _CONSTANTS:
                machine.stack.append(_CONSTANTS[name])
            elif name in _STEPS:
                _STEPS[name](machine, argument)
            elif name not in _NOTHING:
                raise NotUnderstoodError(f"it uses {name}")
        return machine.stack.pop()
    except NotUnderstoodError:
        raise
    except (ValueError, LookupError, StopIteration, TypeError, OverflowError, MemoryError) as error:
        raise NotUnderstoodError(str(error) or "it ends too early") from error
