from types import SimpleNamespace

import pytest
import torch

from napari_unetseg.errors import UserError
from napari_unetseg.hardware import NvidiaDriver, has_nvidia_card, nvidia_driver
from napari_unetseg.hardware import torch_install_line as line_for
from napari_unetseg.learning import device as device_module
from napari_unetseg.learning.device import available_devices, choose_device, diagnose

AMPERE = NvidiaDriver(("NVIDIA RTX A4000",), "550.54.14", (12, 4), (8, 6))


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch):
    """No card, no driver and a CPU without bfloat16 units, whatever the tests run on."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device_module, "nvidia_driver", lambda: None)
    monkeypatch.setattr(device_module, "has_nvidia_card", lambda: False)
    monkeypatch.setattr(device_module, "_cpu_has_bfloat16", lambda: False)
    nvidia_driver.cache_clear()
    yield
    nvidia_driver.cache_clear()


def mock_cuda(monkeypatch, *capabilities):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda i: capabilities[i])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"Card {i}")


def test_a_cpu_with_bfloat16_units_uses_them(monkeypatch):
    assert choose_device().precision == "float32"
    monkeypatch.setattr(device_module, "_cpu_has_bfloat16", lambda: True)
    chosen = choose_device()
    assert (chosen.name, chosen.precision, chosen.channels_last) == ("cpu", "bfloat16", True)


@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_bfloat16_units_are_found_by_name_and_not_by_emulation(monkeypatch, processor):
    monkeypatch.undo()
    questions = {
        "x86_64": (torch.cpu, "_is_amx_tile_supported"),
        "aarch64": (torch.ops.mkldnn, "_is_mkldnn_bf16_supported"),
    }
    monkeypatch.setattr(device_module.platform, "machine", lambda: processor)
    for home, question in questions.values():
        monkeypatch.setattr(home, question, lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    assert not device_module._cpu_has_bfloat16()
    monkeypatch.setattr(*questions[processor], lambda: True)
    assert device_module._cpu_has_bfloat16()


def test_a_torch_that_cannot_be_asked_for_bfloat16_computes_in_float32(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(device_module.platform, "machine", lambda: "x86_64")
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert not device_module._cpu_has_bfloat16()


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float16"), ((6, 1), "float32")],
)
def test_a_cuda_card_is_used_in_the_precision_it_has_units_for(monkeypatch, capability, precision):
    mock_cuda(monkeypatch, capability)
    chosen = choose_device("auto")
    assert (chosen.name, chosen.kind, chosen.precision) == ("cuda", "cuda", precision)
    assert "Card 0" in chosen.reason


def test_one_of_several_cards_can_be_asked_for(monkeypatch):
    mock_cuda(monkeypatch, (9, 0), (7, 0))
    assert available_devices() == ("cpu", "cuda:0", "cuda:1")
    chosen = choose_device("cuda:1")
    assert (chosen.name, chosen.kind, chosen.precision) == ("cuda:1", "cuda", "float16")
    with pytest.raises(UserError, match=r"'cuda:2' is not there.*cpu, cuda:0, cuda:1"):
        choose_device("cuda:2")


def test_a_mac_uses_its_graphics_processor_in_float32(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    chosen = choose_device()
    assert (chosen.name, chosen.precision, chosen.channels_last) == ("mps", "float32", False)
    assert choose_device("cpu").name == "cpu"


@pytest.mark.parametrize("request_", ["gpu", "cuda:x", "", "cuda:"])
def test_an_unknown_kind_of_device_is_explained(request_):
    with pytest.raises(UserError, match="choose auto, cpu, cuda"):
        choose_device(request_)


def test_a_missing_device_says_what_is_there_and_what_to_do(monkeypatch):
    with pytest.raises(UserError, match=r"offers cpu.*no NVIDIA card.*--device auto"):
        choose_device("cuda")
    with pytest.raises(UserError, match=r"Apple silicon.*--device auto"):
        choose_device("mps")
    monkeypatch.setattr(device_module, "nvidia_driver", lambda: AMPERE)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(UserError, match=r"RTX A4000.*without CUDA; run pip install torch.*cu126"):
        choose_device("cuda")


def test_auto_says_when_a_card_lies_idle(monkeypatch):
    assert "doctor" not in choose_device().reason
    monkeypatch.setattr(device_module, "nvidia_driver", lambda: AMPERE)
    chosen = choose_device()
    assert chosen.name == "cpu"
    assert "RTX A4000" in chosen.reason
    assert "napari-unetseg doctor" in chosen.reason


@pytest.mark.parametrize(
    ("built_for", "driver", "problem", "remedy"),
    [
        (None, AMPERE, "without CUDA", "run pip install torch --index-url https://download.py"),
        ("13.0", AMPERE, "needs a newer driver, for CUDA 13.0", "whl/cu126"),
        ("12.6", AMPERE, "cannot start it", "whl/cu126"),
        ("12.6", NvidiaDriver(("GT 710",), "470.1", (11, 4)), "too old", "nvidia.com/drivers"),
    ],
)
def test_a_card_that_is_not_used_is_diagnosed(monkeypatch, built_for, driver, problem, remedy):
    monkeypatch.setattr(torch.version, "cuda", built_for)
    monkeypatch.setattr(device_module, "nvidia_driver", lambda: driver)
    report = diagnose()
    assert report.device.name == "cpu"
    assert report.seconds > 0
    assert problem in report.problem
    assert remedy in report.remedy


def test_a_card_without_a_driver_is_diagnosed(monkeypatch):
    monkeypatch.setattr(device_module, "has_nvidia_card", lambda: True)
    report = diagnose()
    assert "no driver that works" in report.problem
    assert "nvidia.com/drivers" in report.remedy


def test_a_card_that_does_not_compute_is_diagnosed(monkeypatch):
    mock_cuda(monkeypatch, (9, 0))
    monkeypatch.setattr(device_module, "nvidia_driver", lambda: AMPERE)

    def no_kernel(*_, **__):
        raise RuntimeError("CUDA error: no kernel image is available\nmore")

    monkeypatch.setattr(torch, "rand", no_kernel)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *_: self)
    report = diagnose()
    assert report.seconds is None
    assert report.problem == "Computing on cuda failed: CUDA error: no kernel image is available"
    assert "pip install torch --index-url" in report.remedy


def test_a_machine_without_a_card_has_no_problem_and_still_a_next_step():
    report = diagnose()
    assert report.problem is None
    assert report.found == ("cpu",)
    assert report.remedy


@pytest.mark.parametrize(
    ("cuda", "capability", "tag"),
    [
        ((13, 1), (9, 0), "cu130"),
        ((13, 0), (6, 1), "cu126"),  # CUDA 13 has no kernels before Turing
        ((12, 9), (12, 0), "cu128"),  # CUDA 12.6 has none for Blackwell
        ((12, 8), (8, 6), "cu126"),
        ((12, 2), (0, 0), "cu126"),
        ((11, 8), (8, 6), "cu118"),
        ((11, 4), (8, 6), None),
        ((0, 0), (0, 0), None),
    ],
)
def test_the_torch_build_fits_driver_and_card(cuda, capability, tag):
    line = line_for(NvidiaDriver(("Card",), "1.0", cuda, capability))
    assert line == (
        tag
        and f"pip install torch --index-url https://download.pytorch.org/whl/{tag} "
        "--force-reinstall"
    )


def test_without_a_card_the_small_cpu_build_is_installed():
    assert "whl/cpu" in line_for(None)


NVIDIA_SMI = """#!/bin/sh
case "$*" in
    *compute_cap*) printf '8.6\\n7.5\\n' ;;
    *name,driver_version*) printf 'NVIDIA RTX A4000, 550.54.14\\nTesla T4, 550.54.14\\n' ;;
    *) echo '| NVIDIA-SMI 550.54.14   Driver Version: 550.54.14   CUDA Version: 12.4     |' ;;
esac
"""


def install_nvidia_smi(folder, monkeypatch, script):
    program = folder / "nvidia-smi"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_driver_is_read_from_nvidia_smi(tmp_path, monkeypatch):
    install_nvidia_smi(tmp_path, monkeypatch, NVIDIA_SMI)
    driver = nvidia_driver()
    assert driver == NvidiaDriver(("NVIDIA RTX A4000", "Tesla T4"), "550.54.14", (12, 4), (7, 5))
    assert str(driver) == "NVIDIA RTX A4000, Tesla T4 (driver 550.54.14, CUDA up to 12.4)"


def test_an_nvidia_smi_that_reaches_no_driver_is_no_driver(tmp_path, monkeypatch):
    install_nvidia_smi(tmp_path, monkeypatch, "#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    assert nvidia_driver() is None


def test_a_machine_without_nvidia_smi_has_no_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia_driver() is None


@pytest.mark.parametrize(
    ("vendor", "kind", "seen"),
    [("0x10de", "0x030000", True), ("0x10de", "0x040300", False), ("0x8086", "0x030000", False)],
)
def test_linux_tells_of_a_card_without_a_driver(tmp_path, monkeypatch, vendor, kind, seen):
    device = tmp_path / "0000:01:00.0"
    device.mkdir()
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "class").write_text(f"{kind}\n")
    monkeypatch.setattr("napari_unetseg.hardware._PCI_DEVICES", tmp_path)
    assert has_nvidia_card() is seen


def test_rocm_counts_as_cuda_in_bfloat16(monkeypatch):
    mock_cuda(monkeypatch, (7, 0))
    monkeypatch.setattr(torch, "version", SimpleNamespace(hip="6.4", cuda=None))
    assert choose_device().precision == "bfloat16"
