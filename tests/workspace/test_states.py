"""Two hundred steps at random, of every kind, against a plain model of what should be there."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from plain_model import PlainModel
from scipy import ndimage

from napari_unetseg.annotations import (
    EditLog,
    add_class,
    delete_class,
    interpolate,
    merge_classes,
    recolor_class,
    rename_class,
    reorder_classes,
)
from napari_unetseg.config import Recipe
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import (
    LiveSettings,
    LiveTraining,
    ObjectCorrections,
    Proofreading,
    SlicesBeside,
    Workspace,
)
from napari_unetseg.workspace.job_files import JobFiles

#: Axes and shape of each image: more than one block, and edges that cut blocks.
IMAGES = {"movie": ("TYX", (3, 72, 80)), "cells": ("ZYX", (5, 66, 70))}
BLOCK = 64
N_STEPS = 200
MOST_CLASSES = 6
LITTLE_MEMORY = 150_000
STEPS_UNTIL_AGAIN = 3
EIGHT = np.ones((3, 3), bool)

of_image = st.integers(0, 1)
of_plane = st.integers(0, 4)
of_code = st.integers(0, 255)
of_seed = st.integers(0, 2**16 - 1)
#: Top, left, height and width; all are taken modulo what there is.
rectangles = st.tuples(*[st.integers(0, 255)] * 4)
points = st.tuples(*[st.integers(0, 255)] * 2)


class FollowingChild:
    """Stands where the child process does: reads only what it is told has changed."""

    def __init__(self, files: JobFiles) -> None:
        self._files = files
        self.codes: dict[str, np.ndarray] = {}
        self.blocks: dict[str, np.ndarray] = {}
        self._paths: dict[str, tuple[str, str]] = {}
        self.revision = 0

    def begin(self, entries) -> None:
        self.codes, self.blocks, self.revision = {}, {}, 0
        for entry in entries:
            image = self._files.training_image(entry, None)
            self._paths[entry.id] = image.annotations, image.blocks
            self.codes[entry.id] = np.load(image.annotations)
            self.blocks[entry.id] = np.load(image.blocks)

    def painted(self, change) -> None:
        codes, blocks = (np.load(path, mmap_mode="r") for path in self._paths[change.image])
        top, left, bottom, right = change.box
        box = np.s_[change.plane, top:bottom, left:right]
        self.codes[change.image][box] = codes[box]
        self.blocks[change.image][...] = blocks
        assert change.revision == self.revision + 1
        self.revision = change.revision


class Copies:
    """What layers would show that are told of changes by signals alone."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.codes: dict[str, np.ndarray] = {}
        self.segmentation: dict[str, np.ndarray] = {}
        self.objects: dict[str, np.ndarray] = {}
        workspace.objects.added.connect(self._on_objects_added)
        workspace.objects.changed.connect(self._on_objects_changed)
        workspace.codes_changed.connect(self._on_codes_changed)
        workspace.segmentation_changed.connect(self._on_segmentation_changed)

    def make(self, entry) -> None:
        self.codes[entry.id] = entry.codes.copy()
        self.segmentation[entry.id] = shown_by(entry)

    def _on_objects_added(self, objects) -> None:
        self.objects[objects.key] = np.array(objects.ids)

    def _on_objects_changed(self, objects, planes) -> None:
        for plane in planes:
            self.objects[objects.key][plane] = objects.ids[plane]

    def _on_codes_changed(self, image, planes) -> None:
        for plane in planes:
            self.codes[image][plane] = self._workspace.images[image].codes[plane]

    def _on_segmentation_changed(self, image, planes) -> None:
        for plane in planes:
            self.segmentation[image][plane] = self._workspace.images[image].segmentation(plane)


def shown_by(entry) -> np.ndarray:
    return np.stack([entry.segmentation(p) for p in range(entry.shape[0])])


def rectangle(place, shape) -> tuple[slice, slice]:
    """Return a part of a slice that holds a pixel at least."""
    top, left = place[0] % shape[1], place[1] % shape[2]
    return np.s_[top : top + 1 + place[2] % 45, left : left + 1 + place[3] % 45]


def mosaic(seed: int, n_codes: int, shape: tuple[int, int], lowest: int = 1) -> np.ndarray:
    """Return a slice of patches, with single pixels among them."""
    rng = np.random.default_rng(seed)
    side = int(rng.integers(4, 24))
    codes = rng.integers(lowest, max(lowest + 1, n_codes), (20, 20))
    codes = codes.repeat(side, 0).repeat(side, 1)[: shape[0], : shape[1]]
    specks = rng.random(shape) < 0.004
    codes[specks] = rng.integers(lowest, max(lowest + 1, n_codes), int(specks.sum()))
    return codes


class States(RuleBasedStateMachine):
    """Does the same to a workspace and to the model, and compares after every step."""

    @initialize(little_memory=st.booleans())
    def open(self, little_memory):
        self.folder = Path(tempfile.mkdtemp())
        self.workspace = Workspace(Session(self.folder))
        self.model = PlainModel("class 1", LITTLE_MEMORY if little_memory else None)
        if little_memory:
            self.workspace.log = EditLog(LITTLE_MEMORY)
        self.files = JobFiles(self.workspace.session)
        self.child = FollowingChild(self.files)
        self.live = LiveTraining(self.workspace, self.child, self.files)
        self.proofreading = Proofreading(self.workspace)
        self.slices = SlicesBeside(self.workspace)
        self.corrections = ObjectCorrections(self.workspace)
        self.copies = Copies(self.workspace)
        self.stacks: dict[str, Stack] = {}
        self.left_out: set[str] = set()
        self.jobs: list[tuple[np.ndarray, list[int]]] = []
        self.held: tuple[str, np.ndarray, list] | None = None
        self.decided: dict[str, np.ndarray] = {}
        rng = np.random.default_rng(0)
        for name, (axes, shape) in IMAGES.items():
            pixels = ndimage.gaussian_filter(rng.integers(0, 255, shape).astype(float), (0, 3, 3))
            stack = Stack(pixels.astype(np.float32), axes, name=name)
            entry = self.workspace.add_image(stack)
            self.stacks[entry.id] = stack
            self.model.add_image(entry.id, shape)
            self.decided[entry.id] = np.zeros_like(entry.blocks)
            self.copies.make(entry)
            self.answer_objects(entry, seed=len(self.stacks))

    def answer_objects(self, entry, seed) -> None:
        ids = np.stack([mosaic(seed, 12, entry.shape[1:], lowest=0)] * entry.shape[0])
        ids = np.where(ids < 4, 0, ids + 1000 * seed).astype(np.uint32)
        objects = self.workspace.objects.create(entry.id, ids)
        self.model.answered_objects[objects.key] = ids

    def entry(self, image: int):
        """Return an image that is in the data set."""
        there = sorted(self.workspace.images)
        return self.workspace.images[there[image % len(there)]]

    def code(self, number: int) -> int:
        """Return a code: nothing, background, a class, or rarely that of a class to come."""
        n = self.model.n_classes
        return number % (n + 2 + (number > 230 and n < MOST_CLASSES))

    def write(self, entry, after) -> None:
        self.model.write(entry.id, after, [c.name for c in self.workspace.classes])

    # ---------------------------------------------------------------- strokes

    @rule(image=of_image, plane=of_plane, place=rectangles, code=of_code)
    def paint_annotations(self, image, plane, place, code):
        """Paint, or erase, on a copy of what is there, as a layer is."""
        entry = self.entry(image)
        where = (plane % entry.shape[0], *rectangle(place, entry.shape))
        code = self.code(code)
        painted, after = entry.codes.copy(), self.model.codes(entry.id)
        painted[where] = after[where] = code
        self.workspace.commit_annotations(entry.id, painted, [where[0]])
        self.write(entry, after)

    @rule(image=of_image, place=rectangles, code=of_code)
    def paint_two_slices(self, image, place, code):
        """Paint the first slice and the last in one step, as napari's brush in 3D may."""
        entry = self.entry(image)
        where = ([0, -1], *rectangle(place, entry.shape))
        after = self.model.codes(entry.id)
        after[where] = self.code(code)
        self.workspace.commit_annotations(entry.id, after, range(entry.shape[0]))
        self.write(entry, after)

    @rule(image=of_image, plane=of_plane, place=rectangles, code=of_code, confirm=st.booleans())
    def paint_segmentation(self, image, plane, place, code, confirm):
        entry = self.entry(image)
        self._correct(entry, shown_by(entry), plane, place, self.code(code), confirm)

    @rule(image=of_image)
    def begin_stroke(self, image):
        """Keep what the segmentation layer shows: a prediction may come before the stroke ends."""
        entry = self.entry(image)
        self.held = entry.id, shown_by(entry), self.model.identities

    @precondition(lambda self: self.held is not None)
    @rule(plane=of_plane, place=rectangles, code=of_code, confirm=st.booleans())
    def end_stroke(self, plane, place, code, confirm):
        (image, shown, identities), self.held = self.held, None
        if image in self.workspace.images and identities == self.model.identities:
            entry = self.workspace.images[image]
            self._correct(entry, shown, plane, place, self.code(code), confirm)

    def _correct(self, entry, shown, plane, place, code, confirm):
        where = (plane % entry.shape[0], *rectangle(place, entry.shape))
        painted = shown.copy()
        painted[where] = code
        covered = np.zeros(entry.shape, bool)
        covered[where] = True
        confirmed = {where[0]: covered[where[0]]} if confirm and code else None
        self.workspace.commit_segmentation(entry.id, painted, shown, [where[0]], confirmed)
        meant = covered if confirmed else covered & (shown != code)
        self.write(entry, np.where(meant, np.uint8(max(code, 1)), self.model.codes(entry.id)))

    # ------------------------------------------------------------ predictions

    @rule()
    def begin_job(self):
        """Remember the classes as a job does that answers later."""
        self.jobs.append((self.workspace.prediction_slots(), self.model.oldest_identities()))
        del self.jobs[:-4]

    @precondition(lambda self: self.jobs)
    @rule(image=of_image, plane=of_plane, job=st.integers(0, 3), seed=of_seed)
    def old_job_answers(self, image, plane, job, seed):
        self._answer(image, plane, seed, *self.jobs[job % len(self.jobs)])

    @rule(image=of_image, plane=of_plane, seed=of_seed)
    def job_answers(self, image, plane, seed):
        now = self.workspace.prediction_slots(), self.model.oldest_identities()
        self._answer(image, plane, seed, *now)

    def _answer(self, image, plane, seed, slots, identities):
        entry = self.entry(image)
        plane %= entry.shape[0]
        before = entry.codes.copy()
        codes = mosaic(seed, len(identities) + 2, entry.shape[1:])
        self.workspace.set_prediction(entry.id, plane, slots[codes])
        assert (entry.codes == before).all(), "a prediction wrote into the annotations"
        self.model.answer(entry.id, plane, np.array([0, 1, *identities])[codes])

    # ---------------------------------------------------------------- filling

    @rule(image=of_image, plane=of_plane, everywhere=st.booleans())
    def accept(self, image, plane, everywhere):
        entry = self.entry(image)
        n_planes = entry.shape[0]
        planes = list(range(n_planes)) if everywhere else [plane % n_planes]
        n_px = self._fill(entry, planes, self.model.shown(entry.id), self.workspace.accept)
        if n_px:
            self.model.accepted.add(entry.id)

    @rule(image=of_image, plane=of_plane, everywhere=st.booleans(), seed=of_seed)
    def use_as_annotations(self, image, plane, everywhere, seed):
        entry = self.entry(image)
        n_planes = entry.shape[0]
        planes = list(range(n_planes)) if everywhere else [plane % n_planes]
        n_codes = 2 + min(MOST_CLASSES, self.model.n_classes + seed % 2)
        codes = [mosaic(seed + p, n_codes, entry.shape[1:], lowest=0) for p in range(n_planes)]
        labels = np.stack(codes).astype(np.uint8)
        source = np.where(self.model.allowed(entry.id), labels, np.uint8(0))
        self._fill(
            entry,
            planes,
            source,
            lambda i, planes: self.workspace.use_as_annotations(i, labels, planes),
        )

    def _fill(self, entry, planes, source, fill):
        after = self.model.codes(entry.id)
        free = np.zeros(entry.shape, bool)
        free[planes] = True
        free &= (after == 0) & (source != 0)
        n_px = fill(entry.id, planes)
        assert n_px == int(free.sum())
        self.write(entry, np.where(free, source, after))
        return n_px

    @rule(image=of_image, plane=of_plane)
    def interpolate(self, image, plane):
        entry = self.entry(image)
        plane %= entry.shape[0]
        annotated = np.flatnonzero(self.model.codes(entry.id).any(axis=(1, 2)))
        before, after = annotated[annotated < plane], annotated[annotated > plane]
        can = bool(len(before) and len(after))
        if can:
            ends = (self.model.codes(entry.id)[p] for p in (before[-1], after[0]))
            can = bool(interpolate(*ends, int(after[0] - before[-1]) - 1).any())
        done = self._do(entry, lambda: self.slices.interpolate(entry.id, plane))
        assert (done is not None) == can
        if done is not None:
            was, now = done
            changed = was != now
            assert not was[changed].any(), "what is painted stays"
            ends = was[[before[-1], after[0]]]
            assert set(now[changed]) <= set(ends[0].flat) & set(ends[1].flat)
            outside = np.ones(len(was), bool)
            outside[before[-1] + 1 : after[0]] = False
            assert not changed[outside].any()

    @rule(image=of_image, plane=of_plane, step=st.sampled_from([-1, 1]))
    def copy_from(self, image, plane, step):
        entry = self.entry(image)
        plane %= entry.shape[0]
        beside = plane + step
        codes = self.model.codes(entry.id)
        can = 0 <= beside < entry.shape[0] and codes[beside].any()
        after = codes.copy()
        if can:
            free = (codes[plane] == 0) & self.model.allowed(entry.id)[plane]
            after[plane][free] = codes[beside][free]
        done = self._do(entry, lambda: self.slices.copy_from(entry.id, plane, step))
        assert (done is not None) == can
        assert done is None or (done[1] == after).all()

    # ----------------------------------------------------------- proofreading

    def _do(self, entry, operation):
        """Do what is hard to foresee; return annotations before and after, None where refused.

        It is one step, inside the region, and undo takes it back exactly; the model takes over
        what it has done.
        """
        was, n_steps = entry.codes.copy(), len(self.workspace.log._done)
        undone = list(self.workspace.log._undone)
        try:
            n_px = operation()
        except UserError:
            assert (entry.codes == was).all()
            assert self.workspace.log._undone == undone
            return None
        now = entry.codes.copy()
        assert n_px == int((was != now).sum())
        assert not (was != now)[~self.model.allowed(entry.id)].any()
        if n_px:
            if not self.model.has_forgotten and self.model._max_bytes is None:
                assert len(self.workspace.log._done) == n_steps + 1
            self.workspace.undo()
            assert (entry.codes == was).all()
            self.workspace.redo()
            assert (entry.codes == now).all()
        self.write(entry, now)
        return was, now

    def _proofread(self, image, plane, operation):
        """Return what was painted, what was shown, and where both changed, of that slice."""
        entry = self.entry(image)
        plane %= entry.shape[0]
        codes, shown = self.model.codes(entry.id)[plane], self.model.shown(entry.id)[plane]
        done = self._do(entry, lambda: operation(entry, plane))
        if done is None:
            return None
        was, now = done
        assert (was == now)[np.arange(len(was)) != plane].all(), "other slices stay"
        return codes, shown, now[plane], was[plane] != now[plane]

    @staticmethod
    def at(point, entry) -> tuple[int, int]:
        return point[0] % entry.shape[1], point[1] % entry.shape[2]

    def path(self, ends, entry) -> np.ndarray:
        return np.array([self.at(ends[:2], entry), self.at(ends[2:], entry)], float)

    @rule(image=of_image, plane=of_plane, ends=rectangles, code=of_code, width=st.integers(5, 20))
    def claim(self, image, plane, ends, code, width):
        code %= self.model.n_classes + 2

        def operation(entry, plane):
            path = self.path(ends, entry)[:1]
            return self.proofreading.claim(entry.id, plane, path, code, width)

        self._annotate(image, plane, code, operation)

    @rule(image=of_image, plane=of_plane, point=points, code=of_code)
    def grow(self, image, plane, point, code):
        code %= self.model.n_classes + 2

        def operation(entry, plane):
            return self.proofreading.grow(entry.id, plane, self.at(point, entry), code, 5)

        self._annotate(image, plane, code, operation)

    def _annotate(self, image, plane, code, operation):
        done = self._proofread(image, plane, operation)
        if done is not None:
            codes, _, now, changed = done
            assert not codes[changed].any(), "what is painted stays"
            assert (now[changed] == code).all()

    @rule(image=of_image, plane=of_plane, point=points)
    def smooth_piece(self, image, plane, point):
        def operation(entry, plane):
            return self.proofreading.smooth_piece(entry.id, plane, self.at(point, entry), 10)

        done = self._proofread(image, plane, operation)
        if done is not None:
            codes, shown, _, changed = done
            piece = piece_of(shown, self.at(point, self.entry(image)))
            assert not (changed & (codes != 0) & ~piece).any(), "painted beside it stays"

    @rule(image=of_image, plane=of_plane, ends=rectangles)
    def smooth_under(self, image, plane, ends):
        width = 12

        def operation(entry, plane):
            path = self.path(ends, entry)
            return self.proofreading.smooth_under(entry.id, plane, path, width)

        *_, changed = self._proofread(image, plane, operation)
        near = distance_to(self.path(ends, self.entry(image)), changed.shape) <= width / 2 + 1
        assert not changed[~near].any()

    @rule(image=of_image, plane=of_plane, point=points)
    def fill_holes(self, image, plane, point):
        def operation(entry, plane):
            return self.proofreading.fill_holes(entry.id, plane, self.at(point, entry))

        done = self._proofread(image, plane, operation)
        if done is not None:
            codes, shown, now, changed = done
            at = self.at(point, self.entry(image))
            assert (shown[changed] <= 1).all(), "other classes stay"
            assert len(np.unique(now[changed])) <= 1
            if shown[at] > 1:
                assert not codes[changed].any(), "what is painted in it stays"
                assert (now[changed] == shown[at]).all()
                hole = ndimage.binary_fill_holes(piece_of(shown, at))
                assert not changed[~hole].any()

    @rule(image=of_image, plane=of_plane, point=points)
    def delete_piece(self, image, plane, point):
        def operation(entry, plane):
            return self.proofreading.delete_piece(entry.id, plane, self.at(point, entry))

        done = self._proofread(image, plane, operation)
        if done is not None:
            codes, shown, now, _ = done
            entry = self.entry(image)
            piece = piece_of(shown, self.at(point, entry))
            piece &= self.model.allowed(entry.id)[plane % entry.shape[0]]
            assert (now == np.where(piece, 1, codes)).all()

    @rule(image=of_image, plane=of_plane, ends=rectangles)
    def split(self, image, plane, ends):
        def operation(entry, plane):
            return self.proofreading.split(entry.id, plane, self.path(ends, entry))

        done = self._proofread(image, plane, operation)
        if done is not None:
            _, shown, now, changed = done
            assert (now[changed] == 1).all()
            assert len(np.unique(shown[changed])) <= 1, "one piece is split"
            near = distance_to(self.path(ends, self.entry(image)), changed.shape) <= 1.5
            assert not changed[~near].any()

    @rule(image=of_image, plane=of_plane, ends=rectangles)
    def join(self, image, plane, ends):
        def operation(entry, plane):
            return self.proofreading.join(entry.id, plane, self.path(ends, entry), 6)

        done = self._proofread(image, plane, operation)
        if done is not None:
            _, shown, now, changed = done
            assert (shown[changed] <= 1).all(), "other classes stay"
            assert len(np.unique(now[changed])) <= 1
            near = distance_to(self.path(ends, self.entry(image)), changed.shape) <= 4
            assert not changed[~near].any()

    @rule(image=of_image, below_px=st.integers(0, 60))
    def delete_small(self, image, below_px):
        entry = self.entry(image)
        codes, shown = self.model.codes(entry.id), self.model.shown(entry.id)
        after = codes.copy()
        for plane, code in ((p, c) for p in range(len(codes)) for c in np.unique(shown[p])):
            pieces, n_pieces = ndimage.label(shown[plane] == code, EIGHT)
            if code > 1 and n_pieces:
                sizes = np.bincount(pieces.flat)
                painted = np.bincount(pieces.flat, codes[plane].flat != np.uint8(0))
                gone = (sizes < below_px) & (painted == 0)
                gone[0] = False
                after[plane][gone[pieces]] = 1
        planes = range(entry.shape[0])
        done = self._do(entry, lambda: self.proofreading.delete_small(entry.id, planes, below_px))
        assert done is not None
        assert (done[1] == after).all()

    @rule(image=of_image, plane=of_plane, n=st.integers(1, 4), step=st.sampled_from([-1, 1]))
    def propagate(self, image, plane, n, step):
        entry = self.entry(image)
        plane %= entry.shape[0]
        done = self._do(
            entry, lambda: self.slices.propagate(entry.id, plane, step, n_slices=n).n_px
        )
        if done is not None:
            was, now = done
            changed = was != now
            assert not was[changed].any(), "what is painted stays"
            assert set(now[changed]) <= set(was[plane][was[plane] > 1])
            reached = {plane + step * i for i in range(1, n + 1)}
            assert set(np.flatnonzero(changed.any(axis=(1, 2))).tolist()) <= reached

    # ---------------------------------------------------------------- objects

    def objects(self, image, seed):
        """Return objects of an image, and the number of one of them, or of none."""
        entry = self.entry(image)
        there = self.workspace.objects.of(entry.id)
        objects = there[seed % len(there)]
        numbers = np.unique(self.model.objects(objects.key))
        return objects, int(numbers[seed % len(numbers)])

    def _together(self, objects, plane, everywhere) -> np.ndarray:
        """Return which slices are changed together with one."""
        entry = self.workspace.images[objects.image]
        together = np.zeros((entry.shape[0], 1, 1), bool)
        together[slice(None) if everywhere and entry.stack.size("Z") > 1 else plane] = True
        return together

    def _correct_objects(self, objects, operation, renumber=False):
        """Do something to objects: one step that undo takes back exactly; None where refused."""
        was, right = np.array(objects.ids), set(objects.reviewed)
        n_steps = len(self.workspace.log._done)
        try:
            operation()
        except UserError:
            assert (objects.ids == was).all()
            assert objects.reviewed == right
            return None
        now, now_right = np.array(objects.ids), set(objects.reviewed)
        if (was != now).any() or right != now_right:
            if self.model._max_bytes is None:
                assert len(self.workspace.log._done) == n_steps + 1
            self.workspace.undo()
            assert (objects.ids == was).all()
            assert objects.reviewed == right
            self.workspace.redo()
            assert (objects.ids == now).all()
        self.model.correct_objects(objects.key, now, now_right, renumber=renumber)
        assert {i: sum(a.values()) for i, a in objects.areas().items()} == areas_of(now)
        return was, now

    @precondition(lambda self: len(self.model.answered_objects) < 5)
    @rule(image=of_image, seed=of_seed)
    def objects_are_answered(self, image, seed):
        self.answer_objects(self.entry(image), seed)

    @rule(image=of_image, plane=of_plane, ends=rectangles, seed=of_seed, everywhere=st.booleans())
    def split_object(self, image, plane, ends, seed, everywhere):
        objects, _ = self.objects(image, seed)
        entry = self.entry(image)
        plane %= entry.shape[0]
        (y, x), middle = ends[:2], self.at(ends[2:], entry)
        along = np.array([y % 40 - 20, x % 40 - 20])
        path = np.array([middle - along, middle + along], float)
        done = self._correct_objects(
            objects, lambda: self.corrections.split(objects, plane, path, everywhere=everywhere)
        )
        if done is not None:
            was, now = done
            changed = was != now
            assert ((was == 0) == (now == 0)).all(), "no pixel is lost"
            assert len(np.unique(was[changed])) == 1, "one object is divided"
            assert not set(np.unique(now[changed])) & set(np.unique(was)), "numbers are new"
            assert not (changed & ~self._together(objects, plane, everywhere)).any()

    @rule(image=of_image, plane=of_plane, seed=of_seed, other=of_seed, everywhere=st.booleans())
    def join_objects(self, image, plane, seed, other, everywhere):
        objects, first = self.objects(image, seed)
        numbers = np.unique(self.model.objects(objects.key))
        second, plane = int(numbers[other % len(numbers)]), plane % len(objects.ids)
        if not first or not second:
            return
        where = self._together(objects, plane, everywhere)
        expected = np.where(where & (objects.ids == second), np.uint32(first), objects.ids)
        done = self._correct_objects(
            objects,
            lambda: self.corrections.merge(objects, first, second, plane, everywhere=everywhere),
        )
        assert (done is None) == (first == second)
        assert done is None or (done[1] == expected).all()

    @rule(image=of_image, plane=of_plane, point=points, seed=of_seed, everywhere=st.booleans())
    def delete_object(self, image, plane, point, seed, everywhere):
        objects, _ = self.objects(image, seed)
        plane, at = plane % len(objects.ids), self.at(point, self.entry(image))
        number = int(objects.ids[plane][at])
        where = self._together(objects, plane, everywhere)
        expected = np.where(where & (objects.ids == number), np.uint32(0), objects.ids)
        done = self._correct_objects(
            objects, lambda: self.corrections.delete(objects, plane, at, everywhere=everywhere)
        )
        assert (done is None) == (number == 0)
        assert done is None or (done[1] == expected).all()

    @rule(image=of_image, seed=of_seed, below_px=st.integers(0, 900))
    def delete_small_objects(self, image, seed, below_px):
        objects, _ = self.objects(image, seed)
        right = self.model.right(objects.key)
        small = {i for i, n in areas_of(objects.ids).items() if n < below_px} - right
        expected = np.where(np.isin(objects.ids, list(small)), np.uint32(0), objects.ids)
        _, now = self._correct_objects(
            objects, lambda: self.corrections.delete_small(objects, below_px)
        )
        assert (now == expected).all()

    @rule(image=of_image, plane=of_plane, place=rectangles, number=st.integers(0, 20), seed=of_seed)
    def paint_objects(self, image, plane, place, number, seed):
        """Paint, or erase, on a copy of what is there, as a layer is."""
        objects, some = self.objects(image, seed)
        entry = self.entry(image)
        painted = np.array(objects.ids)
        number = some if number > 10 else number
        painted[(plane % entry.shape[0], *rectangle(place, entry.shape))] = number
        _, now = self._correct_objects(
            objects, lambda: self.corrections.paint(objects, painted, range(entry.shape[0]))
        )
        assert (now == painted).all()

    @rule(image=of_image, seed=of_seed)
    def renumber_objects(self, image, seed):
        objects, _ = self.objects(image, seed)
        numbers, inverse = np.unique(objects.ids, return_inverse=True)
        new = np.arange(len(numbers)) + (numbers[0] != 0)
        right = {int(new[numbers == i][0]) for i in self.model.right(objects.key)}
        _, now = self._correct_objects(
            objects, lambda: self.corrections.renumber(objects), renumber=True
        )
        assert (now == new[inverse].reshape(now.shape)).all()
        assert objects.reviewed == right

    @rule(image=of_image, seed=of_seed, wanted=st.integers(1, 30))
    def give_number(self, image, seed, wanted):
        objects, number = self.objects(image, seed)
        there = set(areas_of(objects.ids))
        expected = np.where(objects.ids == number, np.uint32(wanted), objects.ids)
        was_right = number in objects.reviewed
        done = self._correct_objects(
            objects, lambda: self.corrections.give_number(objects, number, wanted)
        )
        assert (done is None) == (number == 0 or wanted in there)
        if done is not None:
            assert (done[1] == expected).all()
            assert (wanted in objects.reviewed) == was_right

    @rule(image=of_image, seed=of_seed, right=st.booleans())
    def review(self, image, seed, right):
        """Call every other object right, or no more."""
        objects, _ = self.objects(image, seed)
        there = sorted(areas_of(objects.ids))
        for number in there[seed // 8 % 2 :: 2]:
            self._correct_objects(
                objects, lambda n=number: self.corrections.mark(objects, n, right=right)
            )
            assert (number in objects.reviewed) == right
            following = self.corrections.next_unreviewed(objects, number)
            left = set(there) - objects.reviewed
            assert following in left if left else following is None

    @invariant()
    def same_objects(self):
        for entry in self.workspace._all_entries():
            for objects in self.workspace.objects.of(entry.id):
                assert (objects.ids == self.model.objects(objects.key)).all()
                assert objects.reviewed == self.model.right(objects.key)
                assert (self.copies.objects[objects.key] == objects.ids).all()

    # ---------------------------------------------------------------- classes

    def change(self, change, *arguments) -> bool:
        before = len(self.workspace.log._done)
        try:
            self.workspace.change_classes(change, *arguments, label=change.__name__)
        except UserError:
            assert len(self.workspace.log._done) == before
            return False
        return True

    @precondition(lambda self: self.model.n_classes < MOST_CLASSES)
    @rule()
    def add_class(self):
        assert self.change(add_class)
        self.model.add_class(self.workspace.classes[-1].name)

    @rule(k=st.integers(0, 9), name=st.sampled_from("abcdefgh"))
    def rename_class(self, k, name):
        k = k % self.model.n_classes + 1
        taken = name in [n for i, n in enumerate(self.model.names, 1) if i != k]
        assert self.change(rename_class, k, name) != taken
        if not taken:
            self.model.rename_class(k, name)

    @rule(k=st.integers(0, 9))
    def recolor_class(self, k):
        """Colours are no matter of the model; their steps are."""
        k = k % self.model.n_classes + 1
        self.n_colors = getattr(self, "n_colors", 0) + 1
        self.change(recolor_class, k, f"#{self.n_colors:06x}")
        self.model._do(self.model.now)

    @rule(k=st.integers(0, 9))
    def delete_class(self, k):
        k = k % self.model.n_classes + 1
        can = self.model.n_classes > 1
        assert self.change(delete_class, k) == can
        if can:
            self.model.turn_class(k, None)

    @rule(k=st.integers(0, 9), into=st.integers(0, 9))
    def merge_classes(self, k, into):
        k, into = (i % self.model.n_classes + 1 for i in (k, into))
        assert self.change(merge_classes, k, into) == (k != into)
        if k != into:
            self.model.turn_class(k, into)

    @rule(seed=of_seed)
    def reorder_classes(self, seed):
        rng = np.random.default_rng(seed)
        order = [int(k) + 1 for k in rng.permutation(self.model.n_classes)]
        self.change(reorder_classes, order)
        self.model.reorder_classes(order)

    # ------------------------------------------------------ region and images

    @rule(image=of_image, plane=of_plane, place=rectangles, value=st.sampled_from([0, 1, 2, 2]))
    def paint_region(self, image, plane, place, value):
        entry = self.entry(image)
        where = (plane % entry.shape[0], *rectangle(place, entry.shape))
        if entry.region is None:
            entry.region = self.workspace.session.array(entry.id, "region", entry.shape)
            self.model.regions[entry.id] = np.zeros(entry.shape, np.uint8)
        entry.region[where] = value
        self.workspace.update_region(entry.id)
        self.model.regions[entry.id][where] = value

    @rule(image=of_image)
    def clear_region(self, image):
        entry = self.entry(image)
        self.workspace.clear_region(entry.id)
        self.model.regions[entry.id] = None

    @precondition(lambda self: not self.left_out)
    @rule(image=of_image)
    def leave_out(self, image):
        entry = self.entry(image)
        self.workspace.remove_image(entry.id)
        self.left_out.add(entry.id)

    @precondition(lambda self: self.left_out)
    @rule()
    def take_back(self):
        image = self.left_out.pop()
        entry = self.workspace.add_image(self.stacks[image])
        assert entry.id == image
        self.copies.make(entry)

    # ---------------------------------------------------------------- history

    @rule(n=st.sampled_from([1, 1, 1, 2, 5]))
    def undo(self, n):
        for _ in range(n):
            assert (self.workspace.undo() is not None) == self.model.undo()

    @rule(n=st.sampled_from([1, 1, 2, 5]))
    def redo(self, n):
        for _ in range(n):
            assert (self.workspace.redo() is not None) == self.model.redo()

    def all_the_way_and_back(self):
        n_undone = 0
        while self.model.undo():
            assert self.workspace.undo() is not None
            n_undone += 1
        assert self.workspace.undo() is None
        self.same_annotations()
        self.same_objects()
        if not self.model.has_forgotten:
            assert not any(entry.codes.any() for entry in self.workspace._all_entries())
            for key, ids in self.model.answered_objects.items():
                assert (self.workspace.objects[key].ids == ids).all()
            assert [c.name for c in self.workspace.classes] == ["class 1"]
        for _ in range(n_undone):
            self.model.redo()
            assert self.workspace.redo() is not None
        self.same_annotations()
        self.same_objects()

    # ---------------------------------------------------------- live training

    @rule()
    def go_live(self):
        """Begin training, or begin it again where the classes have changed."""
        self.n_outdated = 0
        self.child.begin(self.workspace.images.values())
        self.live.begin(LiveSettings(Recipe()))

    @precondition(lambda self: self.live.is_on)
    @rule()
    def end_live(self):
        self.live.end()

    # ----------------------------------------------------------------- checks

    @invariant()
    def same_annotations(self):
        for entry in self.workspace._all_entries():
            assert (entry.codes == self.model.codes(entry.id)).all()
        assert [c.name for c in self.workspace.classes] == self.model.names

    @invariant()
    def same_segmentation(self):
        for entry in self.workspace.images.values():
            seen, codes = shown_by(entry), entry.codes
            assert (seen == self.model.shown(entry.id)).all()
            assert (seen == codes)[codes != 0].all(), "a prediction lies over what is painted"

    @invariant()
    def signals_tell_of_everything(self):
        for entry in self.workspace.images.values():
            assert (self.copies.codes[entry.id] == entry.codes).all()
            assert (self.copies.segmentation[entry.id] == shown_by(entry)).all()

    @invariant()
    def held_out_blocks_stay(self):
        for entry in self.workspace._all_entries():
            before = self.decided[entry.id]
            for bits in (0b0011, 0b1100):
                was = before & bits
                assert (entry.blocks & bits == was)[was > 0].all(), "a decision changed"
                assert (entry.blocks & bits)[annotated_blocks(entry.codes)].all()
            self.decided[entry.id] = entry.blocks.copy()

    @invariant()
    def history_keeps_to_its_memory(self):
        log = self.workspace.log
        assert len(log._done) == len(self.model.past)
        assert len(log._undone) == len(self.model.future)
        n_bytes = [step.n_bytes for step in log._done]
        assert sum(n_bytes) == log._n_bytes == self.model.n_bytes
        assert sum(n_bytes) <= log._max_bytes or len(n_bytes) == 1
        assert (log.undo_label is None) == (not self.model.past)
        assert (log.redo_label is None) == (not self.model.future)

    @invariant()
    def training_follows(self):
        if not self.live.is_on:
            return
        self.live.hand_on()
        if self.live.is_outdated:
            # The window ends that training, and begins again when its model is there.
            self.n_outdated += 1
            if self.n_outdated == STEPS_UNTIL_AGAIN:
                self.go_live()
            return
        for entry in self.workspace.images.values():
            if entry.id not in self.child.codes:
                continue  # it was left out when training began
            expected = self.model.to_train(entry.id)
            on_disk = np.load(self.workspace.session.path(entry.id, "annotations-to-train"))
            blocks = np.load(self.workspace.session.path(entry.id, "blocks-to-train"))
            here = annotated_blocks(expected)
            assert (on_disk == expected).all()
            assert (self.child.codes[entry.id] == expected).all()
            assert (blocks == entry.blocks)[here].all()
            assert (self.child.blocks[entry.id] == entry.blocks)[here].all()

    def teardown(self):
        if hasattr(self, "workspace"):
            try:
                self.all_the_way_and_back()
            finally:
                self.live.close()
                self.workspace.close()
                shutil.rmtree(self.folder)


def areas_of(ids: np.ndarray) -> dict[int, int]:
    """Return how many px every object has."""
    numbers, n_px = np.unique(ids[ids > 0], return_counts=True)
    return dict(zip(numbers.tolist(), n_px.tolist(), strict=True))


def annotated_blocks(codes: np.ndarray) -> np.ndarray:
    """Return which squares of each slice hold any annotation."""
    tall, wide = (-n % BLOCK for n in codes.shape[1:])
    padded = np.pad(codes != 0, ((0, 0), (0, tall), (0, wide)))
    n_planes, height, width = padded.shape
    squares = padded.reshape(n_planes, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return squares.any(axis=(2, 4))


def piece_of(shown: np.ndarray, point: tuple[int, int]) -> np.ndarray:
    """Return what is joined to a pixel, by a side or a corner, and alike."""
    pieces, _ = ndimage.label(shown == shown[point], EIGHT)
    return pieces == pieces[point]


def distance_to(path: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return how far every pixel is from a line."""
    start, along = path[0], path[1] - path[0]
    pixels = np.moveaxis(np.indices(shape), 0, -1) - start
    t = np.clip(pixels @ along / max(float(along @ along), 1e-9), 0, 1)
    return np.linalg.norm(pixels - t[..., None] * along, axis=-1)


TestStates = States.TestCase
# What fails is made shorter for five minutes.
TestStates.pytestmark = [pytest.mark.timeout(900)]
TestStates.settings = settings(
    max_examples=40,
    stateful_step_count=N_STEPS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
