#!/usr/bin/env bash
# Run a command on a display of its own, in memory: `with_display.sh COMMAND…`.
#
# On Linux that is Xvfb, even where there is a desktop, so that no test window takes the keyboard
# from the person at it; elsewhere the desktop is used. UNETSEG_DISPLAY=desktop uses it here too.
# UNETSEG_SCREEN is the size of the display, 1600x1000x24 by default.
set -euo pipefail

if [ "$(uname -s)" != Linux ] || [ "${UNETSEG_DISPLAY:-}" = desktop ]; then
    exec "$@"
fi
if ! command -v Xvfb >/dev/null; then
    echo "Xvfb is missing; run: sudo apt-get install -y xvfb" >&2
    exit 1
fi

number=$(mktemp)
Xvfb -displayfd 3 -screen 0 "${UNETSEG_SCREEN:-1600x1000x24}" -nolisten tcp -noreset 3>"$number" 2>/dev/null &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -f "$number"' EXIT
for _ in $(seq 100); do
    [ -s "$number" ] && break
    if ! kill -0 "$server" 2>/dev/null; then break; fi
    sleep 0.1
done
if [ ! -s "$number" ]; then
    echo "Xvfb did not start; to see why, run: Xvfb :99" >&2
    exit 1
fi

DISPLAY=":$(cat "$number")" QT_QPA_PLATFORM=xcb "$@"
