"""Where runs are started: how many at once, by which threads and GPU, and what they leave."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from sweeps.board import Board
from sweeps.clusters import ENGINES, create_engine
from sweeps.launch import LocalEngine, Options, Task, default_threads, run_task
from utils.errors import UserError

PAUSE = "import time; time.sleep(0.4)"
TOLD = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ.get('CUDA_VISIBLE_DEVICES'))"


def make_tasks(folder: Path, count: int, program: str = PAUSE) -> list[Task]:
    """Short programs in the place of training runs."""
    names = [f"run{i}" for i in range(count)]
    return [Task(name, ("-c", program), str(folder / name / "sweep.log"), 1) for name in names]


def test_no_more_than_the_jobs_run_at_once_and_all_of_them_end(tmp_path: Path) -> None:
    program = (
        "import os, sys, time, pathlib\n"
        f"place = pathlib.Path({str(tmp_path)!r}) / f'{{os.getpid()}}.running'\n"
        "place.touch(); time.sleep(0.3)\n"
        "print(len(list(place.parent.glob('*.running')))); place.unlink()"
    )
    tasks = make_tasks(tmp_path, 5, program)
    started: list[Task] = []
    ended = list(LocalEngine(Options(jobs=2)).run(tasks, started.append))
    assert started == tasks
    assert {task for task, _ in ended} == set(tasks)
    assert {outcome for _, outcome in ended} == {(0, "")}
    most = max(int(Path(task.log).read_text()) for task in tasks)
    assert most <= 2


def test_jobs_take_turns_on_the_gpus_and_share_out_the_threads(tmp_path: Path) -> None:
    tasks = make_tasks(tmp_path, 4, f"{TOLD}; {PAUSE}")
    list(LocalEngine(Options(jobs=2, gpus=(0, 3))).run(tasks))
    told = [Path(task.log).read_text().split() for task in tasks]
    assert {gpu for _, gpu in told} == {"0", "3"}
    assert {threads for threads, _ in told} == {"1"}
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert default_threads(1) == available
    assert default_threads(10 * available) == 1


def test_a_failure_has_its_code_and_the_end_of_its_log_and_the_rest_go_on(tmp_path: Path) -> None:
    good = make_tasks(tmp_path, 2, "print('well')")
    lines = "print('\\n'.join(f'line {i}' for i in range(40))); raise SystemExit(3)"
    bad = Task("bad", ("-c", lines), str(tmp_path / "bad.log"), 1)
    ended = dict(LocalEngine(Options()).run([good[0], bad, good[1]]))
    assert ended[bad].code == 3
    assert ended[bad].tail.splitlines() == [f"line {i}" for i in range(28, 40)]
    assert {ended[task].code for task in good} == {0}


def test_a_log_is_added_to_and_never_begun_anew(tmp_path: Path) -> None:
    (task,) = make_tasks(tmp_path, 1, "print('once')")
    for _ in range(2):
        run_task(task)
    assert Path(task.log).read_text() == "once\nonce\n"


def test_a_stop_reaches_the_processes_and_nothing_more_is_started(tmp_path: Path) -> None:
    tasks = make_tasks(tmp_path, 4, "import time; time.sleep(60)")
    engine, started = LocalEngine(Options(jobs=2)), []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by 'make test &'

    def interrupt() -> None:
        while len(engine.processes) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(engine.run(tasks, started.append))
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - start < 30
    assert len(started) == 2
    assert not engine.processes


def test_the_board_counts_and_lists_failures_with_their_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = make_tasks(tmp_path, 3, "print('no'); raise SystemExit(1)")
    board = Board(num_runs=5, num_finished=2, tasks=tasks, jobs=1)
    with board.open():
        for task, outcome in LocalEngine(Options()).run(tasks[:1], board.started):
            board.ended(task, outcome)
        board.started(tasks[1])
        board.ended(tasks[1], outcome._replace(code=0))
    assert board.summary().startswith("3 of 5 runs finished, 1 failed, about 0 min left")
    assert board.describe_failures() == [f"\nfailed   run0, exit code 1, {tasks[0].log}:\nno"]
    assert "started  run0\nfailed   run0, exit code 1" in capsys.readouterr().out


def test_an_engine_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("ray", "submitit"):
        monkeypatch.setitem(__import__("sys").modules, package, None)
    for name in ENGINES[1:]:
        with pytest.raises(UserError, match=r"not installed; 'pip install -r requirements-cluster"):
            create_engine(name, Options(), tmp_path, {})
    with pytest.raises(UserError, match="--slurm: goes with --engine slurm"):
        create_engine("local", Options(), tmp_path, {"partition": "gpu"})
