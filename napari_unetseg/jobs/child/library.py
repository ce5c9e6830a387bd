"""The network library, loaded in the background while there is nothing to do."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from contextlib import suppress

from napari_unetseg.errors import UserError
from napari_unetseg.events import Preparing

from .job import Emit, Job

_MODULE = "napari_unetseg.learning"
_ALLOCATOR = "napari_unetseg.learning.allocator"


class NetworkLibrary:
    """Begins to import torch when it is made."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._load, daemon=True)
        self._thread.start()

    def settle(self, job: Job, emit: Emit) -> None:
        """Return when the import has ended, well or not.

        Two threads that import at a time can meet half-made modules, so even work that needs no
        network waits for this.

        Raises
        ------
        Cancelled
            If the job is cancelled meanwhile.
        """
        if self._thread.is_alive():
            emit(Preparing("Loading libraries …"))
        while self._thread.is_alive():
            job.check()
            self._thread.join(timeout=0.05)

    def require(self) -> None:
        """Make sure that the library can be used.

        Raises
        ------
        UserError
            If it cannot be loaded.
        """
        try:
            importlib.import_module(_MODULE)
        except (ImportError, OSError) as error:
            raise UserError(
                f"The network library (PyTorch) cannot be loaded ({error}); run "
                "'napari-unetseg doctor' in a terminal to see what to install."
            ) from error

    def holds_accelerator(self) -> bool:
        """Tell whether some of a graphics card's memory is this process's until it ends."""
        torch = sys.modules.get("torch")
        return torch is not None and not self._thread.is_alive() and torch.cuda.is_initialized()

    def free_memory(self) -> None:
        """Give back what the last job had on the accelerator, and all else that it left."""
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is None or self._thread.is_alive():
            return
        importlib.import_module(_ALLOCATOR).give_back_memory()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()

    def _load(self) -> None:
        with suppress(ImportError, OSError):  # `require` meets them again and tells
            importlib.import_module(_MODULE)
