"""A source's own split is kept, patients who belong together are not divided."""

import json
from pathlib import Path

import pytest

from datasets.data_folder import FolderSummary
from datasets.sources.source import SourceCase
from preparation.conversion.convert import convert
from preparation.conversion.grouping import join_patients
from preparation.conversion.options import ConversionOptions
from tests.preparation.conversion.drawn_cases import make_case, make_source
from utils.errors import UserError

PLAIN = ConversionOptions(describe=False)


def parts(**sizes: int) -> list[SourceCase]:
    """Patients train0, train1, ..., test0, ... of a source with a split of its own."""
    return [
        make_case(f"{split}{number}", split=split, lesion_rows=(1 + number, 8))
        for split, count in sizes.items()
        for number in range(count)
    ]


def run(root: Path, *cases: SourceCase, options: ConversionOptions = PLAIN) -> FolderSummary:
    return convert([make_source(root / "in", *cases)], root / "out", options)


def listed(root: Path) -> dict[str, list[str]]:
    return json.loads((root / "out" / "splits.json").read_text())


def test_a_whole_split_of_the_source_is_kept(tmp_path: Path) -> None:
    run(tmp_path, *parts(train=2, val=3, test=4))
    assert {split: len(names) for split, names in listed(tmp_path).items()} == {
        "train": 2, "val": 3, "test": 4,
    }  # fmt: skip
    assert listed(tmp_path)["val"] == ["val0", "val1", "val2"]


def test_val_is_taken_from_train_by_patient_where_the_source_has_none(tmp_path: Path) -> None:
    run(tmp_path, *parts(train=16, test=4))
    splits = listed(tmp_path)
    assert splits["test"] == [f"test{number}" for number in range(4)]
    assert len(splits["val"]) == 2  # 0.1 / (0.7 + 0.1) of 16
    assert len(splits["train"]) == 14
    assert all(name.startswith("train") for name in splits["val"])


def test_no_val_is_taken_where_none_is_wanted(tmp_path: Path) -> None:
    options = PLAIN._replace(fractions=(0.8, 0.0, 0.2))
    run(tmp_path, *parts(train=16, test=4), options=options)
    assert {split: len(names) for split, names in listed(tmp_path).items()} == {
        "train": 16, "test": 4,
    }  # fmt: skip


def test_a_source_with_one_part_alone_is_dealt_out(tmp_path: Path) -> None:
    run(tmp_path, *parts(train=10))
    assert {split: len(names) for split, names in listed(tmp_path).items()} == {
        "train": 7, "val": 1, "test": 2,
    }  # fmt: skip


def test_the_split_of_the_source_is_given_up_on_request(tmp_path: Path) -> None:
    options = PLAIN._replace(own_split=False)
    run(tmp_path, *parts(train=5, val=5, test=10), options=options)
    assert {split: len(names) for split, names in listed(tmp_path).items()} == {
        "train": 14, "val": 2, "test": 4,
    }  # fmt: skip


def test_twins_of_a_patient_in_a_given_split_follow_it(tmp_path: Path) -> None:
    # The twins show the same slices as test0 and test1, under other names in another source.
    twins = [make_case(f"twin{n}", seed=sum(f"test{n}".encode())) for n in range(2)]
    first = make_source(tmp_path / "in", *parts(train=4, val=1, test=2))
    second = make_source(tmp_path / "in", *twins, make_case("free"), name="second")
    convert([first, second], tmp_path / "out", PLAIN)
    assert {"twin0", "twin1"} <= set(listed(tmp_path)["test"])


def test_a_split_of_the_source_that_leaks_is_refused(tmp_path: Path) -> None:
    cases = [*parts(train=3, test=2), make_case("copy", seed=sum(b"test1"), split="train")]
    with pytest.raises(UserError, match=r"\d pairs? of near-duplicate slices"):
        run(tmp_path, *cases)
    assert not (tmp_path / "out").exists()
    summary = run(tmp_path, *cases, options=PLAIN._replace(allow_leak=True))
    assert any(note.startswith("leak, allowed: ") for note in summary.notes)


def test_a_patient_in_two_parts_of_the_source_is_refused(tmp_path: Path) -> None:
    cases = [*parts(train=3, test=2), make_case("more", patient="test1", split="train")]
    with pytest.raises(UserError) as caught:
        run(tmp_path, *cases)
    assert "1 patient in two splits: test1 in train and test" in str(caught.value)
    assert "--allow-leak" in str(caught.value)


def test_patients_are_tied_by_chains_and_named_after_the_first() -> None:
    groups = join_patients("abcdef", [("d", "b"), ("f", "e"), ("d", "e")])
    assert groups == {"a": "a", "b": "b", "c": "c", "d": "b", "e": "b", "f": "b"}
