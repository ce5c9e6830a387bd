import importlib
import importlib.util
from pathlib import Path

import pytest

import napari_unetseg

npe2 = pytest.importorskip("npe2", reason="npe2 comes with napari")

MANIFEST = Path(napari_unetseg.__file__).with_name("napari.yaml")


@pytest.fixture(scope="module")
def manifest():
    return npe2.PluginManifest.from_file(MANIFEST)


def test_the_manifest_is_valid_and_is_the_package_s_own(manifest):
    assert manifest.name == "napari-unetseg"
    assert npe2.PluginManifest.from_distribution("napari-unetseg").name == manifest.name


def test_every_command_points_at_a_leaf_module(manifest):
    for command in manifest.contributions.commands or ():
        module, _, _ = str(command.python_name).partition(":")
        spec = importlib.util.find_spec(module)
        assert spec is not None, f"{command.id} points at {module}, which is not there"
        assert spec.submodule_search_locations is None


@pytest.mark.window
def test_every_command_can_be_imported(manifest):
    for command in manifest.contributions.commands or ():
        module, _, name = str(command.python_name).partition(":")
        assert callable(getattr(importlib.import_module(module), name))
