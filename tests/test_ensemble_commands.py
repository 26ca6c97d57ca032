"""test.py and predict.py with several checkpoints, and with mirror images."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import Finished
from tests.saved_network import save_network
from training.checkpoint import load_checkpoint
from utils.files import parse_json


@pytest.fixture
def pair(data_root: Path, tmp_path: Path) -> list[Path]:
    """Two checkpoints with other weights, whose data folder is data_root."""
    paths = [tmp_path / "small" / f"seed{seed}" / "best.pt" for seed in (0, 1)]
    content = load_checkpoint(save_network(paths[0]))
    content["config"]["data"] |= {"root": str(data_root), "num_workers": 0}
    save_network(paths[0], config=content["config"])
    noisy = {
        key: value * 0.7 if value.is_floating_point() else value
        for key, value in content["model"].items()
    }
    save_network(paths[1], config=content["config"], model=noisy)
    return paths


def maps_of(folder: Path, ending: str = "") -> dict[str, np.ndarray]:
    found = sorted(folder.glob(f"*{ending}.png"))
    return {
        path.name.removesuffix(f"{ending}.png"): cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for path in found
    }


def test_both_commands_average_the_same_probabilities(
    pair: list[Path], data_root: Path, run_script: Callable[..., Finished], tmp_path: Path
) -> None:
    maps = {}
    for name, checkpoints in {"0": pair[:1], "1": pair[1:], "both": pair}.items():
        out = tmp_path / name
        options = ("--checkpoint", *checkpoints, "--out", out, "--save-maps", "--no-report")
        finished = run_script("test.py", *options)
        assert finished.code == 0, finished.err
        maps[name] = maps_of(out / "maps")
    assert any((maps["0"][name] != maps["1"][name]).any() for name in maps["0"])
    for name, found in maps["both"].items():
        mean = (maps["0"][name].astype(int) + maps["1"][name]) / 2
        assert abs(found - mean).max() <= 1  # each map is rounded to 8 bits
    out, images = tmp_path / "predicted", data_root / "test" / "image"
    finished = run_script("predict.py", "--checkpoint", *pair, "--input", images, "--out", out)
    assert finished.code == 0, finished.err
    assert "2 networks averaged" in finished.out
    for name, found in maps_of(out, "_prob").items():
        np.testing.assert_array_equal(found, maps["both"][name])
    scores = parse_json((tmp_path / "both" / "metrics.json").read_text())
    assert scores["run"] == "small_seed0+small_seed1"
    assert scores["checkpoint"].split() == [str(path) for path in pair]


@pytest.mark.parametrize("size", [[32, 32], [64, 48]])
def test_flips_of_both_commands_agree_and_replace_no_scores(
    size: list[int],
    pair: list[Path],
    data_root: Path,
    run_script: Callable[..., Finished],
    tmp_path: Path,
) -> None:
    content = load_checkpoint(pair[1])
    content["config"]["data"]["image_size"] = size  # of the second network's input
    save_network(pair[1], config=content["config"], model=content["model"])
    assert run_script("test.py", "--checkpoint", pair[0], "--no-report").code == 0
    before = (pair[0].parent / "metrics.json").read_bytes()
    flags = ("--flip", "--save-maps", "--no-report")
    assert run_script("test.py", "--checkpoint", *pair, *flags).code == 0
    scored = pair[0].parent / "ensemble_of_2" / "flip"
    assert (scored / "metrics.json").is_file()
    assert (pair[0].parent / "metrics.json").read_bytes() == before
    out, images = tmp_path / "predicted", data_root / "test" / "image"
    options = ("--checkpoint", *pair, "--input", images, "--out", out, "--flip")
    assert run_script("predict.py", *options).code == 0
    maps = maps_of(scored / "maps")
    for name, found in maps_of(out, "_prob").items():
        assert abs(found.astype(int) - maps[name]).max() <= 1  # summed in another order


def test_the_report_of_an_ensemble_says_what_it_leaves_out(
    pair: list[Path], run_script: Callable[..., Finished]
) -> None:
    finished = run_script("test.py", "--checkpoint", *pair)
    assert finished.code == 0, finished.err
    assert "figure_7.png left out: this ensemble has no side outputs" in finished.out


def test_exported_networks_and_one_file_twice_are_refused(
    pair: list[Path], data_root: Path, run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    inputs = ("--input", data_root / "test" / "image", "--out", tmp_path / "out", "--checkpoint")
    refused(run_script("predict.py", *inputs, pair[0], "net.onnx"), "net.onnx", "predicts alone")
    refused(run_script("predict.py", *inputs, pair[0], pair[0]), "stands twice")
    assert not (tmp_path / "out").exists()
