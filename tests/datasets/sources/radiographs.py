"""The public sets of chest X-rays in miniature, laid out as they are downloaded."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.datasets.sources.image_files import SHAPE, write

COLUMNS = ("Class", "Filename", "Mask", "Left", "Top", "Width", "Height")
LEFT_LUNG, RIGHT_LUNG = ("Left Lung", (18, 4, 10, 16)), ("Right Lung", (4, 4, 10, 16))
Box = tuple[int, int, int, int]  # left, top, width, height


def write_covid(
    root: Path, images: dict[str, np.ndarray], drawings: dict[str, Sequence[tuple[str, Box | None]]]
) -> Path:
    """Write xray-covid: full crops in colours that differ in their channel, all patients but one.

    Args:
        root: Folder to make.
        images: By file name.
        drawings: By file name: class and box of every row; None for one without a crop.
    """
    rows = []
    for name, pixels in images.items():
        write(root / "images" / name, pixels)
    for name, drawn in drawings.items():
        for number, (kind, box) in enumerate(drawn):
            mask = ""
            if box:
                crop = np.zeros((box[3], box[2], 4), np.uint8)
                crop[..., number % 3] = 7  # any other colour than black, however dark
                crop[..., 3] = 255
                crop[0, 0, :3] = 0
                mask = f"masks/{name}_{number}.png"
                write(root / mask, crop)
            row = (f"COVID-19 {kind}", name, mask, *(box or (0, 0, *SHAPE[::-1])))
            rows.append(dict(zip(COLUMNS, row, strict=True)))
    _write_table(root / "structure.csv", COLUMNS, rows)
    patients = [
        {"patientid": str(number // 2), "filename": name} for number, name in enumerate(images)
    ]
    _write_table(root / "metadata.csv", ("patientid", "filename"), patients)
    return root


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[dict]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
