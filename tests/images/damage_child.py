"""Opens damaged files, each in a process of its own, and says what became of them.

Usage: damage_child.py FOLDER SEED COUNT NAME…

FOLDER holds a folder per NAME with the whole file in it. A line of JSON is printed for each case
that is not as it should be, and one at the end with how many there were.
"""

import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import dask
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "soak"))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from damaging import damaged_file
from seed_files import LIKE

from napari_unetseg.errors import UserError
from napari_unetseg.images import open_label_stack, open_stack, read_labels

#: Seconds that a file of a few kB may take, and bytes of memory that it may ask for.
AT_MOST_S = 20
AT_MOST_BYTES = 1 << 30

#: What no file may bring about.
FORBIDDEN = (
    "pickle.find_class",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "shutil.rmtree",
    "os.remove",
    "os.rename",
)

KINDS = ("objects", "masks", "annotations")

#: A damaged header may describe an image of nothing that is larger than memory.
MOST_PX = 1 << 24


class ForbiddenError(BaseException):
    """A file made something happen; nothing catches this."""


def refuse(event, arguments):
    if event in FORBIDDEN and not _is_for_dask(sys._getframe(1)):
        raise ForbiddenError(f"{event} {arguments}")


def _is_for_dask(frame):
    """Tell whether dask is naming a function of its own: it pickles and unpickles those."""
    while frame is not None:
        if frame.f_code.co_name == "_normalize_pickle":
            return frame.f_globals["__name__"] == "dask.tokenize"
        frame = frame.f_back
    return False


def prepare():
    """Load what would be loaded in each process, without starting a thread."""
    for name in (
        "PIL.BmpImagePlugin", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "dask.array", "h5py",
        "imagecodecs", "liffile", "nd2", "oiffile", "pylibCZIrw.czi", "roifile", "skimage.measure",
        "tifffile", "zarr", "zarr.storage", "zarr.codecs",
    ):  # fmt: skip
        importlib.import_module(name)
    for reader in ("bigdataviewer", "coco", "czi", "geojson", "hdf5", "hdf5_labels", "imagej_rois",
                   "lazy_pages", "lif", "mrc", "n5", "nd2", "nifti", "nrrd", "numpy_labels", "oib",
                   "ome_zarr", "picture_folder", "pictures", "sequence", "tiff"):  # fmt: skip
        importlib.import_module(f"napari_unetseg.images.{reader}")
    for codec in ("blosc", "zstd", "lzw", "zlib", "jpeg8", "png", "deflate", "packbits"):
        getattr(sys.modules["imagecodecs"], f"{codec}_decode")


def as_image(path, expected):
    """Read every slice; return whether these are the ones that were expected."""
    stack = open_stack(path)
    n_px = stack.n_channels * np.prod(stack.plane_shape)
    planes = []
    for index in range(min(stack.n_planes, 40)):
        if n_px * (index + 1) > MOST_PX:
            return False
        plane = stack.plane(index)
        assert plane.shape == (stack.n_channels, *stack.plane_shape), "another shape than it said"
        assert plane.dtype == stack.dtype, f"{plane.dtype}, after it said {stack.dtype}"
        planes.append(plane)
    assert all(0 < um < float("inf") for um in stack.pixel_size_um.values()), "no pixel size"
    return expected is not None and _same(np.stack(planes), expected)


def as_labels(path, expected, kind, like):
    """Read them as labels; of a kind, or as they are."""
    if kind is not None:
        codes = read_labels(path, kind, like=like).codes
        assert codes.ndim == 3, "labels that are no slices"
        if expected is None or expected.size != codes.size:
            return False
        # Codes from 2 on are labelled: of annotations that were painted, and of all outlines.
        values = expected.reshape(codes.shape)
        return _same(codes > 1, values > 0) or _same(codes > 1, values > 1)
    stack = open_label_stack(path, None, like)
    if np.prod(stack.shape) > MOST_PX:
        return False
    read = np.stack([stack.plane(index) for index in range(stack.n_planes)])
    return expected is not None and _same(read, expected)


def _same(read, expected):
    return read.shape == expected.shape and bool((read == expected).all())


def look(path, expected, rng, is_labels):
    """Return what became of it: read, the same, or refused."""
    dask.config.set(scheduler="synchronous")
    like = LIKE if is_labels and rng.random() < 0.5 else None
    try:
        if not is_labels and rng.random() < 0.7:
            same = as_image(path, expected)
        else:
            kind = KINDS[int(rng.integers(3))] if rng.random() < 0.6 else None
            same = as_labels(path, expected, kind, like)
        return "same" if same else "read", ""
    except UserError as error:
        sentence = str(error)
        if "\n" in sentence or len(sentence) > 600 or "Traceback" in sentence:
            return "wrong", f"not one sentence: {sentence!r}"
        cause = error.__cause__
        while cause is not None and not isinstance(cause, MemoryError):
            cause = cause.__cause__
        # It would have taken this much where there is as much.
        return ("memory" if cause is not None else "refused"), sentence


def case(folder, work, name, number, seed, expected, is_labels):
    """Damage, look, and print."""
    rng = np.random.default_rng([seed, number, *name.encode()])
    there = work / f"{name}-{number}"
    shutil.copytree(folder / name, there)
    others = sorted(path.name for path in folder.iterdir() if path.name != name)
    how, exact = damaged_file(there / name, folder, others, rng)
    sys.addaudithook(refuse)
    began = time.monotonic()
    try:
        outcome, said = look(there / name, expected, rng, is_labels)
    except ForbiddenError as error:
        outcome, said = "wrong", str(error)
    except BaseException:  # noqa: BLE001 - whatever it is, it is told
        outcome, said = "wrong", traceback.format_exc()
    if exact and outcome == "read":
        outcome, said = "wrong", "part of it was read as if it were whole"
    facts = {"name": name, "case": number, "how": how, "outcome": outcome, "said": said}
    facts["s"] = round(time.monotonic() - began, 2)
    return facts


def apart(do):
    """Run it in a process of its own, with limits; return what it says, or how it ended."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        signal.alarm(AT_MOST_S)
        with open("/proc/self/statm") as file:  # noqa: PTH123
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + AT_MOST_BYTES,) * 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            os.write(writing, json.dumps(do()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read()
    _, status = os.waitpid(pid, 0)
    if said:
        return json.loads(said)
    ended = os.waitstatus_to_exitcode(status)
    return {
        "outcome": "wrong",
        "said": f"it took {AT_MOST_S} s" if ended == -14 else f"it ended with {ended}",
    }


def whole(path, is_labels):
    stack = open_label_stack(path, None, LIKE) if is_labels else open_stack(path)
    return np.stack(
        list(stack.planes()) if not is_labels else [stack.plane(i) for i in range(stack.n_planes)]
    )


def main(folder, seed, first, count, names):
    from seed_files import SEEDS

    prepare()
    work = folder.parent / "work"
    work.mkdir(exist_ok=True)
    outcomes = {}
    for name in names:
        is_labels = SEEDS[name].is_labels
        pixels = folder.parent / f"{name}.expected.npy"

        def save(path=folder / name / name, to=pixels, labels=is_labels):
            dask.config.set(scheduler="synchronous")
            np.save(to, whole(path, labels))
            return {"outcome": "saved"}

        saved = apart(save)
        assert saved == {"outcome": "saved"}, (name, saved)
        expected = np.load(pixels)
        for number in range(first, first + count):
            told = {"name": name, "case": number} | apart(
                lambda n=name, i=number, e=expected, la=is_labels: case(
                    folder, work, n, i, seed, e, la
                )
            )
            outcomes[told["outcome"]] = outcomes.get(told["outcome"], 0) + 1
            slow = told.get("s", 0) > 5
            if told["outcome"] in ("wrong", "memory") or slow:
                print(json.dumps(told), flush=True)  # noqa: T201
            else:
                shutil.rmtree(work / f"{name}-{number}")
    print(json.dumps(outcomes))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
