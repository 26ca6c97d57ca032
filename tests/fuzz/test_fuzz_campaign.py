"""A short fuzz campaign, and whether one would see what it looks for."""

import os
from pathlib import Path

import pytest

from tests.fuzz.batches import BATCH, Batch, each_input
from tests.fuzz.campaign import campaign, table
from tests.fuzz.faulty import DEADLY, FAULTS, HARMLESS, LETHAL, do
from tests.fuzz.kind import KINDS, Files, Kind, find_kind
from tests.fuzz.trial import ACCEPTED, FAILED, REFUSED, attempt
from tests.fuzz.worker import Limits

pytestmark = pytest.mark.skipif(os.name == "nt", reason="limits and descriptors need POSIX")
_FEW = 6  # inputs of a kind


@pytest.mark.parametrize(
    "name", [pytest.param(k, marks=pytest.mark.slow) if k == "onnx" else k for k in KINDS]
)
def test_spoilt_inputs_are_taken_or_refused(name: str, tmp_path: Path) -> None:
    verdicts = []
    kind = find_kind(KINDS[name])

    def use(index: int, files: Files) -> None:
        verdicts.append(attempt(kind, files, tmp_path / "input"))

    each_input(Batch.whole(name, 0, _FEW), 0, use)
    assert len(verdicts) == _FEW
    assert [v.reason for v in verdicts if v.outcome == FAILED] == []


def drawn(batch: Batch, seed: int) -> dict[int, Files]:
    found: dict[int, Files] = {}
    each_input(batch, seed, found.__setitem__)
    return found


def test_an_input_is_the_same_for_the_same_seed_and_index() -> None:
    batch = drawn(Batch.whole("tiff", 3), 7)
    assert list(batch) == list(range(3 * BATCH, 4 * BATCH))
    index = 3 * BATCH + 30
    assert drawn(Batch("tiff", 3, index, index), 7) == {index: batch[index]}
    assert drawn(Batch.whole("tiff", 3), 8) != batch
    assert len({files["slice.tif"] for files in batch.values()}) > BATCH * 0.8


def tried(what: str, folder: Path) -> tuple[str, str]:
    """Outcome and reason of an input of tests.fuzz.faulty."""
    verdict = attempt(Kind(DEADLY.inputs, do), {"what": what.encode()}, folder / "input")
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize("what", HARMLESS)
def test_success_and_a_line_are_no_failures(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tried(what, tmp_path)[0] == (REFUSED if what in ("refuse", "end with 2") else ACCEPTED)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("what", FAULTS)
def test_every_fault_is_seen(what: str, tmp_path: Path) -> None:
    outcome, reason = tried(what, tmp_path)
    assert outcome == FAILED
    part = {
        "KeyError": "KeyError: 'KeyError'",
        "two lines": "not one line",
        "end with 1": "exit code 1",
        "draft": "left behind: out/.7.abc.mask.png",
        "temporary file": "left behind: tmp/",
        "half-written": "left behind: out/mask.png",
    }.get(what, "printed to stderr")
    assert part in reason


def test_a_campaign_keeps_what_failed_and_counts_it(tmp_path: Path) -> None:
    place = "tests.fuzz.faulty:FAULTY"
    tallies = campaign(
        [place], 5, tmp_path, has_time=lambda found: not found[place].batches, num_processes=1
    )
    failed = tallies[place].failed
    assert failed == tallies[place].inputs == len(FAULTS)
    assert f"| {place} | {failed} | 0 | 0 | {failed} |" in table(tallies)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == sorted(f"FAULTY_seed5_{index}" for index in range(failed))
    whats = {path.read_text() for path in tmp_path.glob("*/in/what")}
    assert whats == set(FAULTS)
    assert all(path.stat().st_size for path in tmp_path.glob("*/traceback.txt"))


@pytest.mark.slow
def test_a_campaign_outlives_what_kills_its_processes(tmp_path: Path) -> None:
    place = "tests.fuzz.faulty:DEADLY"
    limits = Limits(cpu_s=1, silent_s=30.0)
    tallies = campaign(
        [place],
        5,
        tmp_path,
        has_time=lambda found: not found[place].batches,
        num_processes=1,
        limits=limits,
    )
    assert tallies[place].failed == len(LETHAL)
    assert tallies[place].accepted == 1
    reasons = {
        path.with_name("in").joinpath("what").read_text(): path.read_text()
        for path in tmp_path.glob("*/traceback.txt")
    }
    assert "more than 1 s of CPU time" in reasons["hang"]
    assert "in _die" in reasons["hang"]
    assert "silent for 30 s" in reasons["sleep"]
    assert "MemoryError" in reasons["memory"]
    assert "aborted" in reasons["abort"]
