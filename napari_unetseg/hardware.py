"""What is known of the machine without torch: its NVIDIA card, and when memory ran out."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TIMEOUT_S = 15
_PCI_DEVICES = Path("/sys/bus/pci/devices")
_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "bad_alloc")

#: Where drivers are found for every card and system.
DRIVER_PAGE = "https://www.nvidia.com/drivers"


@dataclass(frozen=True, slots=True)
class NvidiaDriver:
    """An installed NVIDIA driver as ``nvidia-smi`` describes it.

    Attributes
    ----------
    gpus : tuple of str
        Names of the graphics cards.
    version : str
        Of the driver, ``"550.54.14"``.
    cuda : tuple of (int, int)
        The newest CUDA this driver runs, ``(12, 4)``; ``(0, 0)`` where it did not say.
    capability : tuple of (int, int)
        The lowest among the cards, ``(8, 6)``; ``(0, 0)`` where the driver is too old to say.
    """

    gpus: tuple[str, ...]
    version: str
    cuda: tuple[int, int]
    capability: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        cuda = f", CUDA up to {self.cuda[0]}.{self.cuda[1]}" if self.cuda != (0, 0) else ""
        return f"{', '.join(self.gpus)} (driver {self.version}{cuda})"


@cache
def nvidia_driver() -> NvidiaDriver | None:
    """Ask ``nvidia-smi``; None where there is none or it finds no card it can talk to."""
    report = _nvidia_smi()
    cards = _nvidia_smi("--query-gpu=name,driver_version", "--format=csv,noheader")
    rows = [line.rsplit(",", 1) for line in (cards or "").splitlines() if "," in line]
    if not report or not rows:
        return None
    return NvidiaDriver(
        gpus=tuple(name.strip() for name, _ in rows),
        version=rows[0][1].strip(),
        cuda=_number_pair(re.search(r"CUDA (?:UMD )?Version\s*:\s*(\d+)\.(\d+)", report)),
        capability=_lowest_capability(),
    )


def _lowest_capability() -> tuple[int, int]:
    answer = _nvidia_smi("--query-gpu=compute_cap", "--format=csv,noheader") or ""
    found = [_number_pair(m) for m in re.finditer(r"^\s*(\d+)\.(\d+)\s*$", answer, re.MULTILINE)]
    return min(found, default=(0, 0))


def _number_pair(match: re.Match[str] | None) -> tuple[int, int]:
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _nvidia_smi(*arguments: str) -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def has_nvidia_card() -> bool:
    """Tell whether Linux sees a graphics card by NVIDIA, with a driver or without."""
    return any(
        _read(device / "vendor") == "0x10de" and _read(device / "class").startswith("0x03")
        for device in _PCI_DEVICES.glob("*")
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def torch_install_line(driver: NvidiaDriver | None) -> str | None:
    """Return the line that installs a torch this driver can run; None where no torch can.

    Without an NVIDIA card that is the CPU build, a tenth of the size of the default one. pip leaves
    an installed torch of the same version alone, whatever it was built for, unless it is forced.
    """
    tag = "cpu" if driver is None else _wheel_tag(driver)
    return None if tag is None else _install_line(tag)


def newest_torch_install_line() -> str:
    """Return the line that installs torch for a card whose driver is up to date."""
    return _install_line("cu130")


def _install_line(tag: str) -> str:
    return f"pip install torch --index-url https://download.pytorch.org/whl/{tag} --force-reinstall"


def _wheel_tag(driver: NvidiaDriver) -> str | None:
    """Choose among PyTorch's CUDA builds.

    A driver runs the builds for its own major CUDA version and older ones. The build for CUDA 12.6
    is the last with kernels for cards before Turing (compute capability 7.5); Blackwell cards
    (10.0 and up) came with CUDA 12.8. See PyTorch's RELEASE.md, "CUDA Support Matrix".
    """
    if driver.cuda < (11, 8):
        return None
    if driver.cuda < (12, 0):
        return "cu118"
    if (0, 0) < driver.capability < (7, 5):
        return "cu126"
    if driver.cuda >= (13, 0):
        return "cu130"
    return "cu128" if driver.capability >= (10, 0) else "cu126"


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether memory ran out, the processor's or a graphics card's.

    torch says so with a RuntimeError or a class of its own.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _NO_MEMORY)
