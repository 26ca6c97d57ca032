"""Runs as test.py leaves them: twelve cases, three of each of four patients."""

from pathlib import Path
from typing import Any

import numpy as np

from utils.files import write_json, write_rows

SUMMARY: dict[str, Any] = {
    "mae": 0.02,
    "dice": 0.5,
    "dice_max": 0.6,  # of the mean curve: no case has one
    "hd95": 4.0,
    "threshold": 0.5,
    "empty_target": "one",
    "protocol": "native",
    "distance_unit": "mm",
    "surface_tolerance": 3.0,
    "split": "test",
    "data_set": "coronacases",
    "image_size": [64, 64],
}
Rows = list[dict[str, Any]]


def make_rows(seed: int, *, patients: bool = True) -> Rows:
    """Twelve cases, the same ones for every seed."""
    rng = np.random.default_rng(seed)
    return [
        {
            "name": f"p{i // 3}_z{i:03d}",
            "patient": f"p{i // 3}" if patients else f"p{i // 3}_z{i:03d}",
            "dice": rng.random(),
            "mae": rng.random() / 50,
            "hd95": 10 * rng.random(),
            "num_lesions": i,
        }
        for i in range(12)
    ]


def write_run(folder: Path, rows: Rows, **settings: Any) -> Path:
    """Metrics.json and per_case.csv of a new folder; a setting of None is left out."""
    folder.mkdir()
    summary = SUMMARY | {"n": len(rows)} | settings
    kept = {key: value for key, value in summary.items() if value is not None}
    write_json(folder / "metrics.json", kept)
    write_rows(folder / "per_case.csv", rows)
    return folder
