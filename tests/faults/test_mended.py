"""What fault campaigns have found, each in the smallest case that shows it."""

import json
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.tensorboard import summary

from tests.faults.comparison import curves
from training.checkpoint import load_checkpoint, save_checkpoint
from training.run_folder import RunFolder, open_run_folder
from training.tensorboard import EventFile
from utils.config_loader import load_config, save_config
from utils.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]


def write_points(folder: Path, first_step: int, steps: range) -> None:
    events = EventFile(folder, first_step)
    for step in steps:
        events.add(summary.scalar("val/dice", step / 8), step)
    events.close()


def test_a_session_after_the_clock_was_set_back_goes_on_with_the_curve(tmp_path: Path) -> None:
    write_points(tmp_path, 1, range(1, 4))
    (first,) = tmp_path.iterdir()
    parts = first.name.split(".")
    parts[3] = str(int(parts[3]) + 86_400)  # written by a clock a day ahead
    first.rename(first.with_name(".".join(parts)))
    write_points(tmp_path, 3, range(3, 6))
    points = [(step, step / 8) for step in range(1, 6)]
    assert curves(tmp_path) == {"val/dice": points}


def test_events_outlive_the_process_once_they_are_flushed(tmp_path: Path) -> None:
    events = EventFile(tmp_path, 1)
    events.add(summary.scalar("val/dice", 0.5), 1)
    events.flush()
    assert curves(tmp_path) == {"val/dice": [(1, 0.5)]}
    events.close()


def test_a_full_disk_of_events_is_an_error_of_the_caller(tmp_path: Path) -> None:
    events = EventFile(tmp_path, 1)
    events.add(summary.text("config", "x" * 2000))
    with limited_file_size(1000), pytest.raises(OSError, match="too large"):
        events.flush()
    events.close()


def test_files_that_a_killed_process_left_go_when_the_run_goes_on(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.last.write_bytes(b"whole")
    for name in (".77.last.pt", ".77.best.pt", ".77.last.previous.pt"):
        (tmp_path / name).write_bytes(b"half")
    assert open_run_folder(folder, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_run_that_is_refused_keeps_the_drafts_of_the_one_that_goes_on(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.last.write_bytes(b"whole")
    draft = tmp_path / ".77.last.pt"
    draft.write_bytes(b"half")
    with pytest.raises(UserError, match="holds a run already"):
        open_run_folder(folder, resume=False)
    assert draft.exists()


def test_best_pt_alone_is_no_reason_to_start_without_resume(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.best.write_bytes(b"whole")
    with pytest.raises(UserError, match=r"best\.pt alone") as caught:
        open_run_folder(folder, resume=True)
    assert "start the run" not in str(caught.value)


def die(number: int, frame: object) -> None:
    """Raise what torch's handler of SIGCHLD raises, wherever the main thread is."""
    raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")


def test_a_loader_process_that_dies_during_a_write_is_not_taken_for_a_full_disk(
    tmp_path: Path,
) -> None:
    content = {"model": [torch.zeros(100_000) for _ in range(300)]}
    former = signal.signal(signal.SIGALRM, die)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)  # the write takes five times as long
        with pytest.raises(RuntimeError, match="DataLoader worker") as caught:
            save_checkpoint(tmp_path / "last.pt", content)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert not isinstance(caught.value, UserError)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_called_so(tmp_path: Path) -> None:
    content = {"model": torch.zeros(100_000)}
    with limited_file_size(50_000), pytest.raises(UserError, match="File too large"):
        save_checkpoint(tmp_path / "last.pt", content)


def test_a_bit_that_makes_a_tensor_a_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"model": {"weight": torch.arange(4.0)}})
    damaged = bytearray(path.read_bytes())
    damaged[damaged.rindex(b"/data/0") - len("archive") - 8] ^= (
        0x10  # external attributes stand 8 bytes before the name
    )
    path.write_bytes(damaged)
    with pytest.raises(UserError, match="damaged"):
        load_checkpoint(path)


def test_a_full_disk_leaves_the_configuration_of_a_run_whole(tmp_path: Path) -> None:
    config = load_config(REPOSITORY / "resources" / "train_config.yaml")
    path = tmp_path / "config.yaml"
    save_config(config, path)
    before = path.read_bytes()
    with limited_file_size(100), pytest.raises(UserError, match="too large"):
        save_config(config, path)
    assert path.read_bytes() == before


def test_the_end_of_a_run_is_told_by_the_next_session_where_a_kill_came_first(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    assert run_script("train.py", *small_settings).code == 0
    folder = tmp_path / "runs" / "train_config" / "seed2"
    info = json.loads((folder / "run_info.json").read_text())
    scores = info.pop("best_scores")
    del info["epochs"]
    (folder / "run_info.json").write_text(json.dumps(info))
    before = (folder / "last.pt").read_bytes()
    assert run_script("train.py", *small_settings, "--resume").code == 0
    assert json.loads((folder / "run_info.json").read_text())["best_scores"] == scores
    assert (folder / "last.pt").read_bytes() == before
    assert "finished before" in run_script("train.py", *small_settings, "--resume").out


class limited_file_size:  # noqa: N801 - reads as a function
    """No file of this process may grow beyond so many bytes within the block."""

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes = num_bytes

    def __enter__(self) -> None:
        self.former = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.num_bytes, self.former[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.former)
