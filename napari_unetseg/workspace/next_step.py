"""What to do next, in one sentence, whatever has been done so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal, TypeAlias

from napari_unetseg.wording import counted

StepName: TypeAlias = Literal["data", "baselines", "train", "correct", "export"]
#: What can be pressed in Baselines: a search, the steps with or without a preview, a comparison, a
#: row of its table.
Offer: TypeAlias = Literal["nothing", "stop", "fit", "preview", "apply", "compare", "rows"]
LiveState: TypeAlias = Literal["off", "learning", "resting", "frozen"]

#: A training that betters the score by less has not helped.
HELPED = 0.005

#: Nobody need be told how to better this.
GOOD = 0.9

_DEVICES = {"cpu": "the processor", "cuda": "the graphics card", "mps": "the graphics card"}


@dataclass(frozen=True, slots=True)
class Situation:
    """What the sentence depends on.

    Attributes
    ----------
    step : str
        That is in view.
    n_open, n_images : int
        Images in the viewer, and those that are ticked.
    unpainted : tuple of str
        Classes, background among them, of which nothing is painted.
    is_painted : bool
        Whether anything is.
    can_train : bool
        Whether training, in Correct from the model at hand, could begin now; with a model that
        knows all classes, one is enough.
    is_busy, is_training : bool
        Whether any job is under way, and whether it is a training that can be stopped.
    device : str
        That trains: ``"cpu"``, ``"cuda"`` or ``"mps"``.
    seconds_left : float or None
        Of the training.
    live : {'off', 'learning', 'resting', 'frozen'}
    has_model, is_predicted, has_result : bool
        A model is at hand; a network, or a baseline, has answered.
    can_predict : bool
        Whether the model at hand suits the images.
    offer : {'nothing', 'stop', 'fit', 'preview', 'apply', 'compare', 'rows'}
        What can be pressed in Baselines now.
    why_not : str
        Why nothing can be pressed there, as a sentence that says what to do.
    is_on_result : bool
        Whether the result of a baseline, and not the segmentation, is at hand.
    is_saved : bool
        Whether something was saved since the last change.
    n_rounds : int
        Trainings that ended.
    gain : float or None
        Of mean IoU on held-out annotations in the last of them; None where that is not known.
    score : float or None
        Mean IoU on them after it.
    is_corrected : bool
        Whether what is painted is other than it learned, or than the model at hand was opened to.
    n_slices, n_complete : int
        Of all images, and how many of them are annotated completely.
    n_unreviewed : int
        Numbered objects that nobody has called right yet.
    is_on_objects : bool
        Whether their layer is the active one.
    """

    step: StepName
    n_open: int = 0
    n_images: int = 0
    unpainted: tuple[str, ...] = ()
    is_painted: bool = False
    can_train: bool = False
    is_busy: bool = False
    is_training: bool = False
    device: str = "cpu"
    seconds_left: float | None = None
    live: LiveState = "off"
    has_model: bool = False
    is_predicted: bool = False
    has_result: bool = False
    n_rounds: int = 0
    gain: float | None = None
    score: float | None = None
    is_corrected: bool = False
    n_slices: int = 0
    n_complete: int = 0
    n_unreviewed: int = 0
    is_on_objects: bool = False
    can_predict: bool = True
    offer: Offer = "nothing"
    why_not: str = ""
    is_on_result: bool = False
    is_saved: bool = False


def next_step(now: Situation) -> str:
    """Return what to do next, as one or two sentences.

    >>> next_step(Situation("correct", n_open=1, n_images=1))
    'Nothing is segmented yet: train a network in Train, or apply a model there.'
    """
    if not now.n_images:
        return _without_image(now)
    if now.step in ("train", "correct") and (said := _while_running(now)):
        return said
    return _SENTENCES[now.step](now)


def _without_image(now: Situation) -> str:
    if now.step == "data":
        return "Once an image is ticked: name the classes, then paint some of each."
    if now.n_open:
        return "Tick the box of an image in the Data step first."
    return "Open an image first: drop a file on the window, and tick it in the Data step."


def _while_running(now: Situation) -> str | None:
    """Return what is said in the steps that train, as long as something runs; None else."""
    if now.live == "frozen":
        return (
            "What you paint now is learned when you press Freeze again. Live ends it and keeps "
            "the model as it is."
        )
    if now.live == "resting":
        return (
            "Accept slices that are right, or press Suggest for places worth painting. Live ends "
            "it and keeps the model."
        )
    if now.live == "learning":
        if not now.is_predicted:
            return "Wait some seconds: then this slice is segmented."
        return "Look at other slices, too: what you paint there it learns as well."
    if now.is_training:
        device = _DEVICES.get(now.device, now.device)
        seconds = inf if now.seconds_left is None else now.seconds_left
        left = f", in about {_duration(seconds)}" if isfinite(seconds) else ""
        return (
            f"Every slice is segmented when {device} is done{left}. What you paint meanwhile "
            "counts in the next training."
        )
    if now.is_busy:
        return "Painting can go on until this is done; Cancel ends it."
    return None


def _in_data(now: Situation) -> str:
    if not now.is_painted and now.has_model and now.can_predict:
        return "Apply the model in Train, or paint some of each class to teach it more."
    if not now.is_painted:
        return "Name the classes, press Paint and draw a few strokes of each and of background."
    if now.is_predicted:
        return "Go on in Correct, where mistakes are put right."
    if now.unpainted:
        return _paint_too(now)
    return (
        "Some of each class is painted: go to Train, or see in Baselines whether something "
        "simple will do."
    )


def _in_baselines(now: Situation) -> str:
    if now.is_busy:
        return "Wait until this is done, or cancel it."
    if now.has_result and now.offer not in ("compare", "rows", "stop"):
        return "Save the result in Export if it will do; else use it as annotations and train."
    return _OFFERS.get(now.offer) or now.why_not or "Choose a method, and look at the preview."


def _in_train(now: Situation) -> str:
    can_apply = now.has_model and now.can_predict
    if not now.is_painted and can_apply:
        return "Press Predict now, or paint a few strokes in Data to teach the model more."
    if not now.is_painted:
        return (
            "Click a model that sees this slice right and press Predict now; or paint a few "
            "strokes of each class in Data."
        )
    if not now.can_train and now.unpainted:
        return _paint_too(now)
    if _did_not_help(now):
        return _TRY
    if now.n_rounds or now.is_predicted:
        return "Put right what is wrong in Correct; where much is wrong, train again for longer."
    if can_apply:
        return "Press Predict now to see what the model makes of it; Train or Live teach it more."
    return "Press Train; or Live, and it learns stroke by stroke as you paint."


def _in_correct(now: Situation) -> str:
    if now.n_complete >= now.n_slices > 0:
        return "Every slice is completely annotated: save the segmentation in Export."
    if now.is_on_result:
        return "Better the result with Refine in Baselines, or use it as annotations there."
    if not now.is_predicted:
        if now.has_result:
            return "Turn the result into annotations in Baselines, or train a network in Train."
        return "Nothing is segmented yet: train a network in Train, or apply a model there."
    can_retrain = now.is_corrected and now.is_painted and now.can_train
    if now.n_unreviewed and (now.is_on_objects or not can_retrain):
        objects = counted(now.n_unreviewed, "object")
        return f"{objects} to review: U goes to the next, K says that it is right."
    if can_retrain:
        return "Press Retrain on corrections; or Live, and it learns as you paint on."
    if _did_not_help(now):
        return _TRY
    if now.n_complete:
        left = now.n_slices - now.n_complete
        return f"{counted(left, 'slice')} to look through; Suggest shows where it is worth most."
    return (
        "Paint over mistakes and accept slices that are right; Suggest shows where painting is "
        "worth most."
    )


def _in_export(now: Situation) -> str:
    if now.is_busy:
        return "Wait until what is running is done: what is saved now may be of before."
    if now.is_saved:
        return "That is saved. Save more of it, or go on with other slices and images."
    if now.is_predicted and now.has_model:
        return "Save the segmentation; and the model, to apply it to other images."
    if now.is_predicted or now.has_result:
        return "Save the segmentation."
    if now.is_painted:
        return "Save the annotations, or train a network first: nothing is segmented yet."
    return "There is nothing to save yet: paint, then train a network in Train."


_OFFERS: dict[Offer, str] = {
    "stop": "Wait until the settings are found, or stop and take the best so far.",
    "fit": "Fit to my annotations looks for the best settings; then apply them to the stack.",
    "preview": "Move the sliders until the preview is right, then apply to the stack.",
    "apply": "Tick Preview to see what the steps do, or apply them to the stack.",
    "compare": "Press Compare methods: it tries all of them on what you painted.",
    "rows": "Select a method of the table and press Use it, or compare two of them.",
}

_TRY = (
    "The last training did not help. Paint more on other slices, as Suggest shows them; train "
    "longer, or from scratch."
)

_SENTENCES: dict[StepName, Callable[[Situation], str]] = {
    "data": _in_data,
    "baselines": _in_baselines,
    "train": _in_train,
    "correct": _in_correct,
    "export": _in_export,
}


def _did_not_help(now: Situation) -> bool:
    is_good = now.score is not None and now.score >= GOOD
    return now.gain is not None and now.gain < HELPED and not is_good


def _paint_too(now: Situation) -> str:
    *others, last = now.unpainted
    names = f"{', '.join(others)} and {last}" if others else last
    if now.unpainted == ("background",):
        return "Paint some background, too: places that are none of your classes."
    return f"Nothing of {names} is painted yet: paint some, or delete the class if it is not there."


def _duration(seconds: float) -> str:
    """Write a duration roughly, so that it does not change all the time.

    >>> _duration(93), _duration(41), _duration(3)
    ('2 min', '40 s', '10 s')
    """
    if seconds > 90:
        return f"{round(seconds / 60)} min"
    return f"{max(10, round(seconds, -1)):.0f} s"
