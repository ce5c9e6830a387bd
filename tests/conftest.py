"""What every test shares: real data where it is, and a session that leaves no process behind."""

import importlib.util
import os
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")

#: How long processes have to end by themselves after the last test.
GRACE_S = 10

# Before torch is imported, here or in a process that a test starts. Two threads that wait for each
# other take minutes for what one does in seconds, where another program uses a core.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config):
    """Refuse to call a run "without Qt" that has one."""
    found = [name for name in QT_BINDINGS if importlib.util.find_spec(name)]
    if os.environ.get("UNETSEG_WITHOUT_QT") and found:
        raise pytest.UsageError(f"UNETSEG_WITHOUT_QT is set, and {', '.join(found)} is installed.")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real stacks; see CONTRIBUTING.md."""
    folder = Path(os.environ.get("UNETSEG_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"there is no real data at {folder}; UNETSEG_DATA names the folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_process_outlives_the_tests():
    """Fail where a test's child process is still there after the last test."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    started = [
        child
        for child in psutil.Process().children(recursive=True)
        if child.pid not in before and not _ends_with_python(child)
    ]
    _, alive = psutil.wait_procs(started, timeout=GRACE_S)
    described = [_describe(child) for child in alive]
    assert not described, f"processes that outlived the tests: {described}"


def _ends_with_python(child: psutil.Process) -> bool:
    """Tell whether it is the one with which multiprocessing counts what is shared."""
    try:
        return any("multiprocessing.resource_tracker" in part for part in child.cmdline())
    except psutil.Error:
        return False


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {process.status()} {' '.join(process.cmdline())}"
    except psutil.NoSuchProcess:
        return f"{process.pid} ended"
