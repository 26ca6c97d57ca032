"""Ray's own local cluster and submitit's local executor, where they are installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.clusters import PolledEngine, create_engine
from sweeps.launch import Options, Task
from tests.sweeps.test_launch import make_tasks

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
PACKAGES = {"ray": "ray", "submitit-local": "submitit"}


@pytest.fixture(params=PACKAGES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PolledEngine]:
    pytest.importorskip(PACKAGES[request.param], reason="requirements-cluster.txt")
    made = create_engine(request.param, Options(jobs=2), tmp_path / "engine", {})
    yield made
    made.backend.close()


def test_every_task_runs_once_with_its_code_and_log(engine: PolledEngine, tmp_path: Path) -> None:
    tasks = make_tasks(tmp_path, 4, "print('well')")
    tasks.append(Task("bad", ("-c", "print('no'); raise SystemExit(3)"), f"{tmp_path}/bad.log", 1))
    started: list[Task] = []
    ended = dict(engine.run(tasks, started.append))
    assert started == tasks
    assert {task.name: outcome.code for task, outcome in ended.items()} == {
        "run0": 0, "run1": 0, "run2": 0, "run3": 0, "bad": 3,
    }  # fmt: skip
    assert ended[tasks[-1]].tail == "no"
    assert [Path(task.log).read_text() for task in tasks[:4]] == ["well\n"] * 4
