import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = "Dependencies point one way"

pytest.importorskip("importlinter", reason="import-linter comes with the extra 'dev'")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package that a test may break."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "napari_unetseg", folder / "napari_unetseg", ignore=ignored)
    return folder


def lint(folder):
    code = "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-logo"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_package_keeps_its_contracts(copy):
    status, report = lint(copy)
    assert status == 0, report
    assert " KEPT" in report


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("images/stack.py", "import napari_unetseg.annotations", LAYERS),
        ("project/__init__.py", "import napari_unetseg.jobs", LAYERS),
        ("workspace/__init__.py", "import napari_unetseg.widgets", LAYERS),
        ("errors.py", "import napari_unetseg.config", LAYERS),
        (
            "images/stack.py",
            "def f():\n    import torch",
            "Only networks, learning and the job's child process import torch",
        ),
        (
            "widgets/__init__.py",
            "def f():\n    from napari_unetseg.learning import train",
            "Only the job's child process, comparison and the command line reach learning",
        ),
        ("cli/app.py", "import napari_unetseg.networks", "Only learning builds networks"),
        (
            "workspace/__init__.py",
            "import napari_unetseg.jobs.child",
            "The job's child is a program: nothing imports it",
        ),
        ("workspace/__init__.py", "import qtpy", "Only widgets know Qt and napari"),
        ("cli/app.py", "from napari.layers import Labels", "Only widgets know Qt and napari"),
        (
            "cli/app.py",
            "import napari_unetseg.widgets.dock",
            "The command line opens the window through widgets.app alone",
        ),
        ("misc.py", "", LAYERS),  # a module without a place among the layers
    ],
)
def test_breaking_a_rule_fails(copy, module, statement, contract):
    path = copy / "napari_unetseg" / module
    original = path.read_text() if path.exists() else None
    path.write_text(f"{original or ''}\n{statement}\n")
    try:
        status, report = lint(copy)
    finally:
        path.unlink() if original is None else path.write_text(original)
    assert status == 1, report
    assert f"{contract} BROKEN" in report
