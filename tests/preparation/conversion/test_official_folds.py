"""The folds that the COVID-19-CT-Seg benchmark has published."""

import json
from collections import Counter
from pathlib import Path

import pytest

from datasets.data_folder import FolderSummary
from datasets.sources.scan_names import patient_of_scan
from preparation.conversion.convert import convert
from preparation.conversion.official_folds import OFFICIAL
from preparation.conversion.options import ConversionOptions
from tests.preparation.conversion.drawn_cases import make_case, make_source
from utils.errors import UserError

RADIOPAEDIA = (
    "4_85506_1", "7_85703_0", "10_85902_1", "10_85902_3", "14_85914_0", "27_86410_0", "29_86490_1",
    "29_86491_1", "36_86526_0", "40_86625_0",
)  # fmt: skip
SCANS = [f"coronacases_{number:03d}" for number in range(1, 11)]
SCANS += [f"radiopaedia_{name}" for name in RADIOPAEDIA]


def convert_scans(root: Path, scans: list[str], form: str, **options: bool) -> FolderSummary:
    cases = [make_case(s, patient=patient_of_scan(s), seed=i) for i, s in enumerate(scans)]
    source = make_source(root / "in", *cases, name="covid-ct-seg")
    wanted = ConversionOptions(folds=form, describe=False, **options)
    return convert([source], root / "out", wanted)


def scans_of(out: Path, fold: int) -> dict[str, set[str]]:
    """The scans of each split."""
    found: dict[str, set[str]] = {}
    for path in (out / f"fold{fold}").glob("*/image/*.png"):
        found.setdefault(path.parts[-3], set()).add(path.stem.rpartition("_z")[0])
    return found


def test_each_of_five_folds_trains_on_four_scans_and_tests_on_the_rest(tmp_path: Path) -> None:
    summary = convert_scans(tmp_path, SCANS, "official")
    folds = [scans_of(tmp_path / "out", number) for number in range(5)]
    trained = Counter()
    for fold in folds:
        assert [len(fold[split]) for split in ("train", "val", "test")] == [3, 1, 16]
        assert set.union(*fold.values()) == set(SCANS)
        trained.update(fold["train"] | fold["val"])
    assert trained == Counter(SCANS)  # each once
    assert folds[0]["train"] | folds[0]["val"] == {
        "coronacases_008", "coronacases_007", "radiopaedia_36_86526_0", "radiopaedia_4_85506_1",
    }  # fmt: skip
    told = [note for note in summary.notes if "one patient" in note]
    assert len(told) == 4
    assert (
        "fold2: radiopaedia_10_85902_1 (train) and radiopaedia_10_85902_3 (test) are scans of one "
        "patient, as published"
    ) in told


def test_turned_round_every_scan_is_tested_once_and_val_has_no_twin_in_train(
    tmp_path: Path,
) -> None:
    convert_scans(tmp_path, SCANS, "official-16-4")
    tested = Counter()
    for number in range(5):
        fold = scans_of(tmp_path / "out", number)
        assert [len(fold[split]) for split in ("train", "val", "test")] == [15, 1, 4]
        content = json.loads((tmp_path / "out" / f"fold{number}" / "splits.json").read_text())
        assert not set(content["train"]) & set(content["val"])
        tested.update(fold["test"])
    assert tested == Counter(SCANS)


def test_missing_scans_are_named_and_left_out_on_request(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 scans missing: coronacases_008, radiopaedia_40"):
        convert_scans(tmp_path, sorted({*SCANS} - {"coronacases_008", SCANS[-1]}), "official")
    assert not (tmp_path / "out").exists()
    summary = convert_scans(tmp_path, sorted({*SCANS} - {SCANS[7]}), "official", keep_going=True)
    assert "missing and left out: coronacases_008" in summary.notes
    assert len(scans_of(tmp_path / "out", 0)["train"]) == 2


@pytest.mark.parametrize("form", OFFICIAL)
def test_other_data_and_other_scans_have_no_published_folds(form: str, tmp_path: Path) -> None:
    source = make_source(tmp_path / "a", make_case("p1"), name="mosmed")
    with pytest.raises(UserError, match=f"--folds {form}: mosmed has no published folds"):
        convert([source], tmp_path / "out", ConversionOptions(folds=form))
    with pytest.raises(UserError, match="coronacases_011 stands in no published fold"):
        convert_scans(tmp_path, [*SCANS, "coronacases_011"], form)
