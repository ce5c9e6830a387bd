"""The program around its verbs: help, version, exit statuses, and the window."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_unetseg import __version__, widgets
from napari_unetseg.cli import app, main
from napari_unetseg.errors import UserError


@pytest.fixture
def no_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.fixture
def window(monkeypatch):
    """Replace the window; return the list of paths it was opened with."""
    opened = []
    module = type(sys)("napari_unetseg.widgets.app")
    module.open_window = lambda paths, sample=None: opened.append(list(paths))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(widgets, "app", module, raising=False)
    monkeypatch.setattr(app, "_QT_BINDINGS", ("sys",))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    return opened


def test_help_lists_every_verb_that_exists(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(verb in said for verb in app.VERBS)


@pytest.mark.parametrize("verb", app.VERBS)
def test_every_verb_has_help_that_says_what_it_does(verb, capsys):
    assert main([verb, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"napari-unetseg {verb}" in said
    assert app.load_verb(verb).__doc__.splitlines()[0].split()[0] in said


def test_help_loads_nothing_heavy():
    program = (
        "import sys, json; from napari_unetseg.cli import main; main(['--help']);"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stderr)}
    heavy = {"torch", "napari", "qtpy", "skimage", "sklearn", "scipy", "dask", "zarr", "tifffile"}
    assert loaded.isdisjoint(heavy)


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["napari-unetseg", __version__]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["info"], "Missing argument"),
        (["info", "a.tif", "--nope"], "No such option"),
        (["--nope"], "No such option"),
        (["segmentate"], "No such command"),
        (["predicd"], "No such command"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(arguments, said, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert line.endswith("--help.")
    assert captured.out == ""


def test_a_sentence_in_several_lines_becomes_one(monkeypatch, capsys):
    def fail(arguments):
        raise UserError("first\n   second")

    monkeypatch.setattr(app, "_run", fail)
    assert main(["info", "x"]) == 2
    assert capsys.readouterr().err == "error: first second\n"


def test_ctrl_c_is_status_130_without_a_traceback(monkeypatch, capsys):
    def interrupted(*, path, as_json=False):
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "load_verb", lambda name: lambda path: interrupted(path=path))
    assert main(["info", "x"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_ctrl_c_while_a_class_is_made_is_no_mistake(monkeypatch, capsys):
    def making_a_class(arguments):
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(app, "_run", making_a_class)
    assert main(["info", "x"]) == 130
    assert capsys.readouterr().err == "stopped\n"


PROGRAM = "import sys; from napari_unetseg.cli import main; {}sys.exit(main())"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize("after_s", [0, 0.05, 0.15, 0.3])
def test_ctrl_c_while_the_program_starts_is_one_word(after_s):
    # Who starts the tests in the background of a shell has them ignore Ctrl+C.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program = PROGRAM.format(heed + "print(flush=True); ")
    child = subprocess.Popen(
        [sys.executable, "-c", program, "doctor"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    child.stdout.readline()
    time.sleep(after_s)
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=60)[1]
    assert (child.returncode, said) == (130, "stopped\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [["--version"], ["baseline", "--list"]])
def test_a_full_disk_is_one_sentence(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(""), *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Not all could be written (No space left on device); ")
    assert done.returncode == 1


def test_who_reads_the_output_may_stop_reading():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(""), "--version"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_defect_of_ours_is_not_hidden(monkeypatch):
    def broken(arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(app, "_run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["info", "x"])


@pytest.mark.parametrize("arguments", [[], ["cells.tif"]])
def test_without_a_display_the_window_is_one_sentence(
    arguments, no_display, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells.tif").write_bytes(b"")
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: There is no display")


def test_without_qt_the_line_that_installs_it_is_told(window, monkeypatch, capsys):
    monkeypatch.setattr(app, "_QT_BINDINGS", ("no_such_binding",))
    assert main([]) == 2
    assert 'pip install "napari-unetseg[all]"' in capsys.readouterr().err


def test_paths_open_in_the_window(window, tmp_path):
    paths = [tmp_path / "a.tif", tmp_path / "b c.png"]
    for path in paths:
        path.write_bytes(b"")
    assert main([str(path) for path in paths]) == 0
    assert main([]) == 0
    assert window == [paths, []]


def test_a_path_that_is_not_there_is_one_sentence(window, capsys):
    assert main(["no/such/cells.tif"]) == 2
    assert "There is no file or folder" in capsys.readouterr().err
    assert window == []


def test_the_console_script_exits_with_the_status(tmp_path):
    program = "import sys; from napari_unetseg.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "info", str(tmp_path / "none.tif")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: There is no file")
