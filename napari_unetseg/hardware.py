"""What is known of the machine without torch: NVIDIA cards, memory, and when that ran out."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_TIMEOUT_S = 15
_PCI_DEVICES = Path("/sys/bus/pci/devices")
_CGROUPS = Path("/sys/fs/cgroup")
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


def free_memory_bytes() -> int:
    """Return how much memory can still be allocated."""
    free = int(psutil.virtual_memory().available)
    left = _left_in_cgroup(_CGROUPS)
    return free if left is None else min(free, left)


def _left_in_cgroup(root: Path) -> int | None:
    """Return what the container, or the batch system, still allows; None without a limit."""
    left = None
    for limit_name, used_name, cache_name in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        for folder in _own_groups(root):
            limit = folder / limit_name
            if limit.is_file() and limit.read_text().strip().isdigit():
                used = int((folder / used_name).read_text()) - _statistic(limit, cache_name)
                here = max(0, int(limit.read_text()) - used)
                left = here if left is None else min(left, here)
    return left


def _own_groups(root: Path) -> list[Path]:
    """Return the folder of this process's group and of all those around it."""
    groups = Path("/proc/self/cgroup")
    lines = groups.read_text().splitlines() if groups.is_file() else []
    own = next((line.partition("::")[2] for line in lines if line.startswith("0::")), "/")
    folder = root / own.strip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def _statistic(limit: Path, name: str) -> int:
    """Return a number of ``memory.stat``: files that were read can be dropped at any time."""
    file = limit.with_name("memory.stat")
    for line in file.read_text().splitlines() if file.is_file() else []:
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
