"""Scans and labels in miniature, as NIfTI files of any orientation, loose or in an archive."""

import zipfile
from pathlib import Path, PurePosixPath

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from datasets.intensity import LUNG_WINDOW
from datasets.sources.file_tree import FoundFile
from datasets.sources.source import CaseSlice, SourceCase
from datasets.sources.volume_case import volume_case

SHAPE = (4, 6, 5)  # slices, height, width
SPACING = (5.0, 0.8, 0.7)  # distance of slices, height and width of a px, mm


def scan(seed: int = 0, low: int = -1200, high: int = 300) -> np.ndarray:
    """(slices, H, W) int16 noise, from feet to head, front to back, right to left."""
    return np.random.default_rng(seed).integers(low, high, SHAPE, np.int16)


def labels(*values: int, seed: int = 9) -> np.ndarray:
    """(slices, H, W) int16 with every one of the values, and 0."""
    return np.random.default_rng(seed).choice((0, *values), SHAPE).astype(np.int16)


def write_nifti(
    path: Path, axial: np.ndarray, codes: str = "LPS", affine: np.ndarray | None = None
) -> Path:
    """Store (slices, H, W) with its axes in another order and direction; `affine` is a false one.

    It is nibabel that turns the volume, not the code under test.
    """
    distance, height, width = SPACING
    straight = nib.Nifti1Image(axial.transpose(2, 1, 0), np.diag([-width, -height, distance, 1]))
    turn = ornt_transform(io_orientation(straight.affine), axcodes2ornt(codes))
    image = straight.as_reoriented(turn)
    if affine is not None:
        image = nib.Nifti1Image(np.asarray(image.dataobj), affine)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def pack(archive: Path, folder: Path, top: str = "") -> Path:
    """Move a folder's files into an archive, below the folder `top` in it."""
    with zipfile.ZipFile(archive, "w") as stream:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                stream.write(path, Path(top) / path.relative_to(folder))
                path.unlink()
    return archive


def read(case: SourceCase, bits: int = 8) -> list[CaseSlice]:
    """All slices of a case."""
    return list(case.read(bits))


def stacked(slices: list[CaseSlice], kind: str) -> np.ndarray:
    """(slices, H, W) of one kind of images."""
    assert [item.index for item in slices] == list(range(len(slices)))
    return np.stack([getattr(item, kind) for item in slices])


def found(path: Path) -> FoundFile:
    return FoundFile(path, None, PurePosixPath(path.name))


def make_case(image: Path, mask: Path | None = None, **settings: object) -> SourceCase:
    settings = {"rule": LUNG_WINDOW, "labels": {1: 1, 2: 2}, **settings}
    return volume_case(
        "scan", "somebody", image=found(image), mask=mask and found(mask), **settings
    )
