"""predict.py: forms of images, long names, several series of one folder."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_files import write_series
from PIL import Image
from saved_network import save_network

from datasets.image_io import read_gray, write_png
from datasets.volumes import find_series


@pytest.fixture
def best(tmp_path: Path) -> Path:
    """The checkpoint of a small network."""
    return save_network(tmp_path / "runs" / "small" / "seed2" / "best.pt")


@pytest.fixture
def predict(run_script: Callable, best: Path, tmp_path: Path) -> Callable:
    """Run predict.py with the checkpoint; outputs go to <tmp_path>/out."""

    def run(*arguments: str | Path) -> object:
        common = ["--checkpoint", best, "--out", tmp_path / "out"]
        return run_script("predict.py", *common, "--input", *arguments)

    return run


def hounsfield(num_slices: int = 5, size: int = 40, seed: int = 0) -> np.ndarray:
    """Smooth noise over the range of a chest, (slices, rows, columns) int16."""
    noise = np.random.default_rng(seed).normal(size=(num_slices, size, size)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(one, (0, 0), 3) for one in noise])
    return np.rint(-500 + 300 * smooth / smooth.std()).clip(-1024, 1000).astype(np.int16)


def test_two_series_of_a_folder_are_told_apart_in_what_is_printed(
    predict: Callable, tmp_path: Path
) -> None:
    for number in (2, 3):
        write_series(
            tmp_path / "in", hounsfield(), number=number, seed=str(number),
            names=f"{number}_{{}}".format,
        )  # fmt: skip
    finished = predict(tmp_path / "in", "--no-severity")
    assert finished.code == 0, finished.err
    lines = [line for line in finished.out.splitlines() if " slices, " in line]
    assert len(lines) == 2
    names = [series.name for series in find_series(tmp_path / "in")]
    for name, line in zip(names, lines, strict=True):
        assert line.startswith(f"{tmp_path / 'in'} ({name}): ")


def test_an_image_of_another_format_and_turned_is_predicted_upright(
    predict: Callable, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (40, 48), np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", "JPEG", exif=exif)
    finished = predict(tmp_path / "a.png")
    assert (finished.code, finished.err) == (0, "")
    assert read_gray(tmp_path / "out" / "a_mask.png").shape == (48, 40)


def test_a_name_with_room_for_its_endings_alone_is_predicted(
    predict: Callable, tmp_path: Path
) -> None:
    name = "s" * (255 - len("_overlay.png"))
    write_png(tmp_path / f"{name}.png", np.eye(32, dtype=np.uint8) * 200)
    finished = predict(tmp_path / f"{name}.png")
    assert finished.code == 0, finished.err
    assert (tmp_path / "out" / f"{name}_overlay.png").is_file()
