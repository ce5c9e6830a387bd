"""The scenes of the user guide: what is done, what is said of it.

To add one, append a `Scene` where it belongs: `act` leads the window there and calls
`author.picture(NAME)`. A key is written ``<kbd>A</kbd>`` and must be one of widgets/shortcuts.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unetseg.jobs import JobState
from napari_unetseg.widgets.shortcuts_page import shortcuts_page

DATA, BASELINES, TRAIN, CORRECT, EXPORT = range(5)
BACKGROUND, NUCLEUS = 1, 2

#: Slices to begin with, and one to go on with.
FIRST, SECOND, THIRD = 5, 9, 12


@dataclass(frozen=True)
class Scene:
    """A section of the guide.

    Attributes
    ----------
    name : str
        Of its picture.
    caption : str
        What is seen in the picture.
    act : function
        Leads the window there.
    """

    name: str
    title: str
    caption: str
    text: str
    act: Callable[[Any], None]


BEGINNING = """\
# User guide

How to segment your own images with a network that you teach by painting. No knowledge of networks
is needed. Every picture shows the sample that comes with the program, so you can do it all along.

Five minutes to spare? Take the tour: it leads you through the same on the sample, and points at
what to press. It is offered when you start for the first time, and is always there under *Tour*.
"""

END = """\
## When something is not as you expect

- The sentence at the bottom says what has just happened, or why something was not done. A button
  that cannot be pressed says in its tooltip what is missing.
- *Cancel* ends what is running. What you painted stays, and so does the model from before.
- What you painted is on disk as soon as a stroke ends. Open the same image again after a crash,
  or the next day, and *Earlier* in the Data step brings it back.
- `napari-unetseg doctor` says what is installed, which device computes, and how to put it right.
"""


def _open(author: Any) -> None:
    author.picture("open")


def _tour(author: Any) -> None:
    author.person.click(author.dock.tour.take)
    author.wait(lambda: author.context.workspace.images)
    author.context.layers.show_plane(author.entry, FIRST)
    author.run(0.5)
    author.person.click(author.dock.panels[DATA].paint)
    author.run(0.5)
    author.picture("tour")
    QTest.keyClick(author.person.canvas, Qt.Key.Key_Escape)
    author.run(0.2)


def _data(author: Any) -> None:
    author.step(DATA)
    author.picture("data")


def _paint(author: Any) -> None:
    for plane in (SECOND, FIRST):
        author.context.layers.show_plane(author.entry, plane)
        author.take_class(1)
        author.paint(NUCLEUS, 7, brush_px=7)
        author.take_class(0)
        author.paint(BACKGROUND, 5, brush_px=9)
    author.picture("paint")


def _baselines(author: Any) -> None:
    author.step(BASELINES)
    author.run(2)
    author.picture("baselines")


def _methods(author: Any) -> None:
    baselines, controller = author.dock.panels[BASELINES], author.controller
    author.person.click(baselines.compared_section.toggleButton())
    author.run(0.5)
    author.person.click(baselines.compared.compare)
    author.wait(lambda: controller.compared.recommended is not None)
    author.wait(lambda: controller.state is JobState.IDLE)
    author.run(1)
    author.picture("methods")
    author.person.click(baselines.compared_section.toggleButton())


def _train(author: Any) -> None:
    train = author.step(TRAIN)
    author.wait(lambda: train.strip.best is not None, 120)
    author.run(1)
    author.picture("train")


def _training(author: Any) -> None:
    train, controller = author.dock.panels[TRAIN], author.controller
    seen: list[Any] = []
    rounds = len(controller.rounds)
    controller.stepped.connect(seen.append)
    train.seconds.setValue(author.seconds)
    author.person.click(train.train)
    author.wait(lambda: seen and seen[-1].fraction > 0.4)
    author.picture("training")
    author.wait(lambda: len(controller.rounds) > rounds)
    author.wait(lambda: controller.state is JobState.IDLE)


def _trained(author: Any) -> None:
    author.picture("trained")


def _live(author: Any) -> None:
    author.context.layers.show_plane(author.entry, THIRD)
    author.step(CORRECT)
    author.person.click(author.dock.live.live)
    live = author.controller.live
    author.wait(lambda: author.controller.state is JobState.RUNNING)
    author.paint(NUCLEUS, 2)
    author.paint(BACKGROUND, 2)
    author.wait(lambda: live.checkpoints, 180)
    author.run(3)
    author.picture("live")


def _suggest(author: Any) -> None:
    author.person.click(author.dock.live.suggestions.suggest)
    author.wait(lambda: author.controller.suggestions.current is not None)
    author.run(1)
    author.picture("suggest")
    author.viewer.reset_view()


def _correct(author: Any) -> None:
    author.context.layers.show_plane(author.entry, THIRD)
    author.run(0.5)
    correct = author.dock.panels[CORRECT]
    correct.tools.role.setFocus()
    author.stroke(author.correct(3))
    author.person.click(correct.tools.fixes.buttons["split"])
    author.run(0.5)
    author.picture("correct")


def _accept(author: Any) -> None:
    correct = author.dock.panels[CORRECT]
    author.person.click(correct.accept_slice)
    author.run(2)
    author.picture("accept")
    rounds = len(author.controller.rounds)
    author.person.click(author.dock.live.live)
    author.wait(lambda: len(author.controller.rounds) > rounds)
    author.wait(lambda: author.controller.state is JobState.IDLE)


def _compare(author: Any) -> None:
    correct = author.dock.panels[CORRECT]
    correct.compare_section.expand(animate=False)
    author.run(0.5)
    author.reveal(correct.compare)
    author.person.click(correct.compare.buttons["difference"])
    author.run(0.5)
    author.picture("compare")
    author.person.click(correct.compare.buttons["difference"])
    correct.compare_section.collapse(animate=False)


def _objects(author: Any) -> None:
    correct, objects = author.dock.panels[CORRECT], author.context.workspace.objects
    correct.objects_section.expand(animate=False)
    author.run(0.5)
    author.reveal(correct.objects)
    author.person.click(correct.objects.number)
    author.wait(lambda: objects.of(author.entry.id) and objects.of(author.entry.id)[0].is_counted)
    author.run(1)
    QTest.keyClick(author.person.canvas, Qt.Key.Key_U)
    for _ in range(8):
        author.run(0.3)
        QTest.keyClick(author.person.canvas, Qt.Key.Key_K)
    author.run(1)
    author.reveal(correct.objects)
    author.picture("objects")
    author.viewer.reset_view()


def _export(author: Any) -> None:
    export = author.step(EXPORT)
    export.sizes_section.expand(animate=False)
    author.wait(lambda: export.methods.toPlainText())
    author.run(1.5)
    author.picture("export")


def _keys(author: Any) -> None:
    page = shortcuts_page(author.context)
    QTest.keyClicks(author.person.canvas, "?")
    author.run(0.5)
    if not page.isVisible():
        author.person.click(author.dock.status.keys)
    author.keep("keys", page)
    page.hide()


SCENES: tuple[Scene, ...] = (
    Scene(
        "open",
        "Open an image",
        "The window when it is opened for the first time",
        """\
Start `napari-unetseg`, or take *Plugins → U-Net segmentation* in napari. Then drop a file on the
window: TIFF, OME-TIFF, OME-Zarr, PNG, and with the optional readers what your microscope writes.
For a first try take *File → Open Sample → U-Net segmentation*.

The five buttons on top are the steps, from left to right. You may go back to any of them at any
time. At the bottom you read what has just happened and, after *Next*, what to do next.
""",
        _open,
    ),
    Scene(
        "tour",
        "The tour",
        "A step of the tour: a frame shows where to paint",
        """\
The tour says on top what to do next, and frames what to use. It goes on by itself as soon as you
have done it. Nothing is blocked meanwhile: do what you like, leave it with <kbd>Escape</kbd>, and
take it up again under *Tour*. It works on a sample of its own and leaves your images alone.
""",
        _tour,
    ),
    Scene(
        "data",
        "Data: images and classes",
        "The Data step with the sample ticked",
        """\
Tick the images that belong together; they are learned from as one. Look at the pixel size: if the
file says nothing of it, type it in, and areas and volumes are right later.

*Classes* are what you want to tell apart. Click a name twice to change it, *Add* one, click a
colour to choose another. *Background* is always there: it is all that is none of your classes.

Is only a part of the image of use? *Region of interest* lets you paint where to learn and to
segment; *Exclude* leaves out dirt or folds. Labels that you made elsewhere are taken over under
*Labels you have already*.
""",
        _data,
    ),
    Scene(
        "paint",
        "Paint",
        "Some strokes in nuclei and between them",
        """\
Click a class, and paint with the left mouse button. A few strokes are enough to begin with:

- some of *each* class, and some background, also right beside what you want to find;
- in places that look different: bright and dim, in focus and not;
- with a brush no wider than what you paint. Leave doubtful pixels alone: what is not painted is
  not learned.

<kbd>Ctrl+Z</kbd> takes a stroke back, <kbd>Ctrl+Shift+Z</kbd> brings it again. As long as
<kbd>Space</kbd> is held, the mouse moves the image; the wheel zooms.
""",
        _paint,
    ),
    Scene(
        "baselines",
        "Baselines: is something simple enough?",
        "Otsu's threshold, previewed on the slice in view",
        """\
A threshold or a clustering is sometimes all that is needed. Choose a method and move the sliders,
or drag the line in the histogram: the slice in view shows the answer at once. *Add a step* puts a
filter before it, such as smoothing, or a refinement after it, such as filling holes. *Fit to my
annotations* looks for the settings that agree best with what you painted. *Apply to stack* makes a
layer of it, and *Use result as annotations* lets the network learn from it. *Recipe* keeps the
steps in a file, and the pixel classifier as it was trained, for other images.

Where a method makes groups, such as k-means, *Mean colours* shows each of them in its mean colour:
the image in as few colours as there are groups, so that you see whether they are enough.
""",
        _baselines,
    ),
    Scene(
        "methods",
        "Which method should I use?",
        "Every method tried on what is painted; one is recommended",
        """\
Not sure what to use, or whether a network is worth it? Paint some of each class, open *Which method
should I use?* and press *Compare methods*: all of them are tried on annotations that they have not
seen, the models at hand and a network trained for this among them. The sentence on top says which
one to use. The table has the best first; ± says how sure a score is, where enough is painted; the
tooltip says more.

*Use it* takes the settings, or the model, of the row that you selected. Select two rows with Ctrl
and press *Show differences* to see where they answer otherwise. Under *How they were compared* you
read what they were scored on, and why some were not tried. Here every stroke lies well inside a
nucleus or well outside, and a threshold is always right; had dim nuclei and outlines been painted,
too, the table would tell methods apart. So paint some places that are doubtful before you compare.
""",
        _methods,
    ),
    Scene(
        "train",
        "Train: choose where to start",
        "Models on the slice in view; the number says how well each agrees with what is painted",
        """\
The pictures show what the models at hand make of the slice in view, and the numbers how well that
agrees with what you painted: 1 is perfect. If one of them is right already, click it and press
*Predict now*. Else leave *Start* as it is and press *Train*: the best match learns from your
strokes, or a new network where none of them agrees.
""",
        _train,
    ),
    Scene(
        "training",
        "While it trains",
        "Loss and score while the network learns",
        """\
A minute is enough for a first answer, on a processor without a graphics card too. The slice in
view is segmented again and again, so that you see it grow; go on painting meanwhile if you like.
The curves show the loss, which falls, and the score on annotations that were held out, which
rises; held out are some of your strokes, once there are enough of them. *Stop and keep* ends
earlier. Afterwards the curves are folded away under *How it learned*.
""",
        _training,
    ),
    Scene(
        "trained",
        "What it has learned",
        "Every slice is segmented",
        """\
In the end every slice is segmented. The layer *segmentation* shows it; its opacity is set in
napari's list of layers. Do not mind mistakes yet: the next steps are for those. *Show where it is
uncertain*, under *How to predict*, and *Predict now* add a layer that is bright where the network
is not sure; *Show how probable each class is* adds one in the colour of each class, the stronger
the more probable.
""",
        _trained,
    ),
    Scene(
        "live",
        "Live: it follows you",
        "Live is on: strokes are learned as they are painted",
        """\
With *Live* on, you need not press *Train* again. Every stroke takes part in the next steps, and a
second or two later the slice in view shows what became of it. So paint where it is wrong, look,
and paint on.

*Freeze* pauses learning. The small pictures are the network at earlier times, each with its score
in the tooltip; a click goes back there. When all is learned that is painted, it rests. Press
*Live* again to end it: the model is kept, and every slice is segmented with it. Its name stands
beside *Freeze* then; type a better one and press Enter.
""",
        _live,
    ),
    Scene(
        "suggest",
        "Suggest: where to paint next",
        "A suggested place is framed, and the sentence says why",
        """\
*Suggest* looks through all slices for the places where painting is worth most, goes to the first
and says why it is one. <kbd>N</kbd> goes on to the next. Suggested slices have a small triangle
in the strip of slices, which also shows what is predicted, annotated and completely annotated.
Click into the strip to go to a slice; then <kbd>Left</kbd> and <kbd>Right</kbd> go on from there.
""",
        _suggest,
    ),
    Scene(
        "correct",
        "Correct",
        "Tools to put mistakes right",
        """\
Paint over what is wrong, and close by some of what it was taken for. The tools under *Fix* do
more at once, each with a key:

| key | tool | what it does |
|---|---|---|
| <kbd>A</kbd> | Claim superpixels | the areas under the pointer, bounded by edges, get the class |
| <kbd>G</kbd> | Grow | similar grey values around a click get the class |
| <kbd>S</kbd> | Smooth | makes an outline smooth |
| <kbd>H</kbd> | Fill holes | fills the holes of a piece |
| <kbd>D</kbd> | Delete | turns a piece into background |
| <kbd>C</kbd> | Cut | divides a piece along a line |
| <kbd>J</kbd> | Join | fills the gap between two pieces |
| <kbd>,</kbd> <kbd>.</kbd> | Copy | takes what is annotated on the slice before, or after |

<kbd>Escape</kbd> puts a tool down. *Interpolate* fills the slices between two that are annotated.
*Propagate* follows the pieces annotated on this slice through the slices before or after, as the
segmentation finds them again there, and annotates them. Whatever you do, <kbd>Ctrl+Z</kbd> takes
it back.
""",
        _correct,
    ),
    Scene(
        "accept",
        "Accept what is right",
        "An accepted slice: all of it is annotated now",
        """\
When a slice is right, *Accept slice* turns all of it into annotations, which are learned from as
well; *Accept in sight* does so with what you see of it. Without *Live*, *Retrain on corrections*
lets the network learn from everything painted by now, and the table says whether that helped.
""",
        _accept,
    ),
    Scene(
        "compare",
        "Compare: what has changed",
        "What differs since the last training: bright is new, dark is gone",
        """\
Hold <kbd>W</kbd> to see how the slice was segmented before the last training, and let it go to see
how it is; a tap leaves it so until the next tap. Under *Compare*, *Swipe* shows both beside a line
that you drag, and *Differences* only what is not the same, with numbers below. The two lists choose
what is compared: what is annotated, a baseline or another labels layer, too.
""",
        _compare,
    ),
    Scene(
        "objects",
        "Objects: count them one by one",
        "Every nucleus has a number; one is outlined to be looked at",
        """\
Do you want single cells or nuclei, not just where they are? The models *nuclei* and *cells* tell
touching ones apart: *Predict now* gives each a number and a colour of its own, in a layer beside
the segmentation. For any other model press *Number pieces* under *Objects* in the Correct step:
what is connected becomes one object, through all slices.

<kbd>U</kbd> goes to the next object that nobody has looked at yet, and outlines it. Is it right?
Press <kbd>K</kbd>: it is counted as reviewed, and the next one comes. Else correct it, with the
tools that you know; they do something else while the layer of objects is selected:

| key | on a layer of objects |
|---|---|
| <kbd>C</kbd> | drag a line across an object: its parts get numbers of their own |
| <kbd>J</kbd> | drag from one object to another, or click on both: they become one |
| <kbd>D</kbd> | click on an object: it goes, in all its slices |

A brush paints the object whose number is selected. *In this slice only* keeps cuts, joins and
deletions to the slice in view. *Renumber* counts from 1 on again without gaps. The numbers are
saved in the Export step, as they are corrected.
""",
        _objects,
    ),
    Scene(
        "export",
        "Export",
        "What can be saved, and how large the classes are",
        """\
*Save segmentation* writes an OME-TIFF with the pixel size, names and colours. *Save model* copies
the model into a folder: to apply to other images, to go on training from, or to hand to a
colleague. Below is a paragraph for the methods section of your paper, and under *Areas and
volumes* the size of each class.
""",
        _export,
    ),
    Scene(
        "keys",
        "Keys",
        "The page of keys",
        """\
<kbd>?</kbd> shows all keys, those of napari included as they are on your computer.
""",
        _keys,
    ),
)
