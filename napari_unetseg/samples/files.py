"""The samples as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from napari_unetseg.images import atomic_file, write_labels
from napari_unetseg.images.ome_tiff_writer import write_ome_tiff

from .em import em_stack
from .nuclei import nuclei_stack
from .sample import Sample


def small_samples() -> Iterator[Sample]:
    """Generate the stacks that lie in ``sample_data/``, small enough for a repository."""
    yield em_stack(seed=3, shape=(8, 384, 384))
    yield nuclei_stack(seed=1, shape=(10, 192, 192))


def write_sample(folder: str | Path, sample: Sample, *, overwrite: bool = False) -> list[Path]:
    """Write a sample's image, masks and objects as compressed OME-TIFF; return the paths."""
    name, stack = sample.image.name, sample.image
    image, masks, objects = (
        Path(folder) / f"{name}{kind}.ome.tif" for kind in ("", "_masks", "_objects")
    )
    with atomic_file(image, overwrite=overwrite) as partial:
        write_ome_tiff(partial, stack, compress=True)
    write_labels(
        masks, sample.codes, like=stack, kind="masks", classes=sample.classes, overwrite=overwrite
    )
    write_labels(
        objects,
        sample.objects,
        like=stack,
        kind="objects",
        classes=sample.classes,
        overwrite=overwrite,
    )
    return [image, masks, objects]
