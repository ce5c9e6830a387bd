"""Which processor a job runs on, in which precision, and why."""

from __future__ import annotations

import platform
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch

from napari_unetseg.errors import UserError
from napari_unetseg.hardware import (
    DRIVER_PAGE,
    NvidiaDriver,
    has_nvidia_card,
    newest_torch_install_line,
    nvidia_driver,
    torch_install_line,
)

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]

#: CUDA cards have bfloat16 units from Ampere on and float16 units from Volta on.
_BFLOAT16_CAPABILITY = (8, 0)
_FLOAT16_CAPABILITY = (7, 0)


@dataclass(frozen=True, slots=True)
class Device:
    """Where and how a network runs.

    Attributes
    ----------
    name : str
        As torch wants it: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    precision : {"float32", "bfloat16", "float16"}
        What autocast should use; "float32" means no autocast. Training in float16 needs a gradient
        scaler.
    channels_last : bool
        Whether that memory layout is the faster one here.
    reason : str
        One sentence: why this device, in this precision.
    """

    name: str
    precision: Precision
    channels_last: bool
    reason: str

    @property
    def kind(self) -> str:
        """The type torch's autocast wants: ``"cpu"``, ``"cuda"`` or ``"mps"``."""
        return self.name.partition(":")[0]


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What `choose_device` would do on this machine, and what would make it faster.

    Attributes
    ----------
    device : Device
        What "auto" chooses.
    found : tuple of str
        Every device that can be asked for, ``("cpu", "cuda:0")``.
    torch_build : str
        What the installed torch was built for: ``"CPU"``, ``"CUDA 13.0"``, ``"ROCm 6.4"``.
    driver : NvidiaDriver or None
        As ``nvidia-smi`` describes it.
    seconds : float or None
        What a small convolution took on `device`, the second time; None where it failed.
    problem : str or None
        What is wrong: a graphics card that is there and not used, a device that does not compute.
    remedy : str
        The line to run, or the thing to do, against `problem`, or else to use another device.
    """

    device: Device
    found: tuple[str, ...]
    torch_build: str
    driver: NvidiaDriver | None
    seconds: float | None
    problem: str | None
    remedy: str


def choose_device(request: str = "auto") -> Device:
    """Return the device to use.

    Parameters
    ----------
    request : str
        ``"auto"`` takes CUDA, else Apple's MPS, else the CPU; ``"cpu"``, ``"cuda"``, ``"cuda:1"``
        and ``"mps"`` insist.

    Raises
    ------
    UserError
        If the requested device is not there, with what is and the line that would change it.
    """
    name = request.strip().lower()
    if name == "auto":
        return _best()
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise UserError(
            f"There is no kind of device called '{request}'; choose auto, cpu, cuda, "
            "cuda:1 (one of several cards) or mps."
        )
    found = available_devices()
    if name not in (*found, *(("cuda",) if "cuda:0" in found else ())):
        raise UserError(_missing(name, found))
    return _describe(name)


def available_devices() -> tuple[str, ...]:
    """Return the names of all devices torch can use here, the CPU first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unusable driver: `diagnose` says it in plain words
        cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = ("mps",) if torch.backends.mps.is_available() else ()
    return ("cpu", *(f"cuda:{i}" for i in range(cards)), *mps)


def diagnose() -> DeviceReport:
    """Say which device is used, try it, and say what stands in the way of a better one."""
    device, found, driver = _best(), available_devices(), nvidia_driver()
    seconds, failure = _try(device)
    problem, remedy = _obstacle(driver) if found == ("cpu",) else (None, None)
    if failure is not None:
        problem = f"Computing on {device.name} failed: {failure}"
        remedy = torch_install_line(driver) if device.kind != "mps" else "pip install -U torch"
    return DeviceReport(
        device,
        found,
        _torch_build(),
        driver,
        seconds,
        problem,
        remedy or _another_device(found),
    )


def _try(device: Device) -> tuple[float | None, str | None]:
    """Convolve a small image twice; return the seconds the second time took, or what failed."""
    try:
        layer = torch.nn.Conv2d(1, 16, 3, padding=1).to(device.name)
        image = torch.rand(1, 1, 256, 256, device=device.name)
        for _ in range(2):
            started = time.perf_counter()
            with torch.inference_mode():
                float(layer(image).sum())  # a number on the CPU: waits for the device
        return time.perf_counter() - started, None
    except RuntimeError as error:
        return None, str(error).partition("\n")[0]


def _another_device(found: tuple[str, ...]) -> str:
    """Say how to use another device than the one chosen, where nothing is wrong."""
    if len(found) > 1:
        others = " or ".join(f"--device {name}" for name in ("cpu", *found[2:]))
        return f"to use another, add {others} to train or predict"
    if platform.system() == "Darwin":
        return "for a graphics processor, a Mac with Apple silicon is needed"
    return (
        f"if this machine has an NVIDIA card, install its driver ({DRIVER_PAGE}), then run "
        f"{newest_torch_install_line()}"
    )


def _best() -> Device:
    found = available_devices()
    if "cuda:0" in found:
        return _describe("cuda")
    if "mps" in found:
        return _describe("mps")
    device = _cpu("torch finds no graphics processor, so the CPU computes,")
    driver = nvidia_driver()
    if driver is None:
        return device
    unused = f"{driver} is not used: napari-unetseg doctor says why."
    return replace(device, reason=f"{device.reason} {unused}")


def _describe(name: str) -> Device:
    if name == "cpu":
        return _cpu("The CPU was asked for; it computes")
    if name == "mps":
        return Device(
            "mps", "float32", False, "Apple's graphics processor is there, used in float32."
        )
    return _cuda(name)


def _cpu(why: str) -> Device:
    # Without bf16 units bfloat16 is emulated, slower than float32; channels_last pays either way.
    if _cpu_has_bfloat16():
        return Device("cpu", "bfloat16", True, f"{why} in bfloat16, for which it has units.")
    return Device("cpu", "float32", True, f"{why} in float32, as it has no bfloat16 units.")


def _cuda(name: str) -> Device:
    index = int(name.partition(":")[2] or 0)
    capability = torch.cuda.get_device_capability(index)
    precision: Precision = "float32"
    if torch.version.hip or capability >= _BFLOAT16_CAPABILITY:
        precision = "bfloat16"
    elif capability >= _FLOAT16_CAPABILITY:
        precision = "float16"
    title = torch.cuda.get_device_name(index)
    return Device(
        name,
        precision,
        precision != "float32",
        f"The graphics card {title} is there (compute capability "
        f"{capability[0]}.{capability[1]}), used in {precision}.",
    )


def _cpu_has_bfloat16() -> bool:
    """Tell whether the CPU has bfloat16 instructions, by whatever this torch can be asked."""
    if not _says_yes(torch.backends.mkldnn, "is_available"):
        return False
    if platform.machine().lower() in {"aarch64", "arm64"}:
        return _says_yes(torch.ops.mkldnn, "_is_mkldnn_bf16_supported")
    # oneDNN answers yes for emulation too on x86, so the instruction sets are asked for by name.
    return any(
        _says_yes(torch.cpu, question)
        for question in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )


def _says_yes(home: object, question: str) -> bool:
    """Ask a function of torch's that not every version has."""
    ask: Callable[[], bool] | None = getattr(home, question, None)
    return bool(ask()) if ask is not None else False


def _torch_build() -> str:
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    return f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"


def _missing(name: str, found: tuple[str, ...]) -> str:
    sentence = f"The device '{name}' is not there (this machine offers {', '.join(found)})"
    if name == "mps":
        return f"{sentence}: mps needs a Mac with Apple silicon, so use --device auto."
    if "cuda:0" in found:
        return f"{sentence}: ask for one of those."
    problem, remedy = _obstacle(nvidia_driver())
    if problem is None:
        return f"{sentence}: no NVIDIA card was found, so use --device auto."
    return f"{sentence}: {problem}; {remedy}."


def _obstacle(driver: NvidiaDriver | None) -> tuple[str | None, str | None]:
    """Return why CUDA is not available, and what to do; (None, None) where there is no card."""
    if driver is None:
        if not has_nvidia_card():
            return None, None
        return "an NVIDIA card is there, but no driver that works", (
            f"install its driver ({DRIVER_PAGE}), restart, and run napari-unetseg doctor"
        )
    line = torch_install_line(driver)
    if line is None:
        problem = f"the driver of {driver} is too old for any torch this package runs on"
        return problem, f"update it ({DRIVER_PAGE}), restart, and run napari-unetseg doctor"
    return f"{driver} is there, but {_mismatch(driver)}", f"run {line}"


def _mismatch(driver: NvidiaDriver) -> str:
    if torch.version.cuda is None:
        return f"the installed torch {torch.__version__} was built without CUDA"
    if driver.cuda[0] < int(torch.version.cuda.partition(".")[0]):
        return f"the installed torch needs a newer driver, for CUDA {torch.version.cuda}"
    return "torch cannot start it (try a restart of the machine first)"
