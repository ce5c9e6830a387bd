"""What importing a part of the package costs and needs, each in an interpreter of its own."""

import json
import pkgutil
import subprocess
import sys

import pytest

import napari_unetseg

HEAVY = {"dask", "napari", "numpy", "pydantic", "qtpy", "scipy", "skimage", "torch", "zarr"}
QT_AND_NAPARI = ("PyQt5", "PyQt6", "PySide2", "PySide6", "magicgui", "napari", "qtpy", "superqt")
WINDOW = {"widgets"}
TORCH = {"learning", "networks"}


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


def imported_by(code):
    """Run `code` in a fresh interpreter; return the top-level names of what it imported."""
    done = run(f"{code}\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def parts(*, leave_out=frozenset()):
    names = {module.name for module in pkgutil.iter_modules(napari_unetseg.__path__)}
    return sorted(names - leave_out)


def test_importing_the_package_imports_nothing_heavy():
    assert not imported_by("import napari_unetseg") & HEAVY


def test_the_public_names_are_all_there():
    for name in napari_unetseg.__all__:
        assert getattr(napari_unetseg, name) is not None
    assert set(napari_unetseg.__all__) <= set(dir(napari_unetseg))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = napari_unetseg.nonsense


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_answers_without_torch_and_napari(arguments):
    code = f"from napari_unetseg.cli import main\nassert main({arguments!r}) == 0"
    assert not imported_by(code) & {"napari", "qtpy", "skimage", "torch"}


@pytest.mark.parametrize("part", parts(leave_out=WINDOW))
def test_the_core_imports_without_qt_and_napari_and_learning_alone_imports_torch(part):
    block = f"import sys\nfor name in {QT_AND_NAPARI!r}: sys.modules[name] = None\n"
    imported = imported_by(f"{block}import napari_unetseg.{part}")
    assert ("torch" in imported) == (part in TORCH)
