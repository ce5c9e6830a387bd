"""`napari-unetseg doctor`: what is installed, which device is used, and what to do about it."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from importlib import metadata
from typing import Annotated, Any

import typer

from napari_unetseg import __version__

from .findings import (
    QT_BINDINGS,
    Finding,
    check_device,
    check_packages,
    check_window,
    installed_version,
)
from .printing import say

_MARKS = {"fine": "ok", "note": "note", "problem": "PROBLEM"}
_GIB = 1024**3


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Say what is installed, which device will be used and why, and what to run if that is wrong.

    Ends with status 1 where something that is needed or installed does not work: a package missing
    or too old, a torch that does not load or compute, a Qt that cannot open a window on a display.
    A slower device than there could be and a machine without a window end with status 0.
    """
    examination = examine()
    say(json.dumps(examination, indent=2) if as_json else _as_text(examination))
    if not examination["usable"]:
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """Return everything doctor says, as JSON has it."""
    versions, findings = check_packages(metadata.requires("napari-unetseg") or [])
    device, device_finding = check_device()
    findings += [check_window(), device_finding]
    return {
        "version": __version__,
        "usable": not any(finding.state == "problem" for finding in findings),
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "system": _system(),
        "packages": versions | _qt_versions(),
        "device": None if device is None else dataclasses.asdict(device),
        "findings": [dataclasses.asdict(finding) for finding in findings],
    }


def _system() -> dict[str, Any]:
    import psutil

    memory = psutil.virtual_memory()
    return {
        "name": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "threads": os.cpu_count(),
        "memory_gib": round(memory.total / _GIB, 1),
        "memory_free_gib": round(memory.available / _GIB, 1),
        "display": os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"),
    }


def _qt_versions() -> dict[str, str | None]:
    found = {name: installed_version(name) for name in QT_BINDINGS}
    return {name: version for name, version in found.items() if version}


def _as_text(examination: dict[str, Any]) -> str:
    python, system = examination["python"], examination["system"]
    packages = [
        f"{name} {version or '(missing)'}"
        for name, version in sorted(
            examination["packages"].items(), key=lambda item: item[0].lower()
        )
    ]
    lines = [
        f"napari-unetseg {examination['version']}",
        f"  Python    {python['version']} ({python['executable']})",
        f"  System    {system['name']}, {system['cores']} cores, "
        f"{system['memory_free_gib']} of {system['memory_gib']} GiB of memory free",
        *_columns("Packages", packages),
        *_device_lines(examination["device"]),
        "",
        *(line for finding in examination["findings"] for line in _finding_lines(finding)),
    ]
    return "\n".join(lines)


def _columns(title: str, entries: list[str], per_line: int = 3) -> list[str]:
    rows = [entries[i : i + per_line] for i in range(0, len(entries), per_line)]
    return [
        f"  {title if i == 0 else '':<10}" + "".join(f"{entry:<26}" for entry in row).rstrip()
        for i, row in enumerate(rows)
    ]


def _device_lines(report: dict[str, Any] | None) -> list[str]:
    if report is None:
        return []
    device = report["device"]
    return [
        f"  Device    {device['name']} in {device['precision']}"
        f" (torch built for {report['torch_build']}; to choose from: {', '.join(report['found'])})"
    ]


def _finding_lines(finding: dict[str, Any]) -> list[str]:
    found = Finding(**finding)
    lines = [f"{_MARKS[found.state]:<8}{found.sentence}"]
    if found.remedy:
        lines.append(f"{'':<8}→ {found.remedy}")
    return lines
