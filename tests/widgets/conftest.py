"""What every window of a test begins with."""

from __future__ import annotations

import pytest
from napari.settings import get_settings

_AS_ON_THE_FIRST_DAY = {
    "save_window_geometry": False,
    "save_window_state": False,
    "window_state": None,
    "window_size": None,
    "window_position": None,
    "window_maximized": False,
    "window_fullscreen": False,
}


@pytest.fixture(autouse=True)
def no_layout_of_earlier_windows():
    """Forget how the windows of earlier tests were laid out, which napari would restore."""
    application = get_settings().application
    before = {name: getattr(application, name) for name in _AS_ON_THE_FIRST_DAY}
    for name, value in _AS_ON_THE_FIRST_DAY.items():
        setattr(application, name, value)
    yield
    for name, value in before.items():
        setattr(application, name, value)
