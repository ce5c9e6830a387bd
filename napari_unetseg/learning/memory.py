"""How much memory there is to compute with."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

from .device import Device

_CGROUPS = Path("/sys/fs/cgroup")


def free_bytes(device: Device) -> int:
    """Return what can still be allocated on the device, in bytes."""
    if device.kind == "cuda":
        cached = torch.cuda.memory_reserved(device.name) - torch.cuda.memory_allocated(device.name)
        return int(torch.cuda.mem_get_info(device.name)[0]) + cached
    # Apple's graphics processor shares the memory of the machine.
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
