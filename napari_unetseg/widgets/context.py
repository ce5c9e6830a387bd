"""What every step of the dock works with."""

from __future__ import annotations

from napari.viewer import Viewer
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_unetseg.workspace import (
    JobController,
    ObjectCorrections,
    Proofreading,
    SlicesBeside,
    StackProgress,
    Workspace,
)

from .at_hand import AtHand
from .fix_objects import FixObjects
from .fix_segmentation import FixSegmentation
from .layers import LayerBinder
from .object_layers import ObjectLayers
from .object_review import ObjectReview
from .probability_layers import ProbabilityLayers
from .proofreader import Proofreader
from .result_layers import ResultLayers
from .saver import Saver
from .volume_guard import VolumeGuard

_POLL_MS = 40

#: What was looked at of mapped files does not stay in memory for longer.
_LET_GO_MS = 5000


class Context:
    """The viewer, what is open in it, what runs for it, and the layers that show it.

    It lives as long as the viewer, however often the dock is closed and opened again.

    Attributes
    ----------
    said : Signal(str)
        The sentence for the status line.
    taken_back : Signal(str)
        A sentence that holds no more; it goes from the status line if it is still there.
    """

    said = Signal(str)
    taken_back = Signal(str)

    def __init__(self, viewer: Viewer, workspace: Workspace, controller: JobController) -> None:
        self.viewer = viewer
        self.workspace = workspace
        self.controller = controller
        self.progress = StackProgress(workspace)
        self.layers = LayerBinder(viewer, workspace)
        self.layers.said.connect(self.say)
        self.proofreading = Proofreading(workspace)
        self.slices = SlicesBeside(workspace)
        self.corrections = ObjectCorrections(workspace)
        self.objects = ObjectLayers(self.layers, workspace, self.corrections)
        self.objects.said.connect(self.say)
        self.review = ObjectReview(self.layers, self.objects, self.corrections)
        self.review.said.connect(self.say)
        fix_objects = FixObjects(self.objects, self.corrections)
        self.proofreader = Proofreader(self.layers, FixSegmentation(self.proofreading), fix_objects)
        self.proofreader.said.connect(self.say)
        viewer.layers.selection.events.active.connect(self.proofreader.follow_active)
        controller.uncertainty_ready.connect(self.layers.show_uncertainty)
        self.probabilities = ProbabilityLayers(self.layers)
        controller.probabilities_ready.connect(self.probabilities.show)
        controller.renewing.connect(self.probabilities.hide)
        self.results = ResultLayers(self.layers, workspace)
        self.results.said.connect(self.say)
        workspace.results.not_kept.connect(self.say)
        self.saver = Saver()
        self.saver.answered.connect(self.say)
        self.saver.failed.connect(self.say)
        self.at_hand = AtHand(self.layers)
        controller.renewing.connect(self.at_hand.hide_results)
        controller.objects_ready.connect(self.objects.take)
        controller.renewing.connect(self.objects.hide_answers)
        controller.suggestions.changed.connect(self._mark_suggested)
        self.volumes = VolumeGuard(viewer, self.say)
        self._pages = QTimer()
        self._pages.setInterval(_LET_GO_MS)
        self._pages.timeout.connect(workspace.let_go)
        self._pages.start()
        self.timer = QTimer()
        self.timer.setInterval(_POLL_MS)
        self.timer.timeout.connect(self._on_tick)
        self.timer.start()

    def _mark_suggested(self) -> None:
        """Mark the slices on which something is suggested."""
        planes: dict[str, set[int]] = {image_id: set() for image_id in self.workspace.images}
        for region in self.controller.suggestions.regions:
            planes.setdefault(region.image, set()).add(region.plane)
        for image_id in self.workspace.images:
            self.progress.set_suggested(image_id, planes[image_id])

    def say(self, sentence: str) -> None:
        """Show one sentence in the status line."""
        self.said.emit(sentence)

    def take_back(self, sentence: str) -> None:
        """Clear the status line, if it still shows a sentence that holds no more."""
        if sentence:
            self.taken_back.emit(sentence)

    def look(self) -> None:
        """Tell who segments which slice is in view, and what of it is in sight."""
        entry = self.layers.current_image()
        if entry is not None:
            plane = self.layers.current_plane(entry)
            self.controller.look_at(entry.id, plane, self.layers.box_in_sight(entry))

    def _on_tick(self) -> None:
        self.controller.poll()
        self.saver.tell()
        self.layers.flush()
        self.objects.count()
