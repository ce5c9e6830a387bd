#!/usr/bin/env bash
# Install what pip cannot: `system_packages.sh venv [window] [--python PYTHON]`.
#
# venv    the standard library's venv and pip for PYTHON, which Debian and Ubuntu split off
# window  a display in memory (Xvfb) and the libraries that Qt and OpenGL load at run time
#
# Installs with apt as root or with passwordless sudo; otherwise prints the line to run and fails.
# Where nothing is missing it takes milliseconds and changes nothing.
set -euo pipefail

readonly WINDOW_PACKAGES=(
    xvfb libegl1 libgl1 libgl1-mesa-dri libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0
    libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0 libxcb-shape0
    libxcb-util1 libxcb-xinerama0
)

say() { printf '%s\n' "$*" >&2; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Since the change to 64-bit time, Debian 13 and Ubuntu 24.04 have some libraries under a new name.
installed_under_some_name() { installed "$1" || installed "$1t64"; }

name_in_this_release() {
    if apt-cache show "$1" >/dev/null 2>&1 || ! apt-cache show "$1t64" >/dev/null 2>&1; then
        echo "$1"
    else
        echo "$1t64"
    fi
}

python=python3
missing=()
while [ $# -gt 0 ]; do
    case "$1" in
        --python) python=$2; shift ;;
        venv) want_venv=1 ;;
        window) want_window=1 ;;
        *) say "system_packages.sh does not know '$1'; it takes venv, window and --python."; exit 2 ;;
    esac
    shift
done

if [ -n "${want_venv:-}" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
fi
if [ -n "${want_window:-}" ] && [ "$(uname -s)" = Linux ]; then
    if command -v dpkg-query >/dev/null; then
        for package in "${WINDOW_PACKAGES[@]}"; do
            installed_under_some_name "$package" || missing+=("$package")
        done
    elif ! command -v Xvfb >/dev/null; then
        missing+=(xvfb)
    fi
fi
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    say "Missing here, and this machine has no apt to install it with: ${missing[*]}."
    say "Install what your system calls these packages, then run the same command again."
    exit 1
fi
sudo=()
if [ "$(id -u)" != 0 ]; then
    sudo=(sudo)
    if ! sudo -n true 2>/dev/null; then
        say "Some system packages are missing. Run this line, then the same command again:"
        say "    sudo apt-get update && sudo apt-get install -y ${missing[*]}"
        exit 1
    fi
fi
say "Installing system packages: ${missing[*]}"
apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq)
"${apt[@]}" update
found=()
for package in "${missing[@]}"; do found+=("$(name_in_this_release "$package")"); done
"${apt[@]}" install -y --no-install-recommends "${found[@]}" >/dev/null
