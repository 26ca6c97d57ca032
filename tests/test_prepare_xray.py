"""prepare.py on chest X-rays as downloaded, run as a user runs it."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.datasets.sources.radiographs import LEFT_LUNG, RIGHT_LUNG, write_covid


def _draw(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(24, 32)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX).astype(
        np.uint8
    )


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """Twelve images of six patients, of two of them one crop leaves its image."""
    images = {f"a{number}.png": _draw(number) for number in range(12)}
    drawings = {
        name: [LEFT_LUNG, RIGHT_LUNG, ("Consolidation", (5 if number != 4 else 28, 8, 6, 5))]
        for number, name in enumerate(images)
    }
    return write_covid(tmp_path / "downloads", images, drawings)


@pytest.mark.usefixtures("undrawn")
def test_a_crop_that_leaves_its_image_stops_all_or_is_left_out(
    run_script: Callable, refused: Callable, downloads: Path, tmp_path: Path
) -> None:
    arguments = ["xray-covid", "--from", downloads, "--out", tmp_path / "out"]
    refused(run_script("prepare.py", *arguments), "masks/a4.png_2.png", "leaves")
    assert not (tmp_path / "out").exists()
    finished = run_script("prepare.py", *arguments, "--keep-going", "--max-side", 0)
    assert finished.code == 2
    assert "left out xray-covid a4: " in finished.err
    assert "11 slices (train " in finished.out


def test_x_rays_become_a_folder_that_passes_the_check(
    run_script: Callable, downloads: Path, tmp_path: Path
) -> None:
    structure = downloads / "structure.csv"
    structure.write_text(structure.read_text().replace(",28,", ",20,"))
    out = tmp_path / "out"
    finished = run_script("prepare.py", "xray-covid", "--from", downloads, "--out", out)
    assert finished.code == 0, finished.err
    assert "12 slices (train " in finished.out
    card = json.loads((out / "dataset.json").read_text())
    assert (card["modality"], card["intensity"]) == ("DX", None)
    assert card["labels"]["3"] == "pleural effusion"
    assert {"fingerprint.html", "montage.png", "manifest.csv", "splits.json"} <= {
        path.name for path in out.iterdir()
    }
    splits = json.loads((out / "splits.json").read_text())
    assert sorted(name for names in splits.values() for name in names) == [
        f"patient_{number}" for number in range(6)
    ]
    checked = run_script("prepare.py", "check", out)
    assert checked.code == 0, checked.err
    assert "no problems" in checked.out
