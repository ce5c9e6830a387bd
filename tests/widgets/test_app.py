"""The program's own window."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.window

_OPENED = """
import gc, napari
from napari_unetseg.widgets import app
def run():
    looked_through = len(gc.get_objects())
    print(gc.get_freeze_count(), looked_through, len(napari.current_viewer().window.dock_widgets))
    napari.current_viewer().close()
napari.run = run
app.open_window()
"""


def test_what_stays_until_the_end_is_spared_from_garbage_collection(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path))
    ran = subprocess.run([sys.executable, "-c", _OPENED], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    frozen, looked_through, docks = map(int, ran.stdout.split()[-3:])
    assert docks == 1
    assert frozen > 100_000
    assert looked_through < frozen / 10
