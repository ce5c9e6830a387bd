"""The script that installs system packages, against a make-believe apt that only writes down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "system_packages.sh"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="apt is on Linux")


class Machine:
    """A PATH of stubs: some packages installed, some known to apt, one kind of user."""

    def __init__(self, folder, *, installed=(), known=(), user="0", sudo=False):
        self.folder = folder
        self.log = folder / "log"
        for program in ("bash", "env", "uname"):
            (folder / program).symlink_to(f"/usr/bin/{program}")
        self.stub("dpkg-query", self._case("$4", installed, yes="printf installed"))
        self.stub("apt-cache", self._case("$2", known, yes="exit 0"))
        self.stub("apt-get", f'echo "apt-get $*" >> {self.log}')
        self.stub("id", f"echo {user}")
        self.stub("sudo", 'if [ "$1" = -n ]; then exit 0; fi; exec "$@"' if sudo else "exit 1")

    def stub(self, name, body):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def _case(self, argument, names, yes):
        return f'case "{argument}" in {"|".join([*names, "-"])}) {yes} ;; *) exit 1 ;; esac'

    def run(self, *arguments):
        done = subprocess.run(
            ["/usr/bin/bash", str(SCRIPT), *arguments],
            env={"PATH": str(self.folder), "HOME": os.environ.get("HOME", "/")},
            capture_output=True,
            text=True,
            check=False,
        )
        installs = self.log.read_text().splitlines() if self.log.exists() else []
        return done, installs


def packages():
    text = SCRIPT.read_text()
    start = text.index("WINDOW_PACKAGES=(") + len("WINDOW_PACKAGES=(")
    return text[start : text.index(")", start)].split()


def test_a_machine_that_has_everything_is_left_alone(tmp_path):
    done, installs = Machine(tmp_path, installed=packages()).run("window")
    assert (done.returncode, installs, done.stderr) == (0, [], "")


def test_root_installs_what_is_missing_and_nothing_else(tmp_path):
    installed = set(packages()) - {"xvfb", "libxcb-cursor0"}
    done, installs = Machine(tmp_path, installed=installed, known=packages()).run("window")
    assert done.returncode == 0, done.stderr
    assert installs == [
        "apt-get -qq update",
        "apt-get -qq install -y --no-install-recommends xvfb libxcb-cursor0",
    ]


def test_libraries_renamed_for_64_bit_time_are_recognised_and_installed(tmp_path):
    others = set(packages()) - {"libglib2.0-0"}
    (tmp_path / "new").mkdir()
    new = Machine(tmp_path / "new", installed={*others, "libglib2.0-0t64"})
    assert new.run("window")[1] == []
    (tmp_path / "bare").mkdir()
    bare = Machine(tmp_path / "bare", installed=others, known={"libglib2.0-0t64"})
    assert bare.run("window")[1][-1].endswith("--no-install-recommends libglib2.0-0t64")


def test_passwordless_sudo_is_used(tmp_path):
    machine = Machine(tmp_path, installed=set(packages()) - {"xvfb"}, user="1000", sudo=True)
    done, installs = machine.run("window")
    assert done.returncode == 0, done.stderr
    assert installs[-1].endswith("xvfb")


def test_without_the_right_to_install_the_line_to_run_is_printed(tmp_path):
    machine = Machine(tmp_path, installed=set(packages()) - {"xvfb", "libegl1"}, user="1000")
    done, installs = machine.run("window")
    assert (done.returncode, installs) == (1, [])
    assert "sudo apt-get update && sudo apt-get install -y xvfb libegl1\n" in done.stderr


def test_a_python_without_venv_gets_the_package_of_its_own_version(tmp_path):
    machine = Machine(tmp_path, known={"python3.11-venv"})
    machine.stub("python3.11", 'case "$2" in *ensurepip*) exit 1 ;; *) echo 3.11 ;; esac')
    done, installs = machine.run("venv", "--python", "python3.11")
    assert done.returncode == 0, done.stderr
    assert installs[-1].endswith("python3.11-venv")


def test_a_system_without_apt_is_told_what_is_missing(tmp_path):
    machine = Machine(tmp_path)
    (tmp_path / "apt-get").unlink()
    (tmp_path / "dpkg-query").unlink()
    done, _ = machine.run("window")
    assert done.returncode == 1
    assert "no apt to install it with: xvfb" in done.stderr
