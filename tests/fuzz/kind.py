"""What a kind of input is, and all kinds by name."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from hypothesis.strategies import SearchStrategy

Files = Mapping[str, bytes]  # by name, with '/' between folders


class Kind(NamedTuple):
    """A kind of input.

    Attributes:
        inputs: Files that were spoilt, by the name that each is to have.
        read: Given a folder with the files below `in`, has the product read them; what it writes
            goes below `out`. Succeeds, or raises UserError or SystemExit.
    """

    inputs: SearchStrategy[Files]
    read: Callable[[Path], object]


# Module and name of each; a campaign imports them in its worker processes alone.
KINDS = {
    "nifti": "tests.fuzz.kinds.nifti:NIFTI",
    "dicom": "tests.fuzz.kinds.dicom:SERIES",
    "dicomdir": "tests.fuzz.kinds.dicom:DISK",
    "png": "tests.fuzz.kinds.png:PNG",
    "tiff": "tests.fuzz.kinds.tiff:TIFF",
    "other images": "tests.fuzz.kinds.other_images:OTHERS",
    "manifest.csv": "tests.fuzz.kinds.tables:MANIFEST",
    "per_case.csv": "tests.fuzz.kinds.tables:PER_CASE",
    "metrics.json": "tests.fuzz.kinds.tables:METRICS",
    "splits.json": "tests.fuzz.kinds.texts:SPLITS",
    "dataset.json": "tests.fuzz.kinds.texts:CARD",
    "config": "tests.fuzz.kinds.texts:CONFIG",
    "best.pt": "tests.fuzz.kinds.checkpoints:BEST",
    "last.pt": "tests.fuzz.kinds.checkpoints:LAST",
    "onnx": "tests.fuzz.kinds.onnx:ONNX",
    "predict.py": "tests.fuzz.kinds.commands:PREDICT",
    "prepare.py": "tests.fuzz.kinds.commands:PREPARE",
}


def find_kind(place: str) -> Kind:
    """The kind at 'module:NAME'."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
