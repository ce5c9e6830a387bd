"""Small choices that more than one step offers."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QSpinBox

_DEVICES = {
    "auto": "Automatic",
    "cuda": "NVIDIA GPU (CUDA)",
    "mps": "Apple GPU (MPS)",
    "cpu": "Processor (CPU)",
}


class DeviceBox(QComboBox):
    """What to compute on; whether it is there is found out by the job."""

    def __init__(self) -> None:
        super().__init__()
        for name, title in _DEVICES.items():
            self.addItem(title, name)
        self.setToolTip("What to compute on; automatic takes the fastest there is.")

    @property
    def device(self) -> str:
        """Its name: ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``."""
        return str(self.currentData())


class SecondsBox(QSpinBox):
    """How long to train, in seconds."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.setRange(5, 86_400)
        self.setSingleStep(10)
        self.setSuffix(" s")
        self.setValue(seconds)
        self.setToolTip("Training ends after this time; stop it earlier, or go on later.")
