"""Files of slices whose names hold the patient, or do not, as prepare.py and train.py take them."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from tests.conftest import Finished
from tests.preparation.drawn_chests import chests

Run = Callable[..., Finished]
pytestmark = pytest.mark.usefixtures("undrawn")


def write_named(root: Path, name: str) -> Path:
    """Chests under names with the number of the patient and of the slice."""
    for number, chest in enumerate(chests().values()):
        for kind, planes in (("image", chest.image), ("mask", chest.lesion)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            for index, plane in enumerate(planes):
                file = name.format(patient=number, slice=index)
                cv2.imwrite(str(root / kind / f"{file}.png"), plane)
    return root


def patients(out: Path) -> dict[str, set[str]]:
    """Splits of every patient of a manifest."""
    with (out / "manifest.csv").open(newline="") as stream:
        found: dict[str, set[str]] = {}
        for row in csv.DictReader(stream):
            found.setdefault(row["patient"], set()).add(row["split"])
    return found


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("137covid_patient{patient}_SR_2_IM{slice:05d}", "137covid_patient{}"),
        ("Patient {patient} ({slice})", "Patient {}"),
        ("patient{patient}_{slice:03d}", "patient{}"),
        ("case{patient}.slice{slice}", "case{}"),
    ],
)
def test_the_patient_is_found_in_names_of_slices(
    name: str, patient: str, run_script: Run, tmp_path: Path
) -> None:
    scans, out = write_named(tmp_path / "scans", name), tmp_path / "out"
    finished = run_script("prepare.py", "generic", "--from", scans, "--out", out)
    assert (finished.code, finished.err) == (0, "")
    found = patients(out)
    assert set(found) == {patient.format(number) for number in range(len(chests()))}
    assert all(len(splits) == 1 for splits in found.values())
    assert run_script("prepare.py", "check", out).code == 0


def test_names_that_hold_no_patient_are_told_with_the_patterns_that_cure_it(
    run_script: Run, tmp_path: Path
) -> None:
    scans = write_named(tmp_path / "scans", "IM-{patient:04d}-{slice:04d}")
    finished = run_script("prepare.py", "generic", "--from", scans, "--out", tmp_path / "alone")
    assert finished.code == 0
    assert "every file counts as a patient of its own (IM-0000-0000, " in finished.err
    hint = "--images 'images/{patient}-{slice}.png' --masks 'masks/{patient}-{slice}.png'"
    assert hint in finished.err
    checked = run_script("prepare.py", "check", tmp_path / "alone")
    assert (checked.code, hint in checked.out) == (0, True)
    cure = [word.strip("'").replace("s/", "/") for word in hint.split()]  # its folders: image, mask
    out = tmp_path / "together"
    finished = run_script("prepare.py", "generic", "--from", scans, "--out", out, *cure)
    assert (finished.code, finished.err) == (0, "")
    assert set(patients(out)) == {f"IM-{number:04d}" for number in range(len(chests()))}
    assert "every file" not in run_script("prepare.py", "check", out).out


def test_a_folder_without_a_pair_is_refused_in_three_lines(run_script: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    arguments = ["--from", tmp_path / "in", "--out", tmp_path / "out"]
    finished = run_script("prepare.py", "generic", *arguments)
    assert finished.code == 2
    assert len(finished.err.strip().splitlines()) == 3
