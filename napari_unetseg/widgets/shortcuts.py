"""Keys of the window, in one table; they work while a layer of ours is the active one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A key and what it does.

    Attributes
    ----------
    key : str
        As napari writes it; a single key that neither the viewer nor its Labels layers use.
    name : str
        In a word or two.
    sentence : str
        What it does, for a tooltip or a page of shortcuts.
    """

    key: str
    name: str
    sentence: str


#: By what they do.
SHORTCUTS: dict[str, Shortcut] = {
    "superpixel": Shortcut(
        "A",
        "Claim superpixels",
        "Click or drag: the areas under the pointer, bounded by edges of the image, get the class. "
        "They are about as wide as the brush.",
    ),
    "grow": Shortcut(
        "G",
        "Grow",
        "Click: similar grey values around the pointer get the class, no farther than five widths "
        "of the brush. What is annotated stops it.",
    ),
    "smooth": Shortcut(
        "S",
        "Smooth",
        "Click on a piece to make its outline smooth, or drag to smooth what is under the brush. "
        "A wider brush smooths more.",
    ),
    "holes": Shortcut(
        "H",
        "Fill holes",
        "Click on a piece to fill the holes in it where nothing is painted, or into a hole to fill "
        "it altogether.",
    ),
    "delete": Shortcut("D", "Delete", "Click on a piece of a class: all of it becomes background."),
    "split": Shortcut(
        "C", "Cut", "Drag a line across a piece: a thin line of background divides it."
    ),
    "join": Shortcut(
        "J",
        "Join",
        "Drag a line from one piece to another of the same class: the gap is filled, as wide as "
        "the brush.",
    ),
    "compare": Shortcut(
        "W",
        "How it was",
        "Hold: see what the network answered before the last training, or the first of what is "
        "chosen under Compare. Tap: it stays until the next tap.",
    ),
    "next_suggestion": Shortcut(
        "N",
        "Next suggestion",
        "Go to the next place where painting is worth most; suggestions are asked for first where "
        "there are none.",
    ),
    "next_object": Shortcut(
        "U",
        "Next unreviewed",
        "Go to the next object that nobody has called right yet; it is outlined.",
    ),
    "object_right": Shortcut(
        "K", "Right", "The object outlined is right: count it as reviewed and go on to the next."
    ),
    "copy_before": Shortcut(
        ",",
        "Copy from before",
        "Copy what is annotated on the slice before into the unlabelled pixels of this one.",
    ),
    "copy_after": Shortcut(
        ".",
        "Copy from after",
        "Copy what is annotated on the slice after into the unlabelled pixels of this one.",
    ),
}

#: What tools do where the layer of objects is the active one.
ON_OBJECTS: dict[str, str] = {
    "split": "Drag a line right across an object: each part gets a number of its own, the largest "
    "keeps the old one. In the slices beside, pixels go with the nearest part.",
    "join": "Drag a line from one object to another, or click on both, on any slices: the second "
    "gets the number of the first.",
    "delete": "Click on an object to delete it, in all its slices.",
}

#: Keys that mean the same to napari, and do more on a layer of ours, or with a tool in hand.
REPLACED: dict[str, Shortcut] = {
    "undo": Shortcut(
        "Ctrl+Z", "Undo", "Take back the last stroke or action, whatever it was and on any layer."
    ),
    "redo": Shortcut("Ctrl+Shift+Z", "Redo", "Do again what was taken back."),
    "put_down": Shortcut("Escape", "Put down", "Let go of the tool in hand."),
    "new_class": Shortcut("M", "Next class", "Paint with the first class that is not in use yet."),
    "move": Shortcut("Space", "Move", "As long as it is held, the mouse moves the image."),
}

#: On the strip of slices, once it has been clicked.
ON_THE_STRIP: tuple[Shortcut, ...] = (
    Shortcut("Left", "Slice before", "Go to the slice before."),
    Shortcut("Right", "Slice after", "Go to the slice after."),
    Shortcut("PgUp", "Ten back", "Go ten slices back."),
    Shortcut("PgDown", "Ten on", "Go ten slices on."),
    Shortcut("Home", "First", "Go to the first slice."),
    Shortcut("End", "Last", "Go to the last slice."),
)

#: Works anywhere in the window, but where text is written.
PAGE = Shortcut("?", "Keys", "Show all keys, or hide them.")


def sentence_of(action: str, role: str = "") -> str:
    """Return what an action does on a layer of a role."""
    on_objects = ON_OBJECTS.get(action) if role == "objects" else None
    return on_objects or SHORTCUTS[action].sentence


def tooltip(action: str, role: str = "") -> str:
    """Return what an action does, and its key."""
    shortcut = SHORTCUTS[action]
    return f"{shortcut.name} ({shortcut.key}). {sentence_of(action, role)}"
