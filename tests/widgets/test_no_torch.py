from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.window

BUILD_EVERYTHING = """
import sys
import napari
from napari_unetseg.widgets.dock import SegmentationDock
viewer = napari.Viewer(show=False)
viewer.window.add_dock_widget(SegmentationDock(viewer))
viewer.open_sample("napari-unetseg", "nuclei")
for module in ("data_step", "baselines_step", "train_step", "correct_step", "export_step"):
    assert f"napari_unetseg.widgets.{module}" in sys.modules, module
heavy = [name for name in ("torch", "napari_unetseg.learning") if name in sys.modules]
print("HEAVY", heavy)
viewer.close()
"""


def test_building_every_widget_and_opening_a_sample_imports_no_torch(tmp_path):
    script = tmp_path / "build.py"
    script.write_text(BUILD_EVERYTHING, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "HEAVY []" in done.stdout
