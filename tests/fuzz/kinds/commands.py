"""predict.py and prepare.py as they are called, on spoilt scans and images."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import predict
import prepare
from tests.datasets.written_images import saved
from tests.fuzz.kind import Files, Kind
from tests.fuzz.kinds.checkpoints import best
from tests.fuzz.kinds.dicom import series_files
from tests.fuzz.kinds.nifti import nifti_files
from tests.fuzz.kinds.other_images import image_files
from tests.fuzz.kinds.png import png_files
from tests.fuzz.kinds.tiff import tiff_files
from utils.cli import run_main


def run_command(main: Callable[[], None], *arguments: str | Path) -> None:
    """Call a command as its __main__ block does.

    Raises:
        SystemExit: It ended with another code than 0.
    """
    former, sys.argv = sys.argv, [main.__module__, *map(str, arguments)]
    try:
        run_main(main)
    finally:
        sys.argv = former


def run_prepare(*arguments: str | Path) -> None:
    """Call prepare.py."""
    run_command(prepare.main, *arguments)


def predict_folder(folder: Path) -> None:
    """Predict whatever there is."""
    checkpoint = folder / "best.pt"
    checkpoint.write_bytes(best()[0])
    paths = ("--checkpoint", checkpoint, "--out", folder / "out", "--input", folder / "in")
    run_command(predict.main, *paths)


def convert_folder(folder: Path) -> None:
    """Make a data folder of it."""
    run_prepare("generic", "--from", folder / "in", "--out", folder / "out" / "data")


_images = st.one_of(
    png_files().map(lambda data: {"a.png": data}),
    tiff_files().map(lambda data: {"a.tif": data}),
    image_files(),
)


def _named(data: bytes) -> Files:
    return {"scan.nii.gz" if data.startswith(b"\x1f\x8b") else "scan.nii": data}


@st.composite
def pairs(draw: DrawFn) -> Files:
    """Scans or images with masks, some of them spoilt."""
    mask = saved(np.eye(8, 8, dtype=np.uint8) * 255, "PNG")
    if draw(st.booleans()):
        files = [
            ("images", "p1_z000.png"),
            ("images", "p1_z001.png"),
            ("masks", "p1_z000.png"),
            ("masks", "p1_z001.png"),
        ]
        return {f"{a}/{b}": draw(png_files()) if draw(st.booleans()) else mask for a, b in files}
    scan, label = draw(nifti_files()), draw(nifti_files())
    return {"images/p1.nii": scan, "masks/p1.nii": label}


PREDICT = Kind(st.one_of(_images, nifti_files().map(_named), series_files()), predict_folder)
PREPARE = Kind(pairs(), convert_folder)
