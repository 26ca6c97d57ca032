"""Folds are whole data folders that share their bytes, and every patient is tested once."""

import json
from pathlib import Path

import pytest

from preparation.checks.folder import check_folder
from preparation.conversion.convert import convert
from preparation.conversion.options import ConversionOptions
from tests.preparation.conversion.drawn_cases import make_case, make_source
from utils.errors import UserError

FOUR = ConversionOptions(folds=4, describe=False)


def convert_patients(root: Path, count: int, options: ConversionOptions = FOUR) -> Path:
    cases = [make_case(f"p{number}", lesion_rows=(number, 8, 0)) for number in range(count)]
    convert([make_source(root / "in", *cases)], root / "out", options)
    return root / "out"


def listed(out: Path, fold: int) -> dict[str, set[str]]:
    content = json.loads((out / f"fold{fold}" / "splits.json").read_text())
    return {split: set(names) for split, names in content.items()}


def test_every_patient_is_tested_once_and_validated_on_once(tmp_path: Path) -> None:
    out = convert_patients(tmp_path, 10)
    folds = [listed(out, fold) for fold in range(4)]
    everyone = {f"p{number}" for number in range(10)}
    for part in ("test", "val"):
        assert sum(len(fold[part]) for fold in folds) == 10
        assert set.union(*(fold[part] for fold in folds)) == everyone
    for number, fold in enumerate(folds):
        assert set.union(*fold.values()) == everyone
        assert sum(map(len, fold.values())) == 10
        assert fold["val"] == folds[(number + 1) % 4]["test"]


def test_every_fold_is_a_sound_data_folder(tmp_path: Path) -> None:
    out = convert_patients(tmp_path, 4)
    assert sorted(path.name for path in out.iterdir()) == [f"fold{number}" for number in range(4)]
    for fold in out.iterdir():
        assert check_folder(fold) == []
        assert {path.name for path in fold.iterdir() if path.is_file()} == {
            "manifest.csv", "splits.json", "dataset.json",
        }  # fmt: skip


def test_folds_share_the_bytes_of_every_slice(tmp_path: Path) -> None:
    out = convert_patients(tmp_path, 4)
    images = list(out.rglob("p0_z000.png"))
    assert len(images) == 4 * 3  # image, mask and label in each fold
    assert {path.stat().st_nlink for path in images} == {4}


def test_patients_who_share_a_slice_stay_in_one_part(tmp_path: Path) -> None:
    cases = [make_case(f"p{number}") for number in range(6)]
    cases.append(make_case("twin", seed=sum(b"p2")))
    convert([make_source(tmp_path / "in", *cases)], tmp_path / "out", FOUR)
    for number in range(4):
        homes = {
            name: split for split, own in listed(tmp_path / "out", number).items() for name in own
        }
        assert homes["twin"] == homes["p2"]


def test_the_summary_counts_the_test_part_of_each_fold(tmp_path: Path) -> None:
    cases = [make_case(f"p{number}") for number in range(5)]
    summary = convert([make_source(tmp_path / "in", *cases)], tmp_path / "out", FOUR)
    assert sorted(summary.slices_per_split) == [f"fold{number}" for number in range(4)]
    assert sum(summary.slices_per_split.values()) == summary.num_slices == 15


def test_the_slices_of_all_folds_are_described_once(tmp_path: Path) -> None:
    out = convert_patients(tmp_path, 3, ConversionOptions(folds=3))
    made = {path.name for path in out.iterdir() if path.is_file()}
    assert made == {"fingerprint.json", "fingerprint.html", "montage.png"}


def test_fewer_patients_than_folds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--folds 4: there are only 3 patients"):
        convert_patients(tmp_path, 3)
    assert not (tmp_path / "out").exists()
