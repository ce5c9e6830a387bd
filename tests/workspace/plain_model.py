"""What a workspace should hold, in the plainest way: whole copies instead of differences.

Nothing of the package is used here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

NOTHING, BACKGROUND, FIRST_CLASS = 0, 1, 2

#: An edit remembers of each pixel where it is (8 bytes), what it was and what it is.
BYTES_PER_PIXEL = 10
#: Of slices of which more than one pixel in so many changes, all pixels are kept.
BYTES_OF_WHOLE, SPARSE = 2, 5
#: Of those that are kept, where something was accepted before, one byte more: who painted it.
#: Numbers of objects are larger; where all are renumbered, two are remembered for each object.
BYTES_PER_OBJECT_PIXEL, BYTES_PER_OBJECT = 16, 8


@dataclass(frozen=True)
class State:
    """What undo restores; never changed in place.

    Attributes
    ----------
    classes : tuple of (int, str)
        Identities, which no renumbering touches, and names.
    painted : dict of str to ndarray of int16, shape (planes, Y, X)
        Identities: 0 nothing, 1 background.
    shown_as : dict of int to int
        As which identity an answer is shown, after merging and deleting; others as nothing.
    objects : dict of str to ndarray of uint32, shape (planes, Y, X)
        Ids, of those that were corrected.
    right : dict of str to frozenset of int
    """

    classes: tuple[tuple[int, str], ...]
    painted: dict[str, np.ndarray]
    shown_as: dict[int, int]
    objects: dict[str, np.ndarray] = field(default_factory=dict)
    right: dict[str, frozenset] = field(default_factory=dict)


class PlainModel:
    """Annotations, answers, regions and a list of all states there were."""

    def __init__(self, first_class: str, max_bytes: int | None = None) -> None:
        self.now = State(((FIRST_CLASS, first_class),), {}, {1: 1, 2: 2})
        self.past: list[tuple[State, int]] = []
        self.future: list[tuple[State, int]] = []
        self.answered: dict[str, np.ndarray] = {}
        self.regions: dict[str, np.ndarray | None] = {}
        self.answered_objects: dict[str, np.ndarray] = {}
        self.accepted: set[str] = set()
        self.has_forgotten = False
        self._max_bytes = max_bytes
        self._n_identities = FIRST_CLASS + 1

    # ----------------------------------------------------------------- images

    def add_image(self, image: str, shape: tuple[int, int, int]) -> None:
        """Add an image before anything is done."""
        assert not self.past
        self.now.painted[image] = np.zeros(shape, np.int16)
        self.answered[image] = np.zeros(shape, np.int16)
        self.regions[image] = None

    def allowed(self, image: str) -> np.ndarray:
        region = self.regions[image]
        if region is None:
            return np.ones(self.answered[image].shape, bool)
        return region == 1 if (region == 1).any() else region != 2

    # ------------------------------------------------------------------ codes

    @property
    def identities(self) -> list[int]:
        return [identity for identity, _ in self.now.classes]

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.now.classes]

    @property
    def n_classes(self) -> int:
        return len(self.now.classes)

    def codes(self, image: str, state: State | None = None) -> np.ndarray:
        """Return the annotations as they should be."""
        state = state or self.now
        return self._to_codes(state.painted[image], state)

    def predicted(self, image: str) -> np.ndarray:
        """Return what was answered, in the present classes, wherever it may be."""
        table = np.zeros(self._n_identities, np.int16)
        for identity, shown_as in self.now.shown_as.items():
            table[identity] = shown_as
        codes = self._to_codes(table[self.answered[image]], self.now)
        return np.where(self.allowed(image), codes, np.uint8(0))

    def shown(self, image: str) -> np.ndarray:
        """Return the segmentation as it should be."""
        codes = self.codes(image)
        return np.where(codes != 0, codes, self.predicted(image))

    def to_train(self, image: str) -> np.ndarray:
        return np.where(self.allowed(image), self.codes(image), np.uint8(0))

    def _to_codes(self, identities: np.ndarray, state: State) -> np.ndarray:
        table = np.zeros(self._n_identities, np.uint8)
        table[BACKGROUND] = 1
        for code, (identity, _) in enumerate(state.classes, 2):
            table[identity] = code
        return table[identities]

    def oldest_identities(self) -> list[int]:
        """Return what a job answers for each class: where some were merged, the oldest of them."""
        shown_as = sorted(self.now.shown_as.items())
        return [next(i for i, shown in shown_as if shown == c) for c in self.identities]

    # ---------------------------------------------------------------- history

    def write(self, image: str, after: np.ndarray, names: list[str]) -> None:
        """Replace the annotations of an image; codes beyond the classes make new ones.

        Parameters
        ----------
        after : ndarray, shape (planes, Y, X)
            Codes.
        names : list of str
            Those of all classes afterwards; only those of new ones are looked at.
        """
        before = self.codes(image)
        changed = after != before
        if not changed.any():
            return
        state = self.now
        for k in range(self.n_classes, max(self.n_classes, int(after[changed].max()) - 1)):
            state = self._with_class(state, names[k])
        table = np.array([NOTHING, BACKGROUND, *(identity for identity, _ in state.classes)])
        painted = state.painted[image].copy()
        painted[changed] = table[after[changed]]
        n_bytes = sum(map(kept_px, changed)) if image in self.accepted else 0
        self._do(replace(state, painted={**state.painted, image: painted}), n_bytes)

    def answer(self, image: str, plane: int, identities: np.ndarray) -> None:
        """Answers are no part of the history."""
        self.answered[image][plane] = identities

    def undo(self) -> bool:
        if not self.past:
            return False
        before, size = self.past.pop()
        self.future.append((self.now, size))
        self.now = before
        return True

    def redo(self) -> bool:
        if not self.future:
            return False
        after, size = self.future.pop()
        self.past.append((self.now, size))
        self.now = after
        return True

    def _do(self, after: State, n_bytes: int = 0) -> None:
        images = self.now.painted
        changed = [p for i in images for p in self.codes(i) != self.codes(i, after)]
        self.past.append((self.now, sum(map(bytes_of_slice, changed)) + n_bytes))
        self.future.clear()
        self.now = after
        while self._max_bytes is not None and self.n_bytes > self._max_bytes and self.past[1:]:
            del self.past[0]
            self.has_forgotten = True

    @property
    def n_bytes(self) -> int:
        return sum(size for _, size in self.past)

    # ---------------------------------------------------------------- objects

    def objects(self, key: str) -> np.ndarray:
        return self.now.objects.get(key, self.answered_objects[key])

    def right(self, key: str) -> frozenset:
        return self.now.right.get(key, frozenset())

    def correct_objects(self, key: str, ids: np.ndarray, right: set, *, renumber=False) -> None:
        """Replace the ids of objects, and which are right; what is gone is not right."""
        before = self.objects(key)
        there = set(np.unique(ids).tolist())
        right = frozenset(right) & there
        changed = int((before != ids).sum())
        if not changed and right == self.right(key):
            return
        n_bytes = BYTES_PER_OBJECT_PIXEL * changed
        if renumber:
            n_bytes = BYTES_PER_OBJECT * len(there - {0})
        state = self.now
        objects, marks = {**state.objects, key: ids.copy()}, {**state.right, key: right}
        self._do(replace(state, objects=objects, right=marks), n_bytes)

    # ---------------------------------------------------------------- classes

    def add_class(self, name: str) -> None:
        self._do(self._with_class(self.now, name))

    def _with_class(self, state: State, name: str) -> State:
        new = self._n_identities
        self._n_identities += 1
        return replace(
            state, classes=(*state.classes, (new, name)), shown_as={**state.shown_as, new: new}
        )

    def rename_class(self, k: int, name: str) -> None:
        classes = list(self.now.classes)
        if classes[k - 1][1] != name:
            classes[k - 1] = (classes[k - 1][0], name)
            self._do(replace(self.now, classes=tuple(classes)))

    def reorder_classes(self, order: list[int]) -> None:
        if order != sorted(order):
            self._do(replace(self.now, classes=tuple(self.now.classes[k - 1] for k in order)))

    def turn_class(self, k: int, into: int | None) -> None:
        """Merge a class into another, or delete it."""
        gone = self.identities[k - 1]
        becomes = NOTHING if into is None else self.identities[into - 1]
        painted = self.now.painted.items()
        shown_as = self.now.shown_as.items()
        self._do(
            replace(
                self.now,
                classes=tuple(c for c in self.now.classes if c[0] != gone),
                painted={i: np.where(p == gone, np.int16(becomes), p) for i, p in painted},
                shown_as={i: becomes if shown == gone else shown for i, shown in shown_as},
            )
        )


def kept_px(changed: np.ndarray) -> int:
    n_px = int(changed.sum())
    return changed.size if n_px > changed.size // SPARSE else n_px


def bytes_of_slice(changed: np.ndarray) -> int:
    is_whole = int(changed.sum()) > changed.size // SPARSE
    return (BYTES_OF_WHOLE if is_whole else BYTES_PER_PIXEL) * kept_px(changed)
