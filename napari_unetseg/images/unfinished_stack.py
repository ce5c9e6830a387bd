"""A result that is written slice by slice, and goes on where it was left."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import AlreadyThereError, UserError

from .atomic import (
    atomic_file,
    check_output,
    check_replaceable,
    restore,
    unwritable,
)
from .damage import READ_ERRORS
from .formats import ZARR_SUFFIXES
from .names import suffix_of
from .ome_tiff_writer import write_ome_tiff
from .ome_zarr_writer import OmeZarrLevels, Region
from .slice_record import SliceRecord, checksum_of
from .stack import Stack
from .unfinished_files import COPY, DONE, FACTS, check_same, give_name, unfinished_at

_MARKER = "zarr.json"


class UnfinishedStack:
    """An OME-Zarr beside the place of a result, filled while the next slices are computed.

    Every slice is in all resolution levels once it is done, so that finishing is giving the folder
    its name, or, where the result is a TIFF, copying it slice by slice. What is left before that
    stays if something is done and `facts` tell what it was made of: whoever makes the same of the
    same finds it.

    Parameters
    ----------
    path : Path
        Of the result, which ends in ``.tif`` or ``.zarr``.
    like : Stack
        What the result says of itself; its pixels are not read.
    facts : mapping, optional
        What decides its values, for JSON, by the words in which a person is told that some of it
        is another than it was. Without them it begins anew each time.
    overwrite : bool
        Replace a result that exists, and what is left of one that was made of something else.

    Attributes
    ----------
    done : set of int
        Slices, along T · Z, that are on disk.
    known : dict
        What was remembered when it was begun: see `remember`.
    was_begun_anew : bool
        Whether something was there that could not be gone on with.

    Raises
    ------
    UserError
        If the result exists or cannot be written, another program is writing it, or slices of it
        are there that were made of something else.
    """

    def __init__(
        self,
        path: Path,
        like: Stack,
        *,
        facts: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        restore(path)
        check_output(path, overwrite)
        self._is_zarr, self._is_prepared = suffix_of(path) in ZARR_SUFFIXES, False
        if self._is_zarr:
            check_replaceable(path, _MARKER)
        self._path, self._like, self._overwrite = path, like, overwrite
        self._facts = None if facts is None else json.loads(json.dumps([facts, _frame(like)]))
        self._folder = unfinished_at(path)
        self._held: dict[int, npt.NDArray[Any]] = {}
        self._writing: Future[None] | None = None
        self._writer = ThreadPoolExecutor(1)
        self.known: dict[str, Any] = {}
        self.done: set[int] = set()
        with self._said():
            if self._folder.is_symlink():
                self._folder.unlink()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._record = SliceRecord(self._folder / DONE, path)
            begun = self._read_facts()
            if not overwrite:
                self._check_same(begun, facts)
            goes_on = begun is not None and self._facts is not None and self._go_on(begun)
            self.was_begun_anew = begun is not None and not goes_on
            if not goes_on:
                self._empty()
                self._levels = OmeZarrLevels(self._folder, like)
            self._write_facts()

    def remember(self, **known: Any) -> None:
        """Keep what was found out when it was begun, for when it goes on."""
        self.known.update(known)
        self._write_facts()

    def put(self, plane: int, values: npt.NDArray[Any]) -> None:
        """Hand over a slice; it is written once one arrives that does not lie beside it.

        Parameters
        ----------
        plane : int
            Along T · Z.
        values : ndarray, shape (Y, X), or (C, Y, X) where there are channels
            Not to be changed from now on.
        """
        if self._held and self._slab_of(plane) != self._slab_of(next(iter(self._held))):
            self._hand_over()
        self._held[plane] = values

    def stack(self) -> Stack:
        """Return what is on disk; slices that are missing are 0."""
        from .ome_zarr import read

        self._wait()
        data = read(self._folder).data
        return replace(self._like, data=data, path=None, notes=(), parts=())

    def prepare(self) -> None:
        """Do all of `finish` that takes long: results that belong together get names together."""
        self._wait()
        self._check_there()
        if not self._is_zarr:
            with self._said(), atomic_file(self._folder / COPY, overwrite=True) as partial:
                write_ome_tiff(partial, self.stack(), compress=True)
            self._is_prepared = True

    def finish(self) -> None:
        """Give the result its name; where it is a TIFF, after it was copied into one."""
        if not self._is_prepared:
            self.prepare()
        with self._said():
            if not self._is_zarr:
                check_output(self._path, self._overwrite)
            self._close()
            give_name(self._path)

    def discard(self) -> None:
        """Remove what there is of it; nothing where it has its name."""
        self._close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Begin, or go on."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what is being written; without `finish`, keep what can be gone on with."""
        if self._record.closed:
            return
        try:
            self._wait()
        finally:
            if self._facts is None or not self.done:
                self.discard()
            else:
                self._close()

    # ------------------------------------------------------------------ slabs

    def _slab_of(self, plane: int) -> tuple[int, int]:
        t, z = divmod(plane, self._like.size("Z"))
        return t, z // self._levels.depth * self._levels.depth

    def _hand_over(self) -> None:
        """Have the slices that are held written, once those before them are."""
        if self._writing is not None:
            with self._said():
                self._writing.result()
        held, self._held = self._held, {}
        if held:
            self._writing = self._writer.submit(self._write, held)

    def _wait(self) -> None:
        self._hand_over()
        self._hand_over()

    def _write(self, held: dict[int, npt.NDArray[Any]]) -> None:
        self._check_there()
        where, n = self._region(self._slab_of(next(iter(held))))
        pixels = self._levels.read(where) if len(held) < n else self._room(n)
        for plane, values in held.items():
            self._of(pixels, plane)[...] = values
        self._levels.write(where, pixels)
        self._record.add({plane: self._of(pixels, plane) for plane in held})
        self.done |= held.keys()

    def _of(self, pixels: npt.NDArray[Any], plane: int) -> npt.NDArray[Any]:
        """Return the part of a slab that is one of its slices."""
        z = plane % self._like.size("Z") % self._levels.depth
        axes = self._like.axes.replace("T", "")
        part: npt.NDArray[Any] = pixels[tuple(z if a == "Z" else slice(None) for a in axes)]
        return part

    def _region(self, slab: tuple[int, int]) -> tuple[Region, int]:
        """Return where the slices of a slab lie, and how many they are."""
        t, first = slab
        stop = min(first + self._levels.depth, self._like.size("Z"))
        found: dict[str, int | slice] = {"T": t, "Z": slice(first, stop)}
        where = tuple(found.get(axis, slice(None)) for axis in self._like.axes[:-2])
        return where, stop - first

    def _room(self, n: int) -> npt.NDArray[Any]:
        lengths = {"Z": n}
        axes = self._like.axes.replace("T", "")
        shape = [lengths.get(axis, self._like.size(axis)) for axis in axes]
        return np.empty(shape, self._like.dtype)

    # -------------------------------------------------------------- going on

    def _go_on(self, begun: dict[str, Any]) -> bool:
        """Find out what is there of the same result; tell whether it can be gone on with."""
        if begun.get("facts") != self._facts:
            return False
        try:
            self._levels = OmeZarrLevels(self._folder, self._like)
            said = self._record.read()
            said = {plane: found for plane, found in said.items() if plane < self._like.n_planes}
            for slab, planes in itertools.groupby(sorted(said), self._slab_of):
                self.done |= self._whole_in(slab, {plane: said[plane] for plane in planes})
        except READ_ERRORS:
            self.done = set()
            return False
        self.known = begun["known"]
        return True

    def _check_same(self, begun: dict[str, Any] | None, facts: Mapping[str, Any] | None) -> None:
        try:
            check_same(self._path, facts)
            frame = (begun or {}).get("facts") or [None, None]
            if self._facts and frame[1:] not in ([None], self._facts[1:]) and self._record.read():
                raise AlreadyThereError(
                    f"{self._path} was begun with other axes, pixel sizes, channels or classes; "
                    "choose another name."
                )
        except AlreadyThereError:
            self._record.close()
            raise

    def _whole_in(self, slab: tuple[int, int], checksums: dict[int, int]) -> set[int]:
        """Return the slices of a slab that are as they were written, in all levels."""
        where, n = self._region(slab)
        try:
            pixels = self._levels.read(where)
            is_whole = self._levels.agree_with(where, pixels)
        except READ_ERRORS:  # a chunk that was half on disk when the power failed
            is_whole = False
        if not is_whole:
            self._levels.write(where, np.zeros_like(self._room(n)))
            return set()
        return {p for p, said in checksums.items() if checksum_of(self._of(pixels, p)) == said}

    # ------------------------------------------------------------------ files

    def _check_there(self) -> None:
        """Raise `UserError` where somebody removed or moved what is being written."""
        if not self._record.is_there():
            raise UserError(
                f"{self._folder}, in which {self._path.name} was being written, was removed or "
                "replaced meanwhile; give the command again."
            )

    def _read_facts(self) -> dict[str, Any] | None:
        try:
            found = json.loads((self._folder / FACTS).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) and isinstance(found.get("known"), dict) else {}

    def _write_facts(self) -> None:
        if self._facts is None:
            return
        with atomic_file(self._folder / FACTS, overwrite=True) as partial:
            partial.write_text(json.dumps({"facts": self._facts, "known": self.known}), "utf-8")

    def _empty(self) -> None:
        for found in self._folder.iterdir():
            if found.is_dir():
                shutil.rmtree(found)
            elif found.name != DONE:
                found.unlink()
        self._record.empty()

    def _close(self) -> None:
        self._writer.shutdown()
        self._record.close()

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self._path, error) from error


def _frame(like: Stack) -> dict[str, Any]:
    """Return all that a result says of itself."""
    return {
        "axes": like.axes,
        "shape": like.shape,
        "dtype": like.dtype.name,
        "pixel_size_um": like.pixel_size_um,
        "name": like.name,
        "channels": like.channels,
        "channel_colors": like.channel_colors,
        "metadata": like.metadata,
    }
