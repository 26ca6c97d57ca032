"""python -m evaluation.label_curve: means, deviations and gaps of finished runs, and their page."""

import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.semi_data import sets
from utils.config_loader import load_config, save_config
from utils.files import read_rows

FOUND = {  # pooled Dice by procedure, labels and seed
    ("supervised", 2): (0.40, 0.50),
    ("fixmatch", 2): (0.55, 0.65),
    ("supervised", 6): (0.75, 0.85),
}


@pytest.fixture
def runs(run_script: Callable, small_settings: list[str], tmp_path: Path) -> dict:
    """Folders of runs by procedure, labels and seed, all of one scored run with other figures."""
    tiny = {"model.name": "unet", "loss.function": "dice", "training.epochs": 1}
    pairs = [pair for pair in small_settings if "=" in pair and not pair.startswith("model.args")]
    settings = [part for pair in pairs for part in ("--set", pair)] + sets(tiny)
    more = ["--set", "model.args={width: 4, num_levels: 2}"]
    assert run_script("train.py", *settings, *more).code == 0
    first = tmp_path / "runs" / "train_config" / "seed2"
    assert run_script("test.py", "--checkpoint", first / "best.pt", "--no-report").code == 0
    folders = {}
    for (procedure, patients), scores in FOUND.items():
        for seed, dice in enumerate(scores, 1):
            folder = tmp_path / f"{procedure}{patients}" / f"seed{seed}"
            shutil.copytree(first, folder)
            config = load_config(folder / "config.yaml", [], [f"training.procedure={procedure}"])
            save_config(config, folder / "config.yaml")
            _edit(
                folder / "run_info.json", labelled={"patients": patients, "slices": 10 * patients}
            )
            _edit(folder / "metrics.json", seed=seed, dice_pooled=dice)
            folders[procedure, patients, seed] = folder
    return folders


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def curve(run_script: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Run the command; its exit code and what it printed."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["label_curve", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            runpy.run_module("evaluation.label_curve", run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run


def test_the_curve_has_means_deviations_and_the_closed_gap(
    runs: dict, curve: Callable, tmp_path: Path
) -> None:
    few = [folder for (_, patients, _), folder in runs.items() if patients == 2]
    full = [folder for (_, patients, _), folder in runs.items() if patients == 6]
    code, out, err = curve(*few, "--full", *full, "--out", tmp_path / "out")
    assert code == 0, err
    points = {(row["series"], row["number"]): row for row in read_rows(tmp_path / "out/points.csv")}
    assert points.keys() == {("supervised", "2"), ("fixmatch", "2"), ("all labels", "6")}
    own = points["fixmatch", "2"]
    assert float(own["mean"]) == pytest.approx(0.60)
    assert float(own["deviation"]) == pytest.approx(0.05 * 2**0.5)
    assert float(own["closed"]) == pytest.approx((0.60 - 0.45) / (0.80 - 0.45))
    assert float(own["p_patients"]) == 1  # the same cases
    assert points["supervised", "2"]["closed"] == ""
    assert "43%" in out
    rows = read_rows(tmp_path / "out/curve.csv")
    assert len(rows) == 6
    assert {row["labelled_slices"] for row in rows} == {"20", "60"}
    page = (tmp_path / "out" / "index.html").read_text()
    assert "fixmatch" in page
    assert "<svg" in page
    assert (tmp_path / "out" / "curve.png").stat().st_size > 1000


def test_best_and_worst_pseudo_labels_are_on_the_page(
    runs: dict, curve: Callable, tmp_path: Path
) -> None:
    folder = runs["fixmatch", 2, 1]
    image = next((tmp_path / "data" / "test" / "mask").iterdir())
    head = "round,name,patient,confidence,kept,lesion_share,reliability,dice\n"
    rows = [f"1,slice{i},p,0.9,1.0,0.1,,{i / 10}\n" for i in range(9)]
    (folder / "pseudo_labels" / "round001" / "mask").mkdir(parents=True)
    (folder / "pseudo_labels" / "labels.csv").write_text(head + "".join(rows))
    for i in range(9):
        shutil.copy(image, folder / "pseudo_labels" / "round001" / "mask" / f"slice{i}.png")
    assert curve(folder, "--out", tmp_path / "out")[0] == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "slice8: Dice 80" in page
    assert "slice0: Dice 0" in page
    assert "slice4: Dice" not in page
    assert page.count("data:image/png;base64,") == 8


def test_runs_that_cannot_be_compared_are_refused(
    runs: dict, curve: Callable, tmp_path: Path
) -> None:
    one, two = runs["fixmatch", 2, 1], runs["fixmatch", 2, 2]
    code, _, err = curve(one, one, "--out", tmp_path / "out")
    assert (code, "stands twice" in err) == (2, True)
    _edit(two / "metrics.json", threshold=0.4)
    code, _, err = curve(one, two, "--out", tmp_path / "out")
    assert (code, "score all alike" in err) == (2, True)
    info = two / "run_info.json"
    info.write_text(
        json.dumps({k: v for k, v in json.loads(info.read_text()).items() if k != "labelled"})
    )
    code, _, err = curve(two, "--out", tmp_path / "out")
    assert (code, "train the run anew" in err) == (2, True)
    assert not (tmp_path / "out").exists()
