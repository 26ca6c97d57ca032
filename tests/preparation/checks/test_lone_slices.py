"""Folders in which no two slices are of one patient."""

import pytest

from preparation.checks.lone_slices import explain_lone_slices


@pytest.mark.parametrize("patients", [[], ["a"], ["a", "a"], ["a", "a", "b"], ["a", "b", "c", "c"]])
def test_folders_that_know_their_patients_are_passed_over(patients: list[str]) -> None:
    assert explain_lone_slices([f"x_{i}" for i in range(len(patients))], patients) is None


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("IM-0008-0081", "{patient}-{slice}.png"),
        ("ann 12", "{patient} {slice}.png"),
        ("scan.7", "{patient}.{slice}.png"),
        ("0081", "{patient}_{slice}.png"),
        ("ann", "{patient}_{slice}.png"),
    ],
)
def test_a_pattern_is_made_of_the_first_name(name: str, pattern: str) -> None:
    message = explain_lone_slices([name, "other"], ["a", "b"])
    assert message.startswith(f"every file counts as a patient of its own ({name}, other)")
    assert f"--images 'images/{pattern}' --masks 'masks/{pattern}'" in message


def test_those_who_are_known_are_not_counted() -> None:
    message = explain_lone_slices(["a_1", "a_2", "x", "y", "z"], ["a", "a", "x", "y", "z"])
    assert message.startswith("3 files count each as a patient of its own (x, y, z)")
