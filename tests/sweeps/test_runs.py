"""Runs of a sweep, killed anywhere and started again: none repeated, none lost, none twice."""

import json
from pathlib import Path
from shutil import copytree
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from sweeps.plan import Run
from sweeps.record import check_record, fingerprint_data, read_record
from sweeps.results import Finished, collect
from tests.sweeps.conftest import SWEEP, plan, work, write_sweep
from utils.errors import UserError
from utils.files import read_rows, write_json

Trained = tuple[Path, Path, Path]


class Copied(NamedTuple):
    """A finished sweep of a test's own."""

    file: Path
    data: Path
    out: Path
    runs: list[Run]


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> Copied:
    """The run folders are copied, so that they may be damaged."""
    file, data, out = trained
    copytree(out, tmp_path / "runs")
    copytree(data, tmp_path / "data")
    runs = plan(file, tmp_path / "data", tmp_path / "runs")[1]
    return Copied(file, tmp_path / "data", tmp_path / "runs", runs)


def written(run: Run) -> dict[str, int]:
    """When the files of a run were written."""
    return {path.name: path.stat().st_mtime_ns for path in run.folder.path.iterdir()}


def test_a_finished_run_is_not_repeated(copied: Copied, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written(copied.runs[0])
    work(copied.runs[0], monkeypatch)
    after = written(copied.runs[0])
    assert before.pop(".lock") < after.pop(".lock")
    assert after == before


def test_a_run_killed_before_its_score_is_only_scored(
    copied: Copied, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied.runs[0]
    before, scores = written(run), (run.folder.path / "metrics.json").read_text()
    (run.folder.path / "metrics.json").unlink()
    assert not read_record(run.folder).is_finished
    work(run, monkeypatch)
    assert read_record(run.folder).is_finished
    assert written(run)["best.pt"] == before["best.pt"]
    assert '"dice":' in (run.folder.path / "metrics.json").read_text()
    assert len((run.folder.path / "metrics.json").read_text()) >= len(scores) - 200


def test_a_run_killed_in_its_first_epoch_begins_anew(
    copied: Copied, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied.runs[0]
    before = written(run)
    for name in ("metrics.json", "last.pt"):  # best.pt is written first
        (run.folder.path / name).unlink()
    work(run, monkeypatch)
    assert read_record(run.folder).is_finished
    assert written(run)["best.pt"] > before["best.pt"]


def test_a_run_killed_in_a_stage_goes_on(copied: Copied, monkeypatch: pytest.MonkeyPatch) -> None:
    run, commands = copied.runs[0], []
    stage = run.folder.path / "rounds"
    stage.mkdir()
    for name in ("config.yaml", "best.pt", "last.pt"):
        (run.folder.path / name).rename(stage / name)
    (run.folder.path / "metrics.json").unlink()
    monkeypatch.setattr("sweeps.worker._call", lambda *words: commands.append(words))
    work(run, monkeypatch)
    assert commands[0][-1] == "--resume"
    assert (stage / "best.pt").exists()


def test_changed_data_under_a_finished_run_is_refused(copied: Copied) -> None:
    run = copied.runs[0]
    image = next((copied.data / "test" / "image").iterdir())
    cv2.imwrite(str(image), np.zeros((64, 64), np.uint8))
    changed = fingerprint_data(copied.data)
    with pytest.raises(UserError, match="was run on other data than") as caught:
        check_record(run.folder, run.config, changed)
    assert str(run.folder.path) in str(caught.value)


def test_hidden_files_are_no_data(copied: Copied) -> None:
    before = fingerprint_data(copied.data)
    (copied.data / ".cache").mkdir(exist_ok=True)
    (copied.data / ".cache" / "test.bin").write_bytes(b"decoded")
    assert fingerprint_data(copied.data) == before
    (copied.data / "notes.txt").write_text("new")
    assert fingerprint_data(copied.data) != before


def test_changed_settings_of_a_run_are_refused_by_name(copied: Copied) -> None:
    file = write_sweep(copied.out.parent / "two.yaml", SWEEP.replace("width: 4", "width: 6"))
    run = plan(file, copied.data, copied.out)[1][1]
    with pytest.raises(UserError, match=r"was run with another model\.args\.width"):
        check_record(run.folder, run.config, fingerprint_data(copied.data))


def test_a_run_that_has_nothing_to_go_on_from_may_change(copied: Copied) -> None:
    run = copied.runs[0]
    for name in ("metrics.json", "last.pt"):
        (run.folder.path / name).unlink()
    assert check_record(run.folder, run.config, "other data") is None


def test_a_key_that_is_newer_than_the_run_has_its_default(copied: Copied) -> None:
    run = copied.runs[0]
    text = run.folder.config.read_text()
    assert "  ema_decay: null\n" in text
    run.folder.config.write_text(text.replace("  ema_decay: null\n", ""))
    content = json.loads((run.folder.path / "record.json").read_text())
    older = json.dumps(content | {"settings": "of fewer keys"})
    (run.folder.path / "record.json").write_text(older)
    assert check_record(run.folder, run.config, fingerprint_data(copied.data)).is_finished


def finished(runs: list[Run]) -> list[Finished]:
    return [Finished(run, record) for run in runs if (record := read_record(run.folder))]


def test_every_finished_run_has_one_row_however_often_it_is_collected(
    copied: Copied, tmp_path: Path
) -> None:
    file = tmp_path / "results" / "two_tiny.csv"
    collect(finished(copied.runs[:1]), "plain", file)
    collect(finished(copied.runs), "plain", file)
    first = file.read_text()
    collect(finished(copied.runs), "plain", file)
    assert file.read_text() == first
    rows = read_rows(file)
    assert [row["row"] for row in rows] == ["plain", "fused"]
    assert rows[0]["data_fingerprint"] == fingerprint_data(copied.data)
    assert float(rows[1]["train_seconds"]) > 0


def test_the_stages_of_a_run_count_in_its_time(copied: Copied, tmp_path: Path) -> None:
    def seconds() -> float:
        collect(finished(copied.runs[:1]), "plain", tmp_path / "two_tiny.csv")
        return float(read_rows(tmp_path / "two_tiny.csv")[0]["train_seconds"])

    whole, folder = seconds(), copied.runs[0].folder.path
    for stage in ("rounds", "pretrain"):
        (folder / stage).mkdir()
        write_json(folder / stage / "run_info.json", {"train_seconds": 100.0})
    assert seconds() == pytest.approx(whole + 200)


def test_rows_of_another_machine_stay(copied: Copied, tmp_path: Path) -> None:
    file = tmp_path / "two_tiny.csv"
    collect(finished(copied.runs), "plain", file)
    before = read_rows(file)
    collect(finished(copied.runs[1:]), "plain", file)
    assert read_rows(file) == before


def test_the_paired_test_is_of_the_same_cases_of_both_rows(copied: Copied, tmp_path: Path) -> None:
    rows = collect(finished(copied.runs), "plain", tmp_path / "two_tiny.csv")
    plain, fused = rows
    assert plain["paired_p"] is None
    assert fused["paired_difference"] == pytest.approx(fused["dice"] - plain["dice"])
    assert 0 < fused["paired_p"] <= 1
    assert fused["paired_seeds"] == 1
