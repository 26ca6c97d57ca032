"""Patterns of file names."""

from pathlib import PurePosixPath

import pytest

from datasets.sources.patterns import parse_pattern, split_of
from utils.errors import UserError


@pytest.mark.parametrize(
    ("pattern", "place", "fields"),
    [
        ("{case}.png", "any/where/p1.png", {"case": "p1"}),
        ("ct/{case}_z{slice}.png", "set/CT/p_1_z007.PNG", {"case": "p_1", "slice": "007"}),
        ("{patient}/ct_{slice}.png", "x/p1/ct_12.png", {"patient": "p1", "slice": "12"}),
        ("/{split}/{case}/im*.png", "train/a/im_x.png", {"split": "train", "case": "a"}),
        ("{case}/{case}_ct.nii.gz", "a/a_ct.nii.gz", {"case": "a"}),
        ("{case}/{case}_ct.nii.gz", "a/b_ct.nii.gz", None),
        ("{case}_{slice}.png", "a_b_3.png", {"case": "a_b", "slice": "3"}),
        ("{case}_{slice}.png", "a_b.png", None),
        ("ct/{case}.png", "act/p1.png", None),
        ("a/{case}.png", "p1.png", None),
        ("{case}.png", "p1xpng", None),
        ("im*/{case}.png", "im/sub/p1.png", None),
        ("{case}(1)+.png", "p(1)+.png", {"case": "p"}),
    ],
)
def test_a_pattern_fits_the_end_of_a_path(
    pattern: str, place: str, fields: dict[str, str] | None
) -> None:
    assert parse_pattern(pattern).match(PurePosixPath(place)) == fields


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("{case}_{number}.png", "{number} is not known; use {patient}, {case}"),
        ("{}.png", "{} is not known"),
        ("{case.png", "{ is not known"),
        ("case}.png", "} is not known"),
        ("img_{slice}.png", "names no case"),
        ("", "names no case"),
    ],
)
def test_a_pattern_without_sense_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_pattern(pattern)
    assert str(caught.value).startswith(f"pattern {pattern!r}: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("TrainingSet", "train"),
        ("valid", "val"),
        ("Validation_Set", "val"),
        ("test set", "test"),
        ("constrain", None),
        ("images", None),
    ],
)
def test_folders_that_are_splits_are_known(name: str, split: str | None) -> None:
    assert split_of(name) == split
