"""Forms made from the fields of a config: a slider, a box or a choice for each."""

from __future__ import annotations

import math
import types
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FloatSlider,
    FloatSpinBox,
    Slider,
    SpinBox,
)
from magicgui.widgets.bases import ValueWidget
from psygnal import Signal
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtWidgets import QFormLayout, QGridLayout, QLabel, QWidget

from napari_unetseg.config import Config
from napari_unetseg.errors import UserError

from .fold import Fold

C = TypeVar("C", bound=Config)

#: Endings of a field's name that are its unit.
_UNITS = {"px": "px", "percent": "%", "s": "s", "deg": "°", "um": "µm", "nm": "nm"}

#: Ranges wider than this get a box to type in instead of a slider.
_WIDEST_SLIDER = 1000

#: What a box takes where the field has no bound; Qt's boxes hold 32 bits.
_UNBOUNDED = 1e9


class OptionalNumber(Container[Any]):
    """A number that may be left out: a box to tick and a box to type in.

    While it is left out, the box shows what it would be.
    """

    def __init__(self, value: float | None, tooltip: str, **kwargs: Any) -> None:
        self._used = CheckBox(value=value is not None, text="", tooltip=tooltip)
        self._number = FloatSpinBox(
            value=value or 0.0, min=-_UNBOUNDED, max=_UNBOUNDED, tooltip=tooltip
        )
        super().__init__(
            widgets=[self._used, self._number],
            layout="horizontal",
            labels=False,
            tooltip=tooltip,
            **kwargs,
        )
        self.margins = (0, 0, 0, 0)
        self._used.changed.connect(self._show_use)
        self._show_use(self._used.value)

    def suggest(self, value: float) -> None:
        """Show what the number would be, while it is left out."""
        if not self._used.value:
            with self._number.changed.blocked():
                self._show_number(value)

    def _show_use(self, used: bool) -> None:
        self._number.enabled = used

    def _show_number(self, value: float) -> None:
        self._number.native.setDecimals(_decimals(value))
        self._number.value = value

    @property
    def value(self) -> float | None:
        """The number; None where it is left out."""
        return float(self._number.value) if self._used.value else None

    @value.setter
    def value(self, value: float | None) -> None:
        self._used.value = value is not None
        if value is not None:
            self._show_number(value)


class ConfigForm(Generic[C]):
    """A form for a config.

    Parameters
    ----------
    config : type of Config
        Its fields' types, bounds and descriptions decide the controls, ranges and tooltips.
    labels : mapping of str to str
        What people call a field, where its name will not do.
    only : sequence of str, optional
        Fields to show; all by default. The others keep the values of the config last set.
    sliders : bool
        Sliders where a range is narrow enough; else boxes, which need less room.
    folded : collection of str
        Fields that are seldom changed: shown on demand, or where they are not as usual.
    instead : mapping of str to str, optional
        Numbers that may be left out, and the field that counts where they are: it is disabled
        where they are given.
    where : mapping of str to (str, str), optional
        Fields that count only where another has a value; they are hidden elsewhere.

    Attributes
    ----------
    changed : Signal()
        A person, or `set_value`, changed something.
    more : Fold or None
        The button that unfolds, once there is a widget.
    """

    changed = Signal()

    def __init__(
        self,
        config: type[C],
        labels: Mapping[str, str] | None = None,
        *,
        only: Sequence[str] | None = None,
        sliders: bool = True,
        folded: Collection[str] = (),
        instead: Mapping[str, str] | None = None,
        where: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self._config = config
        self._folded = folded
        self._where = where or {}
        self.more: Fold | None = None
        self._others: dict[str, Any] = {}
        self._fields = {
            name: _control(name, config.model_fields[name], (labels or {}).get(name, ""), sliders)
            for name in (only or config.model_fields)
        }
        self._quiet = False
        for control in self._fields.values():
            control.changed.connect(self._on_changed)
        for given, left_out in (instead or {}).items():
            self._let_one_count(self._fields[given], self._fields[left_out])

    def make_widget(self) -> QWidget:
        """Lay the controls out, each beside its label; boxes to tick two in a row, at the end."""
        widget = QWidget()
        form = QFormLayout(widget)
        form.setContentsMargins(0, 0, 0, 0)
        shown = {n: c for n, c in self._fields.items() if n not in self._folded}
        ticks = [control for control in shown.values() if isinstance(control, CheckBox)]
        for name, control in shown.items():
            if control not in ticks:
                row = _row(control)
                form.addRow(*row)
                if name in self._where:
                    self._show_where(row, *self._where[name])
        if ticks:
            form.addRow(_two_in_a_row(ticks))
        folded = [_row(control) for n, control in self._fields.items() if n in self._folded]
        if folded:
            rows = [part for row in folded for part in row]
            self.more = Fold("More settings", "Settings that are seldom changed.", rows)
            form.addRow(self.more)
        for row in folded:
            form.addRow(*row)
        return widget

    def control(self, name: str) -> Any:
        """Return the control of a field."""
        return self._fields[name]

    def suggest(self, values: Mapping[str, float]) -> None:
        """Show what numbers would be that are left out."""
        for name, value in values.items():
            self._fields[name].suggest(value)

    def set_highest(self, name: str, highest: float) -> None:
        """Let a number run no higher than that."""
        control = self._fields[name]
        self._quiet = True
        control.value = min(control.value, highest)
        control.max = highest
        self._quiet = False

    def value(self) -> C:
        """Return what is chosen.

        Raises
        ------
        UserError
            If two choices do not go together.
        """
        chosen = {name: control.value for name, control in self._fields.items()}
        chosen = self._others | chosen
        try:
            return self._config.model_validate(chosen)
        except ValidationError as error:
            said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            for name, control in self._fields.items():
                said = said.replace(name, f"“{control.label}”")
            raise UserError(f"These settings do not go together: {said}.") from error

    def set_value(self, value: C) -> None:
        """Show a config; `changed` is emitted once."""
        self._quiet = True
        for name, control in self._fields.items():
            control.value = getattr(value, name)
        self._quiet = False
        self._others = {
            name: getattr(value, name)
            for name in self._config.model_fields
            if name not in self._fields
        }
        usual = self._config.model_fields
        if self.more and any(getattr(value, n) != usual[n].default for n in self._folded):
            self.more.setChecked(True)
        self.changed.emit()

    def _let_one_count(self, given: OptionalNumber, left_out: Any) -> None:
        usual = left_out.tooltip

        def show() -> None:
            is_given = given.value is not None
            left_out.native.setEnabled(not is_given)  # `enabled` spares the number beside a slider
            left_out.tooltip = f"Untick “{given.label}” to use this." if is_given else usual

        given.changed.connect(show)
        show()

    def _show_where(self, row: tuple[QLabel, QWidget], other: str, value: str) -> None:
        decides = self._fields[other]

        def show() -> None:
            for part in row:
                part.setVisible(decides.value == value)

        decides.changed.connect(show)
        show()

    def _on_changed(self, *_: object) -> None:
        if not self._quiet:
            self.changed.emit()


def label_of(name: str) -> str:
    """Write a field's name as a label, with its unit.

    >>> label_of("sigma_px"), label_of("per_slice"), label_of("percent")
    ('Sigma (px)', 'Per slice', 'Percent')
    """
    stem, _, ending = name.rpartition("_")
    unit = f" ({_UNITS[ending]})" if stem and ending in _UNITS else ""
    words = (stem if unit else name).replace("_", " ")
    return words[:1].upper() + words[1:] + unit


def _row(control: Any) -> tuple[QLabel, QWidget]:
    label = QLabel(control.label)
    label.setToolTip(control.tooltip)
    if isinstance(control, CheckBox):
        control.text = ""
    return label, control.native


def _two_in_a_row(ticks: Sequence[CheckBox]) -> QWidget:
    widget = QWidget()
    grid = QGridLayout(widget)
    grid.setContentsMargins(0, 0, 0, 0)
    for i, control in enumerate(ticks):
        control.text = control.label
        grid.addWidget(control.native, i // 2, i % 2)
    return widget


def _control(name: str, field: FieldInfo, label: str, sliders: bool) -> Any:
    tooltip = field.description or label_of(name)
    given: dict[str, Any] = {
        "name": name,
        "label": label or label_of(name),
        "tooltip": tooltip[:1].upper() + tooltip[1:] + ".",
    }
    kind = field.annotation
    if get_origin(kind) is Literal:
        return ComboBox(choices=list(get_args(kind)), value=field.default, **given)
    if kind is bool:
        return CheckBox(value=field.default, text="", **given)
    if get_origin(kind) in (Union, types.UnionType) and type(None) in get_args(kind):
        return OptionalNumber(field.default, **given)
    if kind in (int, float):
        return _number(kind is int, field, given, sliders)
    raise TypeError(f"no control for a field of type {kind}")


def _number(
    whole: bool, field: FieldInfo, given: dict[str, Any], sliders: bool
) -> ValueWidget[Any]:
    low, high = _bounds(field)
    slider = sliders and high - low <= _WIDEST_SLIDER
    given |= {"value": field.default}
    if whole:
        widget = Slider if slider else SpinBox
        return widget(min=int(low), max=int(min(high, _UNBOUNDED)), **given)
    if slider:
        return FloatSlider(min=low, max=high, step=_step(high - low), **given)
    return FloatSpinBox(min=low, max=high, step=_step(4 * (field.default or 1.0)), **given)


def _decimals(value: float) -> int:
    """Return how many decimals show four digits of a number, and two at least.

    >>> _decimals(117.3), _decimals(0.01234)
    (2, 5)
    """
    return max(2, 3 - math.floor(math.log10(abs(value)))) if value else 2


def _step(span: float) -> float:
    """Return a round number near a hundredth of a span: 1, 2 or 5 times a power of ten.

    >>> _step(100.0), _step(50.0), _step(0.008)
    (1.0, 0.5, 5e-05)
    """
    power: float = 10.0 ** math.floor(math.log10(span / 100))
    times = next(times for times in (5, 2, 1) if times * power <= span / 100 * 1.001)
    return float(f"{times * power:.3g}")


def _bounds(field: FieldInfo) -> tuple[float, float]:
    low, high = -_UNBOUNDED, _UNBOUNDED
    for limit in field.metadata:
        low = getattr(limit, "ge", getattr(limit, "gt", low))
        high = getattr(limit, "le", getattr(limit, "lt", high))
    return float(low), float(high)
