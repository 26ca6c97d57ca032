"""Trained on one data set, tested on another, where the two share nothing."""

from pathlib import Path
from shutil import copytree

import cv2
import numpy as np
import pytest

from figures.matrix import draw_matrix
from sweeps.matrix import fill_matrix, find_shared, format_matrix, write_matrix
from sweeps.plan import Run, plan_sweep
from sweeps.specification import read_sweep
from tests.sweeps.conftest import OVERRIDES, SWEEP, write_sweep
from utils.errors import UserError
from utils.files import read_rows


def draw_folder(root: Path, first: int) -> Path:
    """Slices of smooth noise, two of one patient; train, val and test, as no other folder has."""
    for number, split in enumerate(("train", "val", "test")):
        for index in range(4):
            seed = first + 10 * number + index
            noise = np.random.default_rng(seed).normal(size=(64, 64)).astype(np.float32)
            image = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, 32)
            for kind, pixels in (("image", image), ("mask", 255 * (image > 170))):
                (root / split / kind).mkdir(parents=True, exist_ok=True)
                name = f"{root.name}{split}{index // 2}_z{index:03d}.png"
                cv2.imwrite(str(root / split / kind / name), pixels.astype(np.uint8))
    return root


@pytest.fixture
def runs(trained: tuple[Path, Path, Path], tmp_path: Path) -> list[Run]:
    """The same network as if trained on each of two data sets."""
    roots = {"slices": draw_folder(tmp_path / "a", 0), "other": draw_folder(tmp_path / "b", 500)}
    file = write_sweep(tmp_path / "two.yaml", SWEEP.replace("[slices]", "[slices, other]"))
    for data in roots:
        copytree(trained[2] / "two" / "tiny" / "slices", tmp_path / "runs" / "two" / "tiny" / data)
    planned = plan_sweep(
        *("two", read_sweep(file), "tiny"),
        out=tmp_path / "runs",
        roots=roots,
        overrides=OVERRIDES,
    )
    return [run for run in planned if run.row == "plain"]


def test_what_two_folders_share_is_said(tmp_path: Path) -> None:
    first, other = draw_folder(tmp_path / "a", 0), draw_folder(tmp_path / "b", 500)
    assert find_shared(first, other) == ""
    image = next((first / "train" / "image").iterdir())
    mask = next((first / "train" / "mask").iterdir())
    for kind, path in (("image", image), ("mask", mask)):
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(other / "test" / kind / "btest9_z000.png"), pixels)
    assert "1 pair of near-duplicate slices in both" in find_shared(first, other)
    for kind in ("image", "mask"):
        path = other / "test" / kind / "btest9_z000.png"
        path.rename(path.with_name(f"{image.stem.rpartition('_z')[0]}_z077.png"))
    assert "1 patient in both: atrain" in find_shared(first, other)


@pytest.mark.slow
def test_every_pair_has_a_score_and_a_pair_that_shares_slices_says_why(
    runs: list[Run], tmp_path: Path
) -> None:
    learnt, tested = (Path(run.config.data.root) for run in runs)
    for kind in ("image", "mask"):  # the second is trained on what the first is tested on
        source = min((learnt / "test" / kind).iterdir())
        (tested / "train" / kind / source.name).write_bytes(source.read_bytes())
    rows = fill_matrix(runs, 1)
    cells = {(row["trained_on"], row["tested_on"]): row for row in rows}
    assert len(rows) == len(cells) == 4
    assert cells["other", "slices"]["refused"].startswith("1 patient in both: atest0")
    assert "dice" not in cells["other", "slices"]
    assert cells["slices", "other"]["n"] == 4
    assert 0 <= cells["slices", "other"]["dice"] <= 1
    file = tmp_path / "two_matrix.csv"
    write_matrix(rows, file)
    text = format_matrix(read_rows(file))
    assert "| other | refused |" in text
    assert "other on slices refused: 1 patient in both: atest0" in text
    assert {path.suffix for path in tmp_path.glob("two_matrix.*")} == {".csv", ".png", ".pdf"}


def test_a_matrix_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run of the matrix is finished"):
        write_matrix([], tmp_path / "two_matrix.csv")


def test_the_heat_map_has_a_number_or_a_word_in_every_cell() -> None:
    figure = draw_matrix(["a", "b"], ["a", "b"], {("a", "a"): 0.812, ("b", "a"): 0.4})
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["81.2", "refused", "40.0", "refused"]
