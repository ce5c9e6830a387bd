"""What `napari-unetseg doctor` looks at, each as a finding with what to do about it."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal, TypeAlias

from napari_unetseg.hardware import nvidia_driver, torch_install_line

if TYPE_CHECKING:
    from napari_unetseg.learning.device import DeviceReport

State: TypeAlias = Literal["fine", "note", "problem"]

QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
INSTALL_WINDOW = 'pip install "napari-unetseg[all]"'

#: What Qt's window plugin loads at run time on Linux, and the Debian package that has it.
SYSTEM_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xinerama.so.0": "libxcb-xinerama0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}

# In a process of its own: a Qt that cannot load may end the process it is in.
_LOAD_QT = """
import ctypes, os
from qtpy.QtWidgets import QApplication
from qtpy.QtCore import QLibraryInfo
where = getattr(QLibraryInfo, "path", None) or QLibraryInfo.location
plugins = where(QLibraryInfo.LibraryPath.PluginsPath)
ctypes.CDLL(os.path.join(plugins, "platforms", "libqxcb.so"))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about this installation, and the line to run where it is not as it should be."""

    topic: str
    state: State
    sentence: str
    remedy: str | None = None


def check_packages(requirements: list[str]) -> tuple[dict[str, str | None], list[Finding]]:
    """Compare what is installed with what the package asks for.

    Parameters
    ----------
    requirements : list of str
        As a package's metadata writes them, ``'numpy>=1.26'``; those of extras are left out.

    Returns
    -------
    versions : dict of str to (str or None)
        Installed versions by name; None where it is missing.
    findings : list of Finding
        One problem for each package that is missing or too old.
    """
    from packaging.requirements import Requirement

    versions: dict[str, str | None] = {}
    findings = []
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = requirement.name
        version = versions[name] = installed_version(name)
        if version is None:
            sentence = f"{name} is not installed."
        elif not requirement.specifier.contains(version, prereleases=True):
            sentence = f"{name} is {version}, and {requirement.specifier} is needed."
        else:
            continue
        remedy = torch_install_line(nvidia_driver()) if name == "torch" else None
        findings.append(
            Finding("packages", "problem", sentence, remedy or f'pip install "{requirement}"')
        )
    return versions, findings


def installed_version(name: str) -> str | None:
    """Return the version of a distribution, or None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_window() -> Finding:
    """Tell whether napari's window can open: a Qt binding, what it loads, and a display."""
    binding = next((name for name in QT_BINDINGS if importlib.util.find_spec(name)), None)
    if binding is None:
        sentence = "No Qt binding is installed, so no window can open; the command line works."
        return Finding("window", "note", sentence, INSTALL_WINDOW)
    title = f"{binding} {installed_version(binding) or ''}".strip()
    display = sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    failure = qt_load_failure() if sys.platform == "linux" else None
    if failure is not None:
        sentence = f"{title} is installed but cannot load: {failure}."
        return Finding("window", "problem" if display else "note", sentence, _qt_remedy(failure))
    if not display:
        sentence = f"{title} is installed, but there is no display, so no window can open here."
        remedy = "work on a desktop or with ssh -X; the command line needs no display"
        return Finding("window", "note", sentence, remedy)
    return Finding("window", "fine", f"napari's window opens with {title}.")


def qt_load_failure() -> str | None:
    """Load Qt and its X11 plugin as napari would; return what went wrong."""
    done = subprocess.run(
        [sys.executable, "-c", _LOAD_QT], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return None
    last_line = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
    return last_line.partition("Error: ")[2] or last_line


def _qt_remedy(failure: str) -> str:
    missing = missing_libraries()
    named = re.match(r"(\S+\.so[.\d]*): cannot open", failure)
    if named and named[1] in SYSTEM_LIBRARIES:
        missing = sorted({*missing, SYSTEM_LIBRARIES[named[1]]})
    if missing:
        return f"sudo apt-get update && sudo apt-get install -y {' '.join(missing)}"
    return f"{INSTALL_WINDOW} --force-reinstall"


def missing_libraries() -> list[str]:
    """Return the Debian packages of `SYSTEM_LIBRARIES` that the loader does not find."""
    missing = []
    for library, package in SYSTEM_LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    return sorted(missing)


def check_device() -> tuple[DeviceReport | None, Finding]:
    """Say which device computes and why; where torch does not load, what installs one that does."""
    try:
        device = importlib.import_module("napari_unetseg.learning.device")
    except (ImportError, OSError) as error:
        remedy = torch_install_line(nvidia_driver())
        if platform.system() == "Windows" and isinstance(error, OSError):
            remedy = "install https://aka.ms/vs/17/release/vc_redist.x64.exe, then open a new shell"
        sentence = f"torch cannot be loaded, so nothing can be trained: {error}"
        return None, Finding("device", "problem", sentence, remedy)
    report: DeviceReport = device.diagnose()
    if report.seconds is None:
        return report, Finding("device", "problem", f"{report.problem}.", report.remedy)
    if report.problem is not None:
        sentence = f"The CPU is used: {report.problem}."
        return report, Finding("device", "note", sentence, report.remedy)
    return report, Finding("device", "fine", report.device.reason, report.remedy)
