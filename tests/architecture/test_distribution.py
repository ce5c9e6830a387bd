import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import napari_unetseg
from napari_unetseg.config import shipped_models

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling", reason="hatchling comes with the extra 'test'")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_the_package_its_manifest_and_its_types(wheel):
    names = set(wheel.namelist())
    assert {"napari_unetseg/napari.yaml", "napari_unetseg/py.typed"} <= names
    sources = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "napari_unetseg").rglob("*.py")
    }
    assert sources <= names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"napari_unetseg", f"napari_unetseg-{napari_unetseg.__version__}.dist-info"}


def test_the_wheel_offers_the_program_and_the_plugin(wheel):
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(entry_points).decode()
    assert "napari-unetseg = napari_unetseg.cli:main" in text
    assert "[napari.manifest]\nnapari-unetseg = napari_unetseg:napari.yaml" in text


def test_the_base_brings_no_qt_binding_and_the_extra_all_brings_one():
    requirements = metadata.requires("napari-unetseg")
    bindings = [line for line in requirements if re.match(r"(PyQt|PySide)", line, re.IGNORECASE)]
    assert bindings
    assert all("extra ==" in line for line in bindings)


def test_whatever_is_imported_is_a_declared_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for_people = [line for name in set(extras) - {"test", "dev"} for line in extras[name]]
    declared = {
        re.split(r"[\[<>=!~; ]", line)[0].lower().replace("_", "-")
        for line in project["dependencies"] + for_people
    }
    homes = metadata.packages_distributions()
    undeclared = {
        name
        for name in imported_by_the_package() - set(sys.stdlib_module_names) - {"napari_unetseg"}
        if not {home.lower().replace("_", "-") for home in homes.get(name, [name])} & declared
    }
    assert undeclared == set()


def imported_by_the_package():
    names = set()
    for path in (ROOT / "napari_unetseg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.partition(".")[0])
    return names


def test_the_installed_version_is_the_package_version():
    assert metadata.version("napari-unetseg") == napari_unetseg.__version__


def test_every_dependency_is_pinned_exactly():
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    pinned = {name.lower().replace("_", "-") for name in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for group in project["optional-dependencies"].values() for line in group]
    wanted = {
        re.split(r"[\[<>=!~; ]", line)[0].lower().replace("_", "-")
        for line in project["dependencies"] + extras
    }
    assert wanted - {"napari-unetseg"} <= pinned
    assert pins["torch"] == "2.13.0"
    assert not [pin for pin in pins.values() if not re.fullmatch(r"[0-9][0-9a-z.]*", pin)]


def test_every_version_of_torch_named_is_the_same():
    makefile = (ROOT / "Makefile").read_text()
    assert "TORCH := torch==2.13.0" in makefile
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


def test_the_wheel_holds_the_models_and_is_small(wheel):
    names = set(wheel.namelist())
    for model, folder in shipped_models().items():
        for file in folder.iterdir():
            assert f"napari_unetseg/models/{model}.unet/{file.name}" in names
    assert sum(part.compress_size for part in wheel.infolist()) < 25_000_000
