"""Thousands of edits at random against a model of numpy arrays and Python lists."""

import numpy as np
import pytest

from napari_unetseg.annotations import (
    add_class,
    delete_class,
    merge_classes,
    recolor_class,
    rename_class,
    reorder_classes,
)
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import Workspace

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

SHAPE = (2, 70, 90)
NOTHING, BACKGROUND = 0, 1
N_STEPS = 3000
MOST_CLASSES = 6


class Expected:
    """What should be there, in identities of classes that no renumbering touches.

    Attributes
    ----------
    classes : list of int
        Identities, 2 or more, in order.
    painted, answered : dict of str to ndarray
        Identities; 0 nothing, 1 background. Answers are no part of the history.
    meaning : dict of int to int
        As what an identity that was answered is shown, after merging and deleting.
    """

    def __init__(self):
        self.n_made = 3
        self.now = ((2,), {}, {0: 0, 1: 1, 2: 2})
        self.history, self.at = [self.now], 0
        self.answered = {}

    classes = property(lambda self: list(self.now[0]))
    painted = property(lambda self: self.now[1])
    meaning = property(lambda self: self.now[2])

    def add_image(self, image):
        """An image is no step: it is there before and after every one."""
        for _, painted, _ in self.history:
            painted[image] = np.zeros(SHAPE, np.int64)
        self.answered[image] = np.zeros(SHAPE, np.int64)

    def do(self, *, classes=None, painted=None, meaning=None):
        self.now = (
            self.now[0] if classes is None else tuple(classes),
            self.painted if painted is None else painted,
            self.meaning if meaning is None else meaning,
        )
        del self.history[self.at + 1 :]
        self.history.append(self.now)
        self.at += 1

    def step(self, by):
        self.at = min(max(self.at + by, 0), len(self.history) - 1)
        self.now = self.history[self.at]

    def paint(self, image, after):
        if (after != self.painted[image]).any():
            self.do(painted={**self.painted, image: after})

    def codes(self, identities):
        """Return an array of identities in the present codes; what is no class is nothing."""
        table = np.zeros(self.n_made + 1, np.uint8)
        table[BACKGROUND] = 1
        for k, identity in enumerate(self.classes, 1):
            table[identity] = k + 1
        return table[identities]

    def identities(self, codes):
        return np.array([0, 1, *self.classes, *[0] * 255])[codes]

    def shown(self, image):
        """Return the segmentation in identities: the answer where nothing is painted."""
        meaning = np.arange(self.n_made + 1)
        for identity, shown_as in self.meaning.items():
            meaning[identity] = shown_as
        return np.where(self.painted[image], self.painted[image], meaning[self.answered[image]])


class Machine:
    """Does the same to a workspace and to what is expected of it."""

    def __init__(self, folder, rng):
        self.rng = rng
        self.workspace = Workspace(Session(folder))
        self.expected = Expected()
        self.stacks, self.left_out = {}, {}
        self.jobs = []
        self.decided = {}
        self.counts = {}
        for i in range(2):
            pixels = rng.integers(0, 255, SHAPE, dtype=np.uint8)
            stack = Stack(pixels, "ZYX", name=f"cells {i}")
            image = self.workspace.add_image(stack).id
            self.stacks[image] = stack
            self.expected.add_image(image)

    def close(self):
        self.workspace.close()

    # ------------------------------------------------------------ what is done

    def image(self):
        return str(self.rng.choice(sorted(self.workspace.images)))

    def place(self):
        plane, y, x = (int(self.rng.integers(n)) for n in SHAPE)
        height, width = self.rng.integers(1, 40, 2)
        return plane, slice(y, y + int(height)), slice(x, x + int(width))

    def code(self):
        return int(self.rng.integers(len(self.workspace.classes) + 2))

    def stroke(self):
        image, place, code = self.image(), self.place(), self.code()
        painted = self.workspace.images[image].codes.copy()
        painted[place] = code
        self.workspace.commit_annotations(image, painted, [place[0]])
        after = self.expected.painted[image].copy()
        after[place] = self.expected.identities(np.array(code))
        self.expected.paint(image, after)

    def correct(self):
        image, place, code = self.image(), self.place(), self.code()
        entry = self.workspace.images[image]
        shown = np.stack([entry.segmentation(p) for p in range(SHAPE[0])])
        painted = shown.copy()
        painted[place] = code
        self.workspace.commit_segmentation(image, painted, shown, [place[0]])
        before = self.expected.codes(self.expected.shown(image))
        after = self.expected.painted[image].copy()
        changed = np.zeros(SHAPE, bool)
        changed[place] = before[place] != code
        after[changed] = self.expected.identities(np.array(max(code, 1)))
        self.expected.paint(image, after)

    def begin_job(self):
        """Remember the classes as a job does that will answer later.

        What it answers for a class that others were merged into is, when that is taken back, of
        the oldest of them.
        """
        meaning = sorted(self.expected.meaning.items())
        oldest = [next(i for i, m in meaning if m == c) for c in self.expected.classes]
        self.jobs.append((self.workspace.prediction_slots(), oldest))
        del self.jobs[:-4]

    def answer(self):
        if not self.jobs:
            return
        slots, classes = self.jobs[int(self.rng.integers(len(self.jobs)))]
        image, plane = self.image(), int(self.rng.integers(SHAPE[0]))
        codes = self.rng.integers(1, len(classes) + 2, (7, 9)).repeat(10, 0).repeat(10, 1)
        self.workspace.set_prediction(image, plane, slots[codes])
        self.expected.answered[image][plane] = np.array([0, 1, *classes])[codes]

    def accept(self):
        image, planes = self.image(), [int(self.rng.integers(SHAPE[0]))]
        shown = self.expected.codes(self.expected.shown(image)[planes])
        after = self.expected.painted[image].copy()
        n = int(((after[planes] == 0) & (shown != 0)).sum())
        assert self.workspace.accept(image, planes) == n
        after[planes] = np.where(after[planes], after[planes], self.expected.identities(shown))
        self.expected.paint(image, after)

    def use_as_annotations(self):
        image = self.image()
        labels = self.rng.integers(0, self.code() + 1, (2, 7, 9)).repeat(10, 1).repeat(10, 2)
        self.workspace.use_as_annotations(image, labels.astype(np.uint8), [0, 1])
        before = self.expected.painted[image]
        self.expected.paint(image, np.where(before, before, self.expected.identities(labels)))

    def undo(self):
        assert (self.workspace.undo() is None) == (self.expected.at == 0)
        self.expected.step(-1)

    def redo(self):
        at_end = self.expected.at == len(self.expected.history) - 1
        assert (self.workspace.redo() is None) == at_end
        self.expected.step(+1)

    def leave_out_or_take_in(self):
        if self.left_out:
            image, stack = self.left_out.popitem()
            assert self.workspace.add_image(stack).id == image
        else:
            image = self.image()
            self.workspace.remove_image(image)
            self.left_out[image] = self.stacks[image]

    # ---------------------------------------------------------------- classes

    def k(self):
        return int(self.rng.integers(len(self.workspace.classes))) + 1

    def change(self, change, *arguments):
        try:
            self.workspace.change_classes(change, *arguments, label=change.__name__)
        except UserError:
            return False
        return True

    def add_class(self):
        if len(self.workspace.classes) < MOST_CLASSES:
            self.change(add_class)
            new = self.expected.n_made
            self.expected.n_made += 1
            meaning = {**self.expected.meaning, new: new}
            self.expected.do(classes=[*self.expected.classes, new], meaning=meaning)

    def delete_class(self):
        k = self.k()
        assert self.change(delete_class, k) == (len(self.expected.classes) > 1)
        if len(self.expected.classes) > 1:
            self.turn(self.expected.classes[k - 1], NOTHING)

    def merge_classes(self):
        k, into = self.k(), self.k()
        assert self.change(merge_classes, k, into) == (k != into)
        if k != into:
            self.turn(self.expected.classes[k - 1], self.expected.classes[into - 1])

    def turn(self, gone, into):
        """Let a class go, and everything in it become another."""
        self.expected.do(
            classes=[c for c in self.expected.classes if c != gone],
            painted={i: np.where(p == gone, into, p) for i, p in self.expected.painted.items()},
            meaning={i: into if m == gone else m for i, m in self.expected.meaning.items()},
        )

    def name_class(self):
        if self.change(rename_class, self.k(), f"name {self.rng.integers(10**9)}"):
            self.expected.do()

    def color_class(self):
        if self.change(recolor_class, self.k(), f"#{self.rng.integers(16**6):06x}"):
            self.expected.do()

    def reorder_classes(self):
        order = [int(k) + 1 for k in self.rng.permutation(len(self.workspace.classes))]
        self.change(reorder_classes, order)
        if order != sorted(order):
            self.expected.do(classes=[self.expected.classes[k - 1] for k in order])

    # ------------------------------------------------------------------ checks

    #: What is done how often.
    DEEDS = (
        "stroke", "stroke", "stroke", "stroke", "correct", "correct", "begin_job", "answer",
        "answer", "accept", "use_as_annotations", "undo", "undo", "undo", "redo", "redo",
        "leave_out_or_take_in", "add_class", "delete_class", "merge_classes", "name_class",
        "color_class", "reorder_classes",
    )  # fmt: skip

    def act(self):
        deed = str(self.rng.choice(self.DEEDS))
        # A long way back now and then: all the way to the beginning, and forward again.
        far = self.rng.random() < 0.03
        for _ in range(30 if deed in ("undo", "redo") and far else 1):
            getattr(self, deed)()
            self.counts[deed] = self.counts.get(deed, 0) + 1
        return deed

    def check(self):
        assert len(self.workspace.classes) == len(self.expected.classes)
        names = [c.name for c in self.workspace.classes]
        assert len(set(names)) == len(names)
        for image, entry in self.workspace.images.items():
            assert (entry.codes == self.expected.codes(self.expected.painted[image])).all()
            seen = np.stack([entry.segmentation(p) for p in range(SHAPE[0])])
            assert (seen[entry.codes > 0] == entry.codes[entry.codes > 0]).all()
            assert (seen == self.expected.codes(self.expected.shown(image))).all()
            self.check_blocks(image, entry)

    def check_blocks(self, image, entry):
        """Blocks are decided where something is annotated, and stay as they were decided."""
        padded = np.pad(entry.codes > 0, ((0, 0), (0, 128 - 70), (0, 128 - 90)))
        annotated = padded.reshape(2, 2, 64, 2, 64).any(axis=(2, 4))
        assert entry.blocks[annotated].all()
        before = self.decided.get(image, np.zeros_like(entry.blocks))
        assert (entry.blocks == before)[before > 0].all()
        self.decided[image] = entry.blocks.copy()


@pytest.mark.parametrize("seed", range(4))
def test_edits_predictions_and_class_changes_are_what_a_simple_model_says(tmp_path, seed, figures):
    machine = Machine(tmp_path, np.random.default_rng(seed))
    deeds = []
    try:
        for _ in range(N_STEPS):
            deeds.append(machine.act())
            try:
                machine.check()
            except AssertionError as error:
                raise AssertionError(f"after {len(deeds)} steps, the last {deeds[-12:]}") from error
    finally:
        machine.close()
    figures(f"seed {seed}: {sum(machine.counts.values())} deeds of {len(machine.counts)} kinds")
