"""Folders of a user's own: images paired by patterns."""

from pathlib import Path

import numpy as np
import pytest
from generic_cases import cases_of, refusal, write_pair
from image_files import classes, grey, only, write

from datasets.sources.generic import GenericOptions


def test_folders_with_slices_of_one_name_need_a_pattern(tmp_path: Path) -> None:
    for patient in ("p1", "p2"):
        write_pair(tmp_path, f"{patient}/images/001.png", f"{patient}/masks/001.png")
    assert "'{patient}/images/{case}.png'" in refusal(tmp_path)
    options = GenericOptions("{patient}/images/{slice}.png", "{patient}/masks/{slice}.png")
    cases = cases_of(tmp_path, options)
    assert {name: (case.patient, case.is_volume) for name, case in cases.items()} == {
        "p1": ("p1", True),
        "p2": ("p2", True),
    }
    assert [item.index for item in cases["p1"].read(8)] == [1]


@pytest.mark.parametrize(
    ("patterns", "files", "expected"),
    [
        (("{case}.png", "{case}-m.png"), ("a.png", "a-m.png"), ("a", "a", False)),
        (("{case}.png", "m/{case}.png"), ("a.png", "m/a.png"), ("a", "a", False)),
        (("i/{case}_{slice}.png", "m/{slice}_{case}.png"), ("i/a_3.png", "m/3_a.png"),
         ("a", "a", True)),
        (("{patient}/{case}.png", "{patient}/{case}_m.png"), ("p/s.png", "p/s_m.png"),
         ("p_s", "p", False)),
        (("{patient}/{case}.png", "{patient}/{case}_m.png"), ("p/p_1.png", "p/p_1_m.png"),
         ("p_1", "p", False)),
        (("x/{case}_z1.png", "y/{case}_z1.png"), ("x/q_z1.png", "y/q_z1.png"), ("q", "q", False)),
    ],
)  # fmt: skip
def test_patterns_say_who_and_where(
    patterns: tuple[str, str],
    files: tuple[str, str],
    expected: tuple[str, str, bool],
    tmp_path: Path,
) -> None:
    write_pair(tmp_path, *files, 6)
    cases = cases_of(tmp_path, GenericOptions(*patterns))
    assert [(name, case.patient, case.is_volume) for name, case in cases.items()] == [expected]
    item = only(cases[expected[0]])
    np.testing.assert_array_equal(item.image, grey(6))
    np.testing.assert_array_equal(item.label, classes(255, seed=6) // 255)


def test_patterns_find_splits_and_lungs(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_pair(tmp_path, f"{split}/i/1.png", f"{split}/m/1.png")
    write(tmp_path / "test/l/1.png", classes(1, seed=8))
    options = GenericOptions("{split}/i/{case}.png", "{split}/m/{case}.png", "{split}/l/{case}.png")
    cases = cases_of(tmp_path, options)
    assert {name: case.split for name, case in cases.items()} == {
        "train_1": "train",
        "test_1": "test",
    }
    np.testing.assert_array_equal(only(cases["test_1"]).lung, classes(1, seed=8) > 0)
    assert only(cases["train_1"]).lung is None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (GenericOptions("{case}.png"), "one for images and another for masks"),
        (GenericOptions("{case}.png", "{case}.png"), "one for images and another for masks"),
        (GenericOptions("i/{x}.png", "m/{case}.png"), "{x} is not known"),
        (GenericOptions("i/{case}.png", "m/{patient}.png"), "no common field"),
        (GenericOptions("j/{case}.png", "n/{case}.png"), "no case found, but i/a.png, m/a.png"),
        (GenericOptions("{split}/{case}.png", "m/{case}.png"), "'i' is no split"),
        (GenericOptions("i/{case}.png", "n/{case}.png"), "no mask for"),
    ],
)
def test_patterns_that_cannot_be_meant_are_refused(
    options: GenericOptions, problem: str, tmp_path: Path
) -> None:
    write_pair(tmp_path, "i/a.png", "m/a.png")
    assert problem in refusal(tmp_path, options)
