"""A short fault campaign; python -m tests.faults.campaign runs the long one."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import (
    damage,
    full_disk,
    kills,
    not_finite,
    procedures,
    processes,
    stops,
    surroundings,
)
from tests.faults.bench import Bench
from tests.faults.long_run import Look, create_long_run, grown, watch
from tests.faults.outcome import Outcome, records
from tests.semi_data import PROCEDURES

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals to processes need POSIX")
needs_mount = pytest.mark.skipif(not full_disk.can_mount(), reason="mounting is not permitted")
needs_faketime = pytest.mark.skipif(not surroundings.has_faketime(), reason="no faketime")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("faults"), epochs=3)


def assert_all_good(outcomes: Iterator[Outcome], count: int) -> None:
    found = list(outcomes)
    assert len(found) == count
    assert all(outcome.is_good for outcome in found), records(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        kills.kill_within_write,
        stops.stop_in_training,
        full_disk.limit_file_size,
        processes.kill_loader_process,
    ],
)
def test_a_run_that_was_hit_ends_as_if_it_had_not_been(fault: Callable, bench: Bench) -> None:
    assert_all_good(fault(bench, random.Random(1), 1), 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        kills.kill_at_random,
        kills.kill_in_training,
        kills.kill_between_renames,
        kills.kill_after_epoch,
        stops.stop_at_start,
        damage.resume_damaged,
        not_finite.resume_with_nan,
        not_finite.overflow,
        surroundings.change_clock_and_language,
        surroundings.remove_data_file,
        processes.kill_rank_and_restart,
        processes.kill_rank,
        pytest.param(full_disk.fill_checkpoint_disk, marks=needs_mount),
        pytest.param(full_disk.fill_before_resume, marks=needs_mount),
        pytest.param(full_disk.fill_events_disk, marks=needs_mount),
        pytest.param(surroundings.freeze_data_folder, marks=needs_mount),
        pytest.param(surroundings.set_clock, marks=needs_faketime),
    ],
)
def test_rarer_faults_change_nothing_either(fault: Callable, bench: Bench) -> None:
    assert_all_good(fault(bench, random.Random(1), 2), 2)


@pytest.mark.slow
def test_procedures_that_were_killed_end_as_if_they_had_not_been(bench: Bench) -> None:
    found = procedures.kill_procedures(bench, random.Random(1), 2)
    assert_all_good(found, len(PROCEDURES))


@pytest.mark.slow
def test_without_a_readable_checkpoint_the_run_says_so(bench: Bench) -> None:
    assert_all_good(damage.resume_both_damaged(bench, random.Random(1)), 1)


def test_a_changed_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    damage.write_small_checkpoint(path)
    dice = random.Random(1)
    offsets = dice.sample(range(path.stat().st_size), 60)
    outcomes = list(damage.flip_bytes(path, offsets, dice))
    assert all(outcome.is_good for outcome in outcomes), records(outcomes)
    assert sum(outcome.hit == "refused" for outcome in outcomes) > 30


def test_a_cut_last_pt_gives_way_to_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    damage.write_small_checkpoint(path.with_name("last.previous.pt"))
    damage.write_small_checkpoint(path)
    size = path.stat().st_size
    offsets = [0, size - 1, *random.Random(1).sample(range(1, size - 1), 18)]
    assert_all_good(damage.cut_file(path, offsets), 20)


@pytest.mark.slow
def test_nothing_grows_in_a_long_run(tmp_path: Path) -> None:
    code, looks = watch(create_long_run(tmp_path, 600), 600, pause_s=0.3)
    assert code == 0
    assert len(looks) > 20
    # A third of the long run's steps: what an allocator keeps back weighs more.
    assert grown(looks, max_slope=40_000) == []


@pytest.mark.parametrize(
    ("key", "least"),
    [
        ("open_files", 1),
        ("processes", 1),
        ("threads", 1),
        ("shared_memory", 1),
        ("memory_kib", 50),
        ("workers_kib", 50),
    ],
)
def test_a_leak_is_seen_in_the_looks(key: str, least: int) -> None:
    healthy = [Look(10 * n, 300_000 + n % 7, 100_000, 20, 2, 5, n % 2) for n in range(80)]
    assert grown(healthy) == []
    leaking = [
        look._replace(**{key: getattr(look, key) + n * least}) for n, look in enumerate(healthy)
    ]
    assert [line.partition(":")[0] for line in grown(leaking)] == [key]
