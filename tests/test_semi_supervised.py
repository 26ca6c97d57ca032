"""train.py with slices without labels: what is written, what is read, and what goes on."""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.faults.comparison import curves as read_curves
from tests.faults.comparison import unequal
from tests.semi_data import PROCEDURES, fast_settings, sets, write_pool
from tests.training.job import start_job
from training.trainer import Trainer
from utils.files import read_rows

_opened: list[str] | None = None  # by this process, while a test wants to know
_MAY_DIFFER = ("seconds", "record.seconds", "config.checkpoint.save_dir")


def _note(event: str, arguments: tuple) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str | bytes):
        _opened.append(str(arguments[0]))


sys.addaudithook(_note)


@pytest.fixture
def settings(small_settings: list[str]) -> list[str]:
    return fast_settings(small_settings)


@pytest.fixture
def semi_root(data_root: Path) -> Path:
    write_pool(data_root)
    return data_root


def run_folder(tmp_path: Path, name: str = "runs") -> Path:
    return tmp_path / name / "train_config" / "seed2"


@pytest.mark.parametrize("name", PROCEDURES)
def test_no_file_of_test_is_opened_in_training(
    name: str,
    run_script: Callable,
    settings: list[str],
    semi_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("test_semi_supervised._opened", opened := [])
    finished = run_script("train.py", *settings, *sets(PROCEDURES[name]))
    assert finished.code == 0, finished.err
    read = [path for path in opened if path.startswith(str(semi_root))]
    assert any(f"{semi_root}/unlabelled/image/" in path for path in read)
    assert not [path for path in read if path.startswith(str(semi_root / "test"))]
    if PROCEDURES[name]["training.procedure"] != "self_training":
        assert not [path for path in read if path.startswith(str(semi_root / "hidden"))]


class Killed(BaseException):
    """What no code of a run catches and goes on from: only files are left."""


def _killing_trainer(number: int) -> Callable[[Trainer], None]:
    """_after_step that ends everything after so many steps, all stages counted together."""
    done, after_step = [0], Trainer._after_step

    def kill(trainer: Trainer) -> None:
        done[0] += 1
        if done[0] == number:
            raise Killed
        after_step(trainer)

    return kill


@pytest.mark.parametrize(
    ("name", "moments"),
    [
        pytest.param("rounds", (5, 11, 13), marks=pytest.mark.slow),
        ("rounds", (5,)),
        pytest.param("reliable", (6, 10, 17), marks=pytest.mark.slow),
        pytest.param("mean_teacher", (3,), marks=pytest.mark.slow),
        pytest.param("fixmatch", (4,), marks=pytest.mark.slow),
    ],
)
def test_a_run_killed_within_and_between_rounds_ends_as_the_one_that_was_not(
    name: str,
    moments: tuple[int, ...],
    run_script: Callable,
    settings: list[str],
    semi_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    more = {"training.deterministic": "true", "checkpoint.every_steps": 1}
    settings = [*settings, *sets({"data.augmentation.noise": 0.1} | PROCEDURES[name] | more)]
    assert run_script("train.py", *settings).code == 0
    run_folder(tmp_path).parent.parent.rename(tmp_path / "whole")
    begun = False
    for moment in moments:
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_after_step", _killing_trainer(moment if not begun else 4))
            with pytest.raises(Killed):
                run_script("train.py", *settings, *["--resume"] * begun)
        begun = True
    if not (run_folder(tmp_path) / "last.pt").exists():
        # The last stage may be killed in its first epoch, between best.pt and last.pt.
        (run_folder(tmp_path) / "best.pt").write_bytes(b"half")
    assert run_script("train.py", *settings, "--resume").code == 0
    assert_same_files(run_folder(tmp_path), run_folder(tmp_path, "whole"))


def assert_same_files(one: Path, two: Path) -> None:
    """Every checkpoint, pseudo label and table, bit for bit."""
    files = [p.relative_to(two) for k in ("*.pt", "*.png", "*.csv") for p in two.rglob(k)]
    assert len(files) >= 2
    for file in files:
        if file.suffix == ".pt":
            pair = [torch.load(folder / file, weights_only=True) for folder in (one, two)]
            assert [k for k in unequal(*pair) if k not in _MAY_DIFFER] == [], file
        elif file.name != "montage.png":
            assert (one / file).read_bytes() == (two / file).read_bytes(), file


@pytest.mark.slow
@pytest.mark.parametrize("name", PROCEDURES)
def test_two_processes_reproduce_one(
    name: str, run_script: Callable, settings: list[str], semi_root: Path, tmp_path: Path
) -> None:
    own = PROCEDURES[name] | {"optimizer.learning_rate": "1e-3", "data.augmentation.noise": 0.1}
    one, two = (
        [*settings, *sets(own | {"checkpoint.save_dir": tmp_path / count})]
        for count in ("one", "two")
    )
    assert run_script("train.py", *one).code == 0
    job = start_job(2, *two)
    _, err = job.communicate(timeout=300)
    assert job.returncode == 0, err
    stages = [path.parent for path in run_folder(tmp_path, "one").rglob("tensorboard")]
    assert len(stages) == (1 if name in ("fixmatch", "mean_teacher") else 4 + (name == "reliable"))
    for stage in stages:
        other = tmp_path / "two" / stage.relative_to(tmp_path / "one")
        expected, found = (read_curves(f / "tensorboard") for f in (stage, other))
        assert expected.keys() == found.keys()
        for tag, points in found.items():
            tolerance = 1e-4 if "loss" in tag else 4e-3  # a pixel of few decides on the others
            values = [value for _, value in expected[tag]]
            assert [v for _, v in points] == pytest.approx(values, rel=tolerance, abs=tolerance), (
                tag
            )


def test_pseudo_labels_are_files_scored_by_the_hidden_truth(
    run_script: Callable, settings: list[str], semi_root: Path, tmp_path: Path
) -> None:
    assert run_script("train.py", *settings, *sets(PROCEDURES["rounds"])).code == 0
    folder = run_folder(tmp_path) / "pseudo_labels"
    rows = read_rows(folder / "labels.csv")
    assert sorted(row["name"] for row in rows) == [
        f"unlabelled{i // 2:02d}_z{i:03d}" for i in range(8)
    ]
    assert [row["round"] for row in rows] == ["1"] * 3 + ["2"] * 3 + ["3"] * 2
    for row in rows:
        place = folder / f"round{int(row['round']):03d}"
        label = cv2.imread(str(place / "mask" / f"{row['name']}.png"), -1)
        truth = cv2.imread(str(semi_root / "hidden" / "mask" / f"{row['name']}.png"), -1) > 0
        pred = label >= 128
        total = pred.sum() + truth.sum()
        dice = 2 * (pred & truth).sum() / total if total else 1
        assert float(row["dice"]) == pytest.approx(dice, abs=1e-6)
        assert float(row["lesion_share"]) == pytest.approx(pred.mean(), abs=1e-6)
        assert cv2.imread(str(place / "montage.png")) is not None
    assert list((folder / "tensorboard").glob("events*"))


def test_the_reliable_half_comes_first_and_the_other_is_labelled_anew(
    run_script: Callable, settings: list[str], semi_root: Path, tmp_path: Path
) -> None:
    finished = run_script("train.py", *settings, *sets(PROCEDURES["reliable"]))
    assert finished.code == 0
    folder = run_folder(tmp_path) / "pseudo_labels"
    first, second = (read_rows(folder / f"round{n:03d}" / "labels.csv") for n in (1, 2))
    by_rank = sorted(first, key=lambda row: (-float(row["reliability"]), row["name"]))
    assert len(first) == 8
    assert {row["name"] for row in second} == {row["name"] for row in by_rank[4:]}
    assert "4 pseudo labels up to round 1" in finished.out
    assert "8 pseudo labels up to round 2" in finished.out
    maps = (folder / "round001" / "mask").iterdir()
    assert set(np.unique([cv2.imread(str(path), -1) for path in maps])) - {0, 255}  # soft
