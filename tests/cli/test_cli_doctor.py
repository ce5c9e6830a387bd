import json
import os
import subprocess
import sys

import pytest
import torch

from napari_unetseg.cli import findings, main
from napari_unetseg.cli.findings import check_packages, check_window
from napari_unetseg.hardware import NvidiaDriver
from napari_unetseg.learning import device as device_module

DRIVER = NvidiaDriver(("NVIDIA RTX A4000",), "550.54.14", (12, 4), (8, 6))
RUN = "from napari_unetseg.cli import main; raise SystemExit(main())"
TORCH_LINE = "pip install torch --index-url https://download.pytorch.org/whl/cu126"


@pytest.fixture(autouse=True)
def machine_without_a_card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device_module, "has_nvidia_card", lambda: False)
    give_driver(monkeypatch, None)


def give_driver(monkeypatch, driver):
    monkeypatch.setattr(device_module, "nvidia_driver", lambda: driver)
    monkeypatch.setattr(findings, "nvidia_driver", lambda: driver)


def examine(capsys):
    status = main(["doctor", "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_machine_without_a_card_is_usable_and_told_why_the_cpu_is_used(capsys):
    status = main(["doctor"])
    shown = capsys.readouterr().out
    assert status == 0
    assert "Device    cpu in" in shown
    assert "finds no graphics processor" in shown
    assert "pip install torch --index-url" in shown
    assert f"torch {torch.__version__}" in shown


def test_json_holds_everything(capsys):
    status, answer = examine(capsys)
    assert status == 0
    assert answer["usable"] is True
    assert answer["python"]["executable"] == sys.executable
    assert answer["packages"]["torch"] == torch.__version__
    assert answer["system"]["cores"] >= 1
    assert answer["device"]["device"]["name"] == "cpu"
    assert {finding["topic"] for finding in answer["findings"]} == {"window", "device"}


def test_a_cuda_card_is_named(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA RTX A4000")
    monkeypatch.setattr(device_module, "_try", lambda _: (0.001, None))
    give_driver(monkeypatch, DRIVER)
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "Device    cuda in bfloat16" in shown
    assert "The graphics card NVIDIA RTX A4000 is there" in shown
    assert "--device cpu or --device cuda:1" in shown


def test_a_mac_with_mps_is_recognised(monkeypatch, capsys):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(device_module, "_try", lambda _: (0.001, None))
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "Device    mps in float32" in shown
    assert "--device cpu" in shown


@pytest.mark.parametrize(
    ("built_for", "why"),
    [(None, "was built without CUDA"), ("13.0", "needs a newer driver, for CUDA 13.0")],
)
def test_a_torch_that_does_not_fit_the_driver_gets_the_line_that_does(
    monkeypatch, capsys, built_for, why
):
    monkeypatch.setattr(torch.version, "cuda", built_for)
    give_driver(monkeypatch, DRIVER)
    assert main(["doctor"]) == 0  # slower than it could be, and usable
    shown = capsys.readouterr().out
    assert "The CPU is used: NVIDIA RTX A4000" in shown
    assert why in shown
    assert TORCH_LINE in shown


def test_a_card_that_fails_to_compute_ends_with_status_1(monkeypatch, capsys):
    monkeypatch.setattr(device_module, "_try", lambda _: (None, "no kernel image is available"))
    status, answer = examine(capsys)
    assert status == 1
    assert answer["usable"] is False
    assert "no kernel image" in answer["findings"][-1]["sentence"]


def test_a_torch_that_does_not_load_ends_with_status_1_and_the_line_for_this_driver(
    monkeypatch, capsys
):
    give_driver(monkeypatch, DRIVER)
    monkeypatch.setitem(sys.modules, "napari_unetseg.learning.device", None)
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "PROBLEM torch cannot be loaded" in shown
    assert TORCH_LINE in shown


def test_missing_and_outdated_packages_are_named_with_the_line_that_installs_them(monkeypatch):
    give_driver(monkeypatch, DRIVER)
    installed = {"numpy": "1.24.0", "zarr": "3.1.6"}
    monkeypatch.setattr(findings, "installed_version", installed.get)
    asked = ["numpy>=1.26", "torch>=2.4", "zarr>=3", 'PyQt6>=6; extra == "all"']
    versions, problems = check_packages(asked)
    assert versions == {"numpy": "1.24.0", "torch": None, "zarr": "3.1.6"}
    assert [problem.sentence for problem in problems] == [
        "numpy is 1.24.0, and >=1.26 is needed.",
        "torch is not installed.",
    ]
    assert problems[0].remedy == 'pip install "numpy>=1.26"'
    assert problems[1].remedy.startswith(TORCH_LINE)


@pytest.fixture
def on_linux(monkeypatch):
    monkeypatch.setattr(findings.sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setattr(findings.importlib.util, "find_spec", lambda name: name == "PySide6")
    monkeypatch.setattr(findings, "installed_version", lambda _: "6.9.0")
    monkeypatch.setattr(findings, "qt_load_failure", lambda: None)


def test_without_a_qt_binding_the_line_that_brings_one_is_shown(monkeypatch):
    monkeypatch.setattr(findings.importlib.util, "find_spec", lambda _: None)
    finding = check_window()
    assert finding.state == "note"  # a server needs none
    assert finding.remedy == 'pip install "napari-unetseg[all]"'


def test_a_qt_that_loads_on_a_display_is_fine(on_linux):
    finding = check_window()
    assert finding.state == "fine"
    assert "PySide6 6.9.0" in finding.sentence


def test_without_a_display_the_command_line_is_pointed_to(on_linux, monkeypatch):
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    finding = check_window()
    assert finding.state == "note"
    assert "no display" in finding.sentence


@pytest.mark.parametrize("display", [True, False])
def test_missing_system_libraries_get_the_apt_line(on_linux, monkeypatch, display):
    if not display:
        monkeypatch.delenv("DISPLAY")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    def load(library):
        if library in {"libxcb-cursor.so.0", "libEGL.so.1"}:
            raise OSError(f"{library}: cannot open shared object file")

    monkeypatch.setattr(findings.ctypes, "CDLL", load)
    failure = "libEGL.so.1: cannot open shared object file: No such file or directory"
    monkeypatch.setattr(findings, "qt_load_failure", lambda: failure)
    finding = check_window()
    assert finding.state == ("problem" if display else "note")
    assert finding.remedy == (
        "sudo apt-get update && sudo apt-get install -y libegl1 libxcb-cursor0"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries of Linux")
def test_the_attempt_to_load_qt_names_what_is_missing(tmp_path, monkeypatch):
    package = tmp_path / "qtpy"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "QtWidgets.py").write_text(
        "raise ImportError('libEGL.so.1: cannot open shared object file: No such file')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert findings.qt_load_failure() == "libEGL.so.1: cannot open shared object file: No such file"


def test_doctor_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-c", RUN, "doctor"],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert done.returncode in (0, 1)
    assert done.stderr == ""
    assert "Device" in done.stdout
