"""How a network was trained, in sentences for a paper."""

from __future__ import annotations

from collections.abc import Mapping

from napari_unetseg.annotations import BLOCK_PX, MIN_BOX_SECTIONS
from napari_unetseg.config import LossConfig, ModelInfo, NetworkConfig, Recipe, TrainingConfig
from napari_unetseg.wording import counted, listed

from .rounds import Round

_DEVICES = {"cpu": "a CPU", "cuda": "an NVIDIA GPU", "mps": "an Apple GPU"}

#: Shares of a loss config, as a paper names them.
_LOSSES = {
    "cross_entropy": "cross entropy",
    "dice": "Dice loss",
    "binary": "binary cross entropy of each class",
    "focal": "focal loss (γ = {focal_gamma:g})",
    "tversky": "Tversky loss (α = {tversky_alpha:g}, β = {tversky_beta:g})",
}

#: Those in which single pixels are weighted.
_PIXEL_LOSSES = ("cross_entropy", "binary", "focal")

#: Parts of an augmentation config, as a paper names them; each is left out where it is off.
_SHAPE_CHANGES = {
    "flip": "flips",
    "rotation_deg": "rotations",
    "scale": "scaling",
    "elastic": "elastic deformations",
}
_GREY_CHANGES = {
    "brightness": "brightness",
    "contrast": "contrast",
    "gamma": "gamma",
    "noise": "noise",
    "blur_px": "blur",
    "section_dropout": "missing slices",
}


def model_in_words(info: ModelInfo, is_own: bool, made_by: Round | None) -> list[str]:
    """Tell how a model came to be; of one that ships with the package, that is told elsewhere.

    Parameters
    ----------
    is_own : bool
        Whether it was trained in this window.
    made_by : Round or None
        The training that made it, if it was.
    """
    if info.card is not None and not is_own:
        return [
            f"The model “{info.name}”, which comes with napari-unetseg ({_shape(info)}), was used "
            "as it is."
        ]
    sentences = [_network(info, is_own), _objects(info), _training(info)]
    return [*sentences, _sampling(info.recipe), _held_out(info, made_by)]


def _network(info: ModelInfo, is_own: bool) -> str:
    base = info.history.get("base")
    trained = f"starting from the model “{base}”" if base else "from scratch"
    if is_own:
        return f"A {_shape(info)} was trained {trained}."
    return f"The model “{info.name}”, a {_shape(info)}, had been trained before, {trained}."


def _shape(info: ModelInfo) -> str:
    channels = counted(len(info.channels), "input channel")
    return f"{_architecture(info.recipe.network)} with {channels}"


def _objects(info: ModelInfo) -> str:
    if info.object_diameter_px is None:
        return ""
    return (
        "Beside its class the network learned of every pixel the distance to the border of its "
        "object, as a share of the largest in that object."
    )


def _architecture(network: NetworkConfig) -> str:
    size = f"depth {network.depth}, {counted(network.filters, 'filter')} at the top level"
    if network.kind == "unet2015":
        return f"2D U-Net as published in 2015 ({size}, dropout {network.dropout:g})"
    if network.reduction > 1:
        size += f", images reduced {network.reduction} ×"
    return f"{network.dims}D U-Net ({size}, {network.norm} normalisation)"


def _training(info: ModelInfo) -> str:
    history = info.history
    if "steps" not in history:
        return ""
    device = str(history.get("device", ""))
    where = next((name for key, name in _DEVICES.items() if device.startswith(key)), device)
    precision = history.get("precision")
    on = f" on {where}" + (f" in {precision}" if precision else "") if where else ""
    return (
        f"Training took {counted(int(history['steps']), 'optimiser step')} in "
        f"{_duration(float(history.get('seconds', 0)))}{on}."
    )


def _sampling(recipe: Recipe) -> str:
    training = recipe.training
    changes = training.augmentation.model_dump()
    if recipe.network.dims == "2":
        del changes["section_dropout"]
    shapes = [name for key, name in _SHAPE_CHANGES.items() if changes.get(key)]
    greys = [name for key, name in _GREY_CHANGES.items() if changes.get(key)]
    random = [f"random {listed(shapes)}"] if shapes else []
    random += [f"random changes of {listed(greys)}"] if greys else []
    augmented = f", augmented by {', and by '.join(random)}" if random else ""
    size = f"{training.patch_px} × {training.patch_px} px"
    if recipe.network.dims == "3":
        size += " and about as deep"
    return (
        f"Each step minimised {_loss(training.loss)} over the annotated pixels of "
        f"{counted(training.batch, 'patch', 'patches')} of {size}{augmented}, by "
        f"{_optimiser(training)} at a learning rate of up to {training.learning_rate:g}."
    )


def _loss(loss: LossConfig) -> str:
    """Name what was minimised; shares are told where they differ."""
    shares = {name: getattr(loss, name) for name in _LOSSES if getattr(loss, name)}
    parts = []
    for name, share in shares.items():
        text = _LOSSES[name].format(**loss.model_dump())
        parts.append(f"{share:g} × {text}" if len(set(shares.values())) > 1 else text)
    return listed(parts) + _pixel_weights(loss)


def _pixel_weights(loss: LossConfig) -> str:
    of_pixels = [name for name in _PIXEL_LOSSES if getattr(loss, name)]
    purposes = ["to balance the classes"] if loss.class_balanced else []
    if loss.border_weight:
        purposes.append(
            f"to stress borders between objects (w₀ = {loss.border_weight:g}, "
            f"σ = {loss.border_sigma_px:g} px)"
        )
    if not of_pixels or not purposes:
        return ""
    names = listed([name.replace("_", " ") for name in of_pixels])
    return f", the pixels of the {names} weighted {listed(purposes)},"


def _optimiser(training: TrainingConfig) -> str:
    if training.optimiser == "sgd":
        return f"stochastic gradient descent with momentum {training.momentum:g}"
    if training.optimiser == "adamw":
        return "AdamW"
    return "Muon in the convolutions between the first and the last and by AdamW elsewhere,"


def _held_out(info: ModelInfo, made_by: Round | None) -> str:
    score = info.scores.get("mean_iou")
    n_held = made_by.n_held_out_px if made_by else int(info.scores.get("n_px", 0))
    n_all = info.history.get("n_labelled_px")
    if made_by is not None:
        n_all = made_by.n_labelled_px + n_held
    if score is None or not n_held:
        return "No annotations were held out, so the model was not scored."
    share = f" ({n_held / n_all:.0%} of those annotated then)" if n_all else ""
    before = ""
    if made_by is not None and made_by.before is not None:
        before = f", and {made_by.before:.3f} before this training"
    verb = "pixel was" if n_held == 1 else "pixels were"
    blocks = f"square blocks of {BLOCK_PX} × {BLOCK_PX} px"
    if info.recipe.network.dims != "2":
        blocks = f"boxes {BLOCK_PX} px wide and about as deep, at least {MIN_BOX_SECTIONS} sections"
    return (
        f"In {blocks}, {n_held:,} annotated {verb} held out from training{share}; on them the "
        "mean intersection over union was "
        f"{score:.3f}{before}{_per_class(info.scores.get('iou', {}))}."
    )


def _per_class(iou: Mapping[str, float]) -> str:
    scores = listed([f"{name} {value:.3f}" for name, value in iou.items()])
    return f" ({scores})" if len(iou) > 1 else ""


def _duration(seconds: float) -> str:
    """Write a duration.

    >>> _duration(59.6), _duration(200)
    ('60 s', '3 min 20 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{round(seconds)} s" if seconds < 120 else f"{minutes} min {rest} s"
