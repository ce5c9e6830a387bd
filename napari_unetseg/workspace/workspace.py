"""What is open in one window: images, classes, annotations, and the history of all edits.

The workspace is the truth; layers show copies of it and hand it what was painted. It knows nothing
of Qt or napari.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_unetseg.annotations import (
    Classes,
    Edit,
    EditLog,
    ObjectEdit,
    Step,
    add_class,
    assign_blocks,
    code_of,
    edit_between,
    fill_unlabelled,
    join_classes,
    unchanged,
)
from napari_unetseg.config import BACKGROUND, UNLABELLED, LabelClass, default_class
from napari_unetseg.errors import UserError
from napari_unetseg.hardware import free_memory_bytes
from napari_unetseg.images import Stack, fingerprint, let_go, written_planes
from napari_unetseg.project import EarlierWork, Session, labelled_planes
from napari_unetseg.wording import counted

from .image_entry import ImageEntry
from .objects import BY_NETWORK, BY_NUMBERING, Ids, ObjectSet, ObjectSets
from .results import Result, Results
from .slots import Codes, Slots

ClassChange = Callable[..., tuple[Classes, npt.NDArray[np.uint8]]]

#: What undo says of annotations that were taken over.
USING_LABELS = "using labels as annotations"


class Workspace:
    """The evented model of a window.

    Attributes
    ----------
    objects : ObjectSets
        Objects with numbers, beside what is annotated and segmented.
    results : Results
        Of classical methods.
    revision : int
        Of the history; odd while a step is being done or taken back, so that a thread can tell
        whether what it has read is of one moment.
    images_changed : Signal()
        An image was added or removed.
    classes_changed : Signal()
        Names, colours, number or order of the classes.
    codes_changed : Signal(str, list)
        Annotations of an image changed on these slices.
    segmentation_changed : Signal(str, list)
        What is shown as segmentation changed on these slices.
    history_changed : Signal()
        There is something else to undo or redo.
    turning_back : Signal()
        A step is about to be taken back or done again: who holds strokes back hands them in.
    """

    images_changed = Signal()
    classes_changed = Signal()
    codes_changed = Signal(str, list)
    segmentation_changed = Signal(str, list)
    history_changed = Signal()
    turning_back = Signal()

    def __init__(self, session: Session | None = None) -> None:
        self.session = session or Session()
        self.images: dict[str, ImageEntry] = {}
        self.classes: Classes = (default_class(1),)
        self.log = EditLog()
        self.objects = ObjectSets(self.session)
        self.results = Results(self.session)
        self.revision = 0
        self._fingerprints: dict[str, str] = {}
        self._left_out: dict[str, ImageEntry] = {}
        self._n_added = 0
        self._slots = Slots(len(self.classes))

    # ---------------------------------------------------------------- images

    def add_image(self, stack: Stack) -> ImageEntry:
        """Take an image into the data set: with its annotations where it had been left out."""
        channels = {entry.stack.n_channels for entry in self.images.values()}
        if channels and stack.n_channels not in channels:
            raise UserError(
                f"{stack.name} has {counted(stack.n_channels, 'channel')} and the images "
                f"chosen before it have {channels.pop()}; choose images with the same channels."
            )
        seen = fingerprint(stack)
        entry = self._take_back(seen, stack.name)
        if entry is None:
            self._n_added += 1
            entry = ImageEntry.create(f"image-{self._n_added}", stack, self.session, self._slots)
        entry.stack = stack
        self.images[entry.id] = entry
        self._fingerprints[entry.id] = seen
        self._describe(self.classes)
        self.images_changed.emit()
        return entry

    def remove_image(self, image_id: str) -> None:
        """Leave an image out of the data set; its annotations stay."""
        self._left_out[image_id] = self.images.pop(image_id)
        self.images_changed.emit()

    def _take_back(self, seen: str, name: str) -> ImageEntry | None:
        """Return an image that was left out; of several with the same pixels, that of the name."""
        same = [entry for i, entry in self._left_out.items() if self._fingerprints[i] == seen]
        if not same:
            return None
        entry = next((e for e in same if e.stack.name == name), same[0])
        return self._left_out.pop(entry.id)

    def earlier_work(self, image_id: str) -> list[EarlierWork]:
        """Find annotations that earlier sessions left for the same image, newest first."""
        return self.session.earlier_work(self._fingerprints[image_id])

    def restore(self, image_id: str, work: EarlierWork) -> None:
        """Bring back annotations of an earlier session where nothing is painted yet.

        Classes are told by their names; those that are missing are added.

        Raises
        ------
        UserError
            If these would be too many classes.
        """
        entry = self.images[image_id]
        classes, table = work.classes, unchanged()
        if self.in_use:
            classes, table = join_classes(self.classes, work.classes)
        self.objects.bring_back(image_id, work.objects)
        self.results.bring_back(image_id, work.results, np.array(work.meant_as, np.uint8), table)
        earlier: Codes = np.load(work.annotations, mmap_mode="r", allow_pickle=False)
        blocks: Codes = np.load(work.blocks, mmap_mode="r", allow_pickle=False)
        if not entry.blocks.any():
            entry.blocks[...] = blocks
        edits = (
            self._edit_plane(entry, p, fill_unlabelled(entry.codes[p], table[earlier[p]]))
            for p in labelled_planes(earlier, blocks)
        )
        sourced = entry.sources.brought_back(edits, work.sources)
        self._record("bringing back earlier annotations", sourced, classes)
        if work.region is not None and entry.region is None:
            entry.region = self.session.array(image_id, "region", entry.shape)
            before = np.load(work.region, mmap_mode="r", allow_pickle=False)
            for plane in written_planes(before):
                entry.region[plane] = before[plane]
            self.update_region(image_id)

    # --------------------------------------------------------------- painting

    def commit_annotations(
        self, image_id: str, painted: Codes, planes: Iterable[int], label: str = "stroke"
    ) -> None:
        """Take over what was painted on the annotations layer.

        Parameters
        ----------
        painted : ndarray, shape (planes, Y, X), uint8
            The layer's pixels.
        planes : iterable of int
            Slices on which something may have been painted.
        """
        entry = self.images[image_id]
        self._record(label, (self._edit_plane(entry, p, painted[p]) for p in planes))

    def commit_segmentation(
        self,
        image_id: str,
        painted: Codes,
        shown: Codes,
        planes: Iterable[int],
        confirmed: Mapping[int, npt.NDArray[np.bool_]] | None = None,
    ) -> None:
        """Turn what was painted on the segmentation layer into annotations; erased: background.

        Parameters
        ----------
        painted : ndarray, shape (planes, Y, X), uint8
            The layer's pixels.
        shown : ndarray, shape (planes, Y, X), uint8
            What the layer showed before; a newer prediction may have come meanwhile.
        planes : iterable of int
            Slices on which something may have been painted.
        confirmed : mapping of int to ndarray of bool, shape (Y, X), optional
            By slice: pixels that were painted as what they showed already.
        """
        entry = self.images[image_id]
        edits = []
        for p in planes:
            changed = painted[p] != shown[p]
            if confirmed is not None and p in confirmed:
                changed |= confirmed[p]
            meant = np.maximum(painted[p], BACKGROUND)
            edits.append(self._edit_plane(entry, p, np.where(changed, meant, entry.codes[p])))
        self._record("stroke", edits)

    def accept(self, image_id: str, planes: Sequence[int], box: Sequence[int] | None = None) -> int:
        """Fill the unlabelled pixels of slices with the segmentation shown; return how many.

        Parameters
        ----------
        box : sequence of int, optional
            Only here: first row and column, and the row and column after the last.

        Raises
        ------
        UserError
            If there is not the memory to take it back.
        """
        entry = self.images[image_id]
        height, width = entry.shape[1:]
        n_bytes, free = 2 * len(planes) * height * width, free_memory_bytes()
        if n_bytes > free // 2:
            raise UserError(
                f"Accepting {counted(len(planes), 'slice')} takes up to {n_bytes / 1e9:.0f} GB of "
                f"memory, so that it can be taken back, and {free / 1e9:.0f} GB are free; accept "
                "slices one by one, or save the segmentation as it is in the Export step."
            )
        top, left, bottom, right = box or (0, 0, *entry.shape[1:])
        inside = np.s_[top:bottom, left:right]

        def source(plane: int) -> Codes:
            accepted = np.zeros(entry.shape[1:], np.uint8)
            accepted[inside] = entry.segmentation(plane)[inside]
            return accepted

        return self._fill(entry, planes, source, "accepting", BY_NETWORK)

    def use_as_annotations(
        self, image_id: str, labels: Codes, planes: Sequence[int], made_by: str = ""
    ) -> int:
        """Fill the unlabelled pixels of slices from a labels array; return how many.

        Parameters
        ----------
        labels : ndarray, shape (planes, Y, X), uint8
            Codes.
        made_by : str
            Method and settings, in words for a paper; empty where a person has made them.
        """
        filling = self.filling(self.images[image_id], lambda plane: labels[plane], planes)
        return self.fill(filling, made_by)

    def filling(
        self, entry: ImageEntry, codes_of: Callable[[int], Codes], planes: Sequence[int]
    ) -> list[Edit | None]:
        """Return how the unlabelled pixels of slices would be filled; changes nothing.

        A thread may ask, even of an image that is left out meanwhile: the answer holds as long as
        nobody paints.
        """
        filled = []
        for plane in planes:
            source = np.where(entry.allowed(plane), codes_of(plane), np.uint8(UNLABELLED))
            filled.append(
                self._edit_plane(entry, plane, fill_unlabelled(entry.codes[plane], source))
            )
        return filled

    def fill(self, filling: Iterable[Edit | None], made_by: str = "") -> int:
        """Fill pixels as `filling` told, as one step; return how many.

        Parameters
        ----------
        made_by : str
            As of `use_as_annotations`.
        """
        return self._record(USING_LABELS, filling, made_by=made_by)

    def rewrite(self, image_id: str, after: Iterable[tuple[int, Codes]], label: str) -> int:
        """Replace the annotations of slices inside the region, as one step; count the pixels.

        Parameters
        ----------
        after : iterable of (int, ndarray of uint8, shape (Y, X))
            A slice and its annotations as they are to be.
        label : str
            What is done, as in "Undo accepting".
        """
        entry = self.images[image_id]
        edits = (
            self._edit_plane(entry, p, np.where(entry.allowed(p), codes, entry.codes[p]))
            for p, codes in after
        )
        return self._record(label, edits)

    def number_objects(
        self, image_id: str, ids: Ids, made_by: str = BY_NUMBERING, label: str = "numbering pieces"
    ) -> ObjectSet:
        """Take in objects with numbers, as one step.

        Parameters
        ----------
        ids : ndarray, shape (planes, Y, X), uint32
        made_by : str
            As of `ObjectSet`.
        """
        objects = self.objects.create(image_id, ids, made_by)
        self._do(Step(label, numbered=(objects.key,)))
        return objects

    def commit_result(
        self, result: Result, painted: Codes, planes: Iterable[int], meant_as: Codes
    ) -> None:
        """Take over what was painted on a result.

        Parameters
        ----------
        painted : ndarray, shape (planes, Y, X), uint8
            Codes.
        planes : iterable of int
            Slices on which something may have been painted.
        meant_as : ndarray of uint8, shape (256,)
            `Results.meant_as` when these were shown: classes may have been changed meanwhile.
        """
        edits = (result.edit(plane, painted[plane], meant_as) for plane in planes)
        self._do(Step("stroke", results=tuple(edit for edit in edits if edit is not None)))

    def correct_objects(self, label: str, edit: ObjectEdit) -> None:
        """Change numbered objects, as one step."""
        self._do(Step(label, objects=(edit,)))

    def _fill(
        self,
        entry: ImageEntry,
        planes: Sequence[int],
        source: Callable[[int], Codes],
        label: str,
        made_by: str,
    ) -> int:
        filled = (
            self._edit_plane(entry, p, fill_unlabelled(entry.codes[p], source(p))) for p in planes
        )
        return self._record(label, filled, made_by=made_by)

    def _record(
        self,
        label: str,
        edits: Iterable[Edit | None],
        classes: Classes | None = None,
        made_by: str = "",
    ) -> int:
        """Do edits as one step, with a new class for every code that has none; count the pixels."""
        made = tuple(
            self.images[edit.image].sources.said_of(edit, made_by)
            for edit in edits
            if edit is not None
        )
        top = max((int(edit.after.max()) for edit in made), default=0)
        classes = classes or self.classes
        while code_of(len(classes)) < top:
            classes, _ = add_class(classes)
        self._do(Step(label, made, self.classes, classes))
        return sum(edit.n_changed for edit in made)

    def prediction_slots(self) -> Codes:
        """Return the slot in which each present code is stored, for `set_prediction`.

        A job takes the table when it starts; what it answers then stays right when the classes
        are changed meanwhile.

        Returns
        -------
        ndarray of uint8, shape (256,)
        """
        return self._slots.of_codes()

    def set_prediction(self, image_id: str, plane: int, slots: Codes) -> None:
        """Show what a network answered for a slice; annotated pixels stay as they are.

        Parameters
        ----------
        slots : ndarray, shape (Y, X), uint8
            Codes looked up in `prediction_slots`.
        """
        entry = self.images[image_id]
        current = [o for o in self.objects.up_to_date() if o.image == image_id]
        if current and not np.array_equal(entry.prediction[plane], slots):
            self.objects.set_outdated(current, True)
        entry.answer(plane, slots)
        self.segmentation_changed.emit(image_id, [plane])

    @property
    def in_use(self) -> bool:
        """Whether a person has painted anything, on images that are left out too."""
        painted = any(entry.annotated_planes() for entry in self._all_entries())
        return painted or self.results.are_corrected

    def clear_region(self, image_id: str) -> None:
        """Forget the region of interest of an image."""
        entry = self.images[image_id]
        if entry.region is not None:
            for plane in written_planes(entry.region):
                entry.region[plane] = 0
            entry.region = None
            self.update_region(image_id)

    def update_region(self, image_id: str) -> None:
        """Take note that the region of interest was painted on."""
        entry = self.images[image_id]
        entry.update_region()
        self.codes_changed.emit(image_id, entry.annotated_planes())
        self.segmentation_changed.emit(image_id, entry.segmented_planes())

    # ---------------------------------------------------------------- classes

    def change_classes(self, change: ClassChange, *arguments: object, label: str) -> None:
        """Add, rename, recolour, merge, delete or reorder classes, pixels included.

        Parameters
        ----------
        change : function
            One of `annotations.add_class` and its companions.
        *arguments
            What it takes after the classes.
        """
        classes, table = change(self.classes, *arguments)
        edits = [
            self._edit_plane(entry, p, table[entry.codes[p]])
            for entry in self._all_entries()
            for p in entry.annotated_planes()
        ]
        self._do(
            Step(
                label,
                tuple(edit for edit in edits if edit is not None),
                self.classes,
                classes,
                self._slots.shown_as,
                table[self._slots.shown_as],
                meant_before=self.results.meant_as,
                meant_after=table[self.results.meant_as],
            )
        )

    def set_classes(self, classes: Sequence[LabelClass], *, undoable: bool = True) -> None:
        """Replace the classes where nothing has been painted with them yet.

        Parameters
        ----------
        undoable : bool
            If not, the history begins here.
        """
        if self.in_use:
            raise UserError("The classes are in use; add, rename or delete them one by one.")
        # What was predicted is of the classes before.
        nothing = np.zeros(256, np.uint8)
        before = self._slots.shown_as
        self._do(Step("choosing classes", (), self.classes, tuple(classes), before, nothing))
        if not undoable:
            self.log.clear()
            self.history_changed.emit()

    # ---------------------------------------------------------------- history

    def undo(self) -> str | None:
        """Take the last step back; return what it was."""
        self.turning_back.emit()
        step = self.log.undo()
        if step is None:
            return None
        self.revision += 1
        for edit in reversed(step.edits):
            sources = self._entry(edit.image).sources
            sources.forget(edit)
            self._apply(edit.image, edit.indices, edit.before)
            sources.undo(edit)
        self.objects.apply(edit.undone for edit in reversed(step.objects))
        self.objects.withdraw(step.numbered)
        self.results.apply(reversed(step.results), undone=True)
        self._finish(step, step.classes_before, step.shown_before, step.meant_before)
        return self._said_of(step)

    def redo(self) -> str | None:
        """Do the last undone step again; return what it is."""
        self.turning_back.emit()
        step = self.log.redo()
        if step is None:
            return None
        self._run(step)
        return self._said_of(step)

    def _said_of(self, step: Step) -> str:
        """Return what a step was, and on which image where that is not in view."""
        changed = {edit.image for edit in step.edits}
        changed |= {self.results.image_of(edit.image) for edit in step.results}
        if not changed or changed & set(self.images):
            return step.label
        names = ", ".join(sorted(self._entry(image).stack.name for image in changed))
        return f"{step.label} on {names}, which is not ticked"

    def _do(self, step: Step) -> None:
        classes = step.classes_after
        has_content = step.edits or step.objects or step.numbered or step.results
        if has_content or step.classes_before != classes:
            if classes is not None:
                before = self._slots.shown_as
                after = before if step.shown_after is None else step.shown_after
                after = self._slots.with_classes(after, len(classes))
                step = dataclasses.replace(step, shown_before=before, shown_after=after)
                if len(classes) > len(self.classes):
                    # Names first: a code on disk without a class would mean nothing.
                    self._describe(classes)
            self.log.record(step)
            self._run(step)

    def _run(self, step: Step) -> None:
        self.revision += 1
        for edit in step.edits:
            sources = self._entry(edit.image).sources
            sources.forget(edit)
            self._apply(edit.image, edit.indices, edit.after)
            sources.do(edit)
        self.objects.return_withdrawn(step.numbered)
        self.objects.apply(step.objects)
        self.results.apply(step.results)
        self._finish(step, step.classes_after, step.shown_after, step.meant_after)

    def _apply(self, image_id: str, indices: npt.NDArray[np.int64] | slice, codes: Codes) -> None:
        self._entry(image_id).codes.reshape(-1)[indices] = codes

    def _entry(self, image_id: str) -> ImageEntry:
        """Return an image, in the data set or left out of it."""
        return self.images.get(image_id) or self._left_out[image_id]

    def _all_entries(self) -> list[ImageEntry]:
        return [*self.images.values(), *self._left_out.values()]

    def _finish(
        self, step: Step, classes: Classes | None, shown_as: Codes | None, meant_as: Codes | None
    ) -> None:
        """Tell everyone what a step changed, after deciding what of it is held out."""
        moved = shown_as is not None and not np.array_equal(shown_as, self._slots.shown_as)
        if moved and shown_as is not None:
            self._slots.shown_as = shown_as
        meaning_moved = meant_as is not None and not np.array_equal(meant_as, self.results.meant_as)
        if meaning_moved and meant_as is not None:
            self.results.meant_as = meant_as
        classes_moved = classes is not None and classes != self.classes
        if classes_moved and classes is not None:
            self.classes = classes
        self.revision += 1
        if classes_moved:
            self._describe(self.classes)
            self.classes_changed.emit()
        for image_id, planes in self._touched(step).items():
            entry = self._entry(image_id)
            assign_blocks(entry.codes, entry.blocks, entry.stack, planes, entry.presence)
            if image_id in self.images:
                self.codes_changed.emit(image_id, planes)
                self.segmentation_changed.emit(image_id, planes)
        if moved:
            self._show_all_segmentations()
        if meaning_moved:
            self.results.tell_meaning()
        self.history_changed.emit()

    def _touched(self, step: Step) -> dict[str, list[int]]:
        touched: dict[str, set[int]] = {}
        for edit in step.edits:
            shape = self._entry(edit.image).shape
            touched.setdefault(edit.image, set()).update(edit.planes(shape))
        return {image_id: sorted(planes) for image_id, planes in touched.items()}

    def _edit_plane(self, entry: ImageEntry, plane: int, after: Codes) -> Edit | None:
        offset = plane * entry.shape[1] * entry.shape[2]
        return edit_between(entry.id, entry.codes[plane], np.asarray(after), offset)

    def _show_all_segmentations(self) -> None:
        for entry in self.images.values():
            self.segmentation_changed.emit(entry.id, entry.segmented_planes())

    def _describe(self, classes: Classes) -> None:
        self.session.describe(
            classes,
            {
                entry.id: {
                    "fingerprint": self._fingerprints[entry.id],
                    "name": entry.stack.name,
                    "path": str(entry.stack.path or ""),
                    "axes": entry.stack.axes,
                    "time": time.time(),
                }
                for entry in self._all_entries()
            },
            self.results.meant_as.tolist(),
        )

    def let_go(self) -> None:
        """Give back the memory that holds what was looked at of files; it stays in them."""
        self.session.let_go()
        for entry in self.images.values():
            if isinstance(entry.stack.data, np.ndarray):
                let_go(entry.stack.data)

    def close(self) -> None:
        """Write everything out and let go of the files."""
        self.objects.close()
        self.session.close()
