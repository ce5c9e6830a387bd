"""The preview of the steps: asked for, and what it shows of the slice and of its grey values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_unetseg.classical import METHODS, LevelMethod, Preview
from napari_unetseg.classical.mapping import lookup
from napari_unetseg.classical.step import Labels as AnyLabels
from napari_unetseg.errors import UserError
from napari_unetseg.workspace import ImageEntry
from napari_unetseg.workspace.chain_draft import ChainDraft
from napari_unetseg.workspace.painted import Painted

from .context import Context
from .histogram import Histogram
from .preview import LivePreview, Request
from .seeds_choice import SeedsChoice

Codes = npt.NDArray[np.uint8]


class StepsPreview(QWidget):
    """A histogram, what is seen of the slice, and boxes that turn the preview on and off.

    Parameters
    ----------
    draft : ChainDraft
    seeds : SeedsChoice

    Attributes
    ----------
    live : LivePreview
    row : QHBoxLayout
        With room for a button beside the boxes.
    wanted : Signal()
        Somebody wants to see something else: call `ask`.
    """

    wanted = Signal()

    def __init__(self, context: Context, draft: ChainDraft, seeds: SeedsChoice) -> None:
        super().__init__()
        self._context = context
        self._draft = draft
        self._seeds = seeds
        self._made_way = False
        self.live = LivePreview(context, self)
        self._build()
        self.histogram.moved.connect(self._on_line_moved)
        self.live.shown.connect(self._on_shown)
        self.live.late.connect(self._on_late)
        self.live.failed.connect(self._say)
        self.is_wanted.toggled.connect(self.wanted)
        self.in_means.toggled.connect(self.wanted)

    def _build(self) -> None:
        self.histogram = Histogram()
        self.histogram.hide()
        self.seen = QLabel()
        self.seen.setWordWrap(True)
        self.seen.hide()
        self.is_wanted = QCheckBox("Preview")
        self.is_wanted.setChecked(True)
        self.is_wanted.setToolTip(
            "Show what the steps answer on the slice in view while you move the sliders."
        )
        self.in_means = QCheckBox("Mean colours")
        self.in_means.setToolTip(
            "Show each group in its mean colour, its centroid: the image in few colours."
        )
        self.row = QHBoxLayout()
        self.row.addWidget(self.is_wanted)
        self.row.addWidget(self.in_means)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.histogram)
        column.addWidget(self.seen)
        column.addLayout(self.row)

    # ----------------------------------------------------------------- asked

    def follow_steps(self) -> None:
        """Offer what there is to see of the steps as they are now."""
        if self._made_way:
            self._made_way = False
            self.is_wanted.setChecked(True)
        if self._decides_by_grey() is None:
            self.histogram.hide()
        self.in_means.setVisible(self._groups())

    def make_way(self) -> None:
        """Go until the next change of the steps, so that their result is seen."""
        self._made_way = self._made_way or self.is_wanted.isChecked()
        self.is_wanted.setChecked(False)

    def ask(
        self,
        mapping: dict[int, int] | None,
        why_not: str | None,
        begun: AnyLabels | None = None,
    ) -> None:
        """Show what the steps answer on the slice in view.

        Parameters
        ----------
        mapping : dict of int to int, or None
            Answers → codes; None where they stay.
        why_not : str or None
            Why they cannot be taken, where they cannot.
        begun : ndarray, shape (planes, Y, X), or None
            Codes or ids that refinements begin with; None for the segmentation shown.
        """
        entry = self._context.layers.current_image()
        if entry is None or not self.is_wanted.isChecked() or not self._draft.steps:
            self.remove()
            return
        try:
            strokes = {} if why_not else self._strokes(entry)
        except UserError as error:
            why_not = str(error)
        if why_not is not None:
            self.remove(why_not)
            return
        if self.live.layer is None:
            self._say("")  # why there was none
        kept = self._seeds.kept
        self.live.request(
            Request(
                entry,
                self._context.layers.current_plane(entry),
                self._draft.chain(),
                None if mapping is None else lookup(mapping),
                strokes,
                self._seeds.revision,
                None if kept is None else kept.learned,
                self.in_means.isChecked() and self._groups(),
                begun,
            )
        )

    def remove(self, why: str = "") -> None:
        """Take the preview away, and say why."""
        self.live.remove()
        self._say(why)

    def _strokes(self, entry: ImageEntry) -> dict[str, Painted | Codes]:
        """Return what the method learns from, which is on all images, or grows from on one."""
        if self._draft.use_of_strokes == "unused":
            return {}
        if self._draft.learns:
            return self._seeds.strokes_by_image()
        if self._draft.use_of_strokes == "needed" and not self._seeds.has_some(entry):
            raise UserError(f"Nothing is painted or clicked on {entry.stack.name}.")
        return {entry.id: self._seeds.strokes(entry)}

    def _groups(self) -> bool:
        method = self._draft.method
        return method is not None and METHODS[method].groups

    # ----------------------------------------------------------------- shown

    def _on_late(self) -> None:
        height = self.seen.height() if self.seen.isVisible() else 0
        self._say("Computing …")
        self.seen.setMinimumHeight(height)  # what is below stays where it is

    def _say(self, sentence: str) -> None:
        self.seen.setMinimumHeight(0)
        self.seen.setText(sentence)
        self.seen.setVisible(bool(sentence))

    def _on_shown(self) -> None:
        preview = self.live.answer
        if preview is None:
            return
        self._say(_seen(preview))
        grey, method = preview.grey, self._decides_by_grey()
        self.histogram.setVisible(grey is not None and method is not None)
        if grey is not None and method is not None:
            can = len(method.set_by_hand) == len(grey.levels) > 0
            self.histogram.show_values(
                grey.counts, grey.span, grey.levels, grey.names, can_be_dragged=can
            )

    def _decides_by_grey(self) -> LevelMethod[Any] | None:
        """Return the method if it has grey values for thresholds, and is looked at."""
        at, name = self._draft.at, self._draft.method
        method = None if name is None or self._draft.steps[at].step != name else METHODS[name]
        return method if isinstance(method, LevelMethod) and method.decides_by_grey else None

    def _on_line_moved(self, line: int, level: float) -> None:
        """Set a threshold by hand."""
        method = self._decides_by_grey()
        if method is None:
            return
        values = dict(zip(method.set_by_hand, self.histogram.levels, strict=True))
        params = self._draft.steps[self._draft.at].checked().replace(**values)
        self._draft.set_params(params)


def _seen(preview: Preview) -> str:
    """Say what is missing, or which part of a stack is shown where that is not the whole slice."""
    if preview.lacks_strokes:
        if preview.box is None:
            return (
                "Paint some of each class on this slice, too: the method grows from what is there."
            )
        return (
            "In the middle of what is in sight, too little is painted to grow from: paint some of "
            "each class there. Apply looks at all of the slice."
        )
    said = []
    if preview.box is not None:
        rows, columns = preview.box
        said.append(
            f"the middle of what is in sight, {rows.stop - rows.start} × "
            f"{columns.stop - columns.start} px"
        )
    if preview.n_planes > 1:
        said.append(f"{preview.n_planes} slices")
    return f"Previewed on {' of '.join(said)}: this takes longer." if said else ""
