"""Cases of public data sets become one data folder, whole or not at all."""

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.card import read_card
from datasets.data_folder import UNLABELLED, FolderSummary
from datasets.pairing import find_slices
from datasets.sources.source import SourceCase
from preparation.checks.folder import check_folder
from preparation.conversion.convert import convert
from preparation.conversion.options import ConversionOptions
from tests.preparation.conversion.drawn_cases import draw, make_case, make_source
from utils.errors import UserError

SPLITS = ("train", "val", "test")
PLAIN = ConversionOptions(describe=False)


def run(root: Path, *cases: SourceCase, options: ConversionOptions = PLAIN) -> FolderSummary:
    """Convert the cases of one source to <root>/out."""
    return convert([make_source(root / "in", *cases)], root / "out", options)


def rows(root: Path) -> dict[str, dict[str, str]]:
    with (root / "out" / "manifest.csv").open(newline="") as stream:
        return {row["file"].removesuffix(".png"): row for row in csv.DictReader(stream)}


def cases_of(*names: str) -> list[SourceCase]:
    return [make_case(name) for name in names]


def test_slices_are_written_as_they_are_read(tmp_path: Path) -> None:
    summary = run(tmp_path, *cases_of("a", "b", "c", "d"))
    assert summary.num_slices == 12
    assert summary.num_empty == 4
    assert summary.slices_per_split == {"train": 6, "val": 3, "test": 3}
    found = {item.name: item for split in SPLITS for item in find_slices(tmp_path / "out", split)}
    assert set(found) == {f"{case}_z{index:03d}" for case in "abcd" for index in range(3)}
    image = cv2.imread(str(found["b_z001"].image), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(image, draw(1000 * ord("b") + 1))
    mask = cv2.imread(str(found["b_z001"].mask), cv2.IMREAD_UNCHANGED)
    assert np.unique(mask[:8]).tolist() == [255]
    assert not mask[8:].any()
    assert found["b_z001"].spacing == (0.7, 0.8)
    assert check_folder(tmp_path / "out") == []


def test_the_manifest_keeps_the_order_of_cases_and_slices(tmp_path: Path) -> None:
    run(tmp_path, *cases_of("d", "a", "c"))
    found = rows(tmp_path)
    assert list(found) == [f"{case}_z{index:03d}" for case in "dac" for index in range(3)]
    assert found["a_z001"]["patient"] == "a"
    assert found["a_z001"]["source"] == "first"
    assert found["a_z001"]["slice"] == "1"
    assert found["a_z001"]["lesion_px"] == str(8 * 64)
    assert found["a_z001"]["spacing_mm"] == "0.7x0.8x5"


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_split(tmp_path: Path) -> None:
    names = "abcdefghij"
    for root, seed, order in (
        ("1", 0, names),
        ("2", 0, names),
        ("3", 0, names[::-1]),
        ("4", 1, names),
    ):
        run(tmp_path / root, *cases_of(*order), options=PLAIN._replace(seed=seed))
    texts = {root: (tmp_path / root / "out/splits.json").read_text() for root in "1234"}
    assert texts["1"] == texts["2"] == texts["3"] != texts["4"]
    files = [path for path in (tmp_path / "1/out").rglob("*") if path.is_file()]
    assert len(files) == 3 * 30 + 3
    for path in files:
        assert (tmp_path / "2/out" / path.relative_to(tmp_path / "1/out")).read_bytes() == (
            path.read_bytes()
        )


def test_the_finished_folder_is_described(tmp_path: Path) -> None:
    run(tmp_path, *cases_of("a", "b", "c"), options=ConversionOptions())
    made = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert made == {
        "manifest.csv", "splits.json", "dataset.json", "fingerprint.json", "fingerprint.html",
        "montage.png",
    }  # fmt: skip


def test_16_bits_are_kept_and_named_on_the_card(tmp_path: Path) -> None:
    run(tmp_path, *cases_of("a", "b", "c"), options=PLAIN._replace(bits=16))
    item = find_slices(tmp_path / "out", "train")[0]
    assert cv2.imread(str(item.image), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    assert read_card(tmp_path / "out").bits == 16


@pytest.mark.parametrize(("lungs", "expected"), [(True, True), (False, False)])
def test_lung_masks_are_written_unless_told_otherwise(
    lungs: bool, expected: bool, tmp_path: Path
) -> None:
    cases = [make_case(name, lung=True) for name in "abc"]
    run(tmp_path, *cases, options=PLAIN._replace(lungs=lungs))
    assert all((item.lung is not None) == expected for item in find_slices(tmp_path / "out", "val"))


@pytest.mark.parametrize(("own", "wanted", "side"), [(48, None, 48), (48, 0, 64), (None, 32, 32)])
def test_large_images_are_made_smaller_and_their_px_larger(
    own: int | None, wanted: int | None, side: int, tmp_path: Path
) -> None:
    source, tree = make_source(tmp_path / "in", make_case("a", lung=True))
    options = PLAIN._replace(max_side=wanted)
    convert([(source._replace(max_side=own), tree)], tmp_path / "out", options)
    for path in (tmp_path / "out" / "train").rglob("*.png"):
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == (side, side)
    row = next(iter(rows(tmp_path).values()))
    height, width, distance = (float(part) for part in row["spacing_mm"].split("x"))
    assert (height, width) == pytest.approx((0.7 * 64 / side, 0.8 * 64 / side), rel=1e-3)
    assert distance == 5


def test_single_slices_are_called_after_their_case(tmp_path: Path) -> None:
    cases = [make_case(f"s{n}", lesion_rows=(8,), is_volume=False) for n in range(3)]
    run(tmp_path, *cases)
    assert set(rows(tmp_path)) == {"s0", "s1", "s2"}


def test_long_scans_get_more_digits(tmp_path: Path) -> None:
    case = make_case("long", lesion_rows=(8, 8))._replace(num_slices=1001)
    run(tmp_path, case, *cases_of("b", "c"))
    assert {"long_z0000", "long_z0001", "b_z000"} <= set(rows(tmp_path))


@pytest.mark.parametrize(
    ("keep", "num_empty"), [("all", 6), ("none", 0), (0.5, 2), (0.0, 0), (9.0, 6)]
)
def test_slices_without_lesion_are_kept_as_asked(
    keep: str | float, num_empty: int, tmp_path: Path
) -> None:
    # Four slices with lesion and six without: 0.5 per slice with lesion are two.
    cases = [make_case("a", lesion_rows=(8, 0, 0)), make_case("b", lesion_rows=(8, 0, 0)),
             make_case("c", lesion_rows=(8, 0)), make_case("d", lesion_rows=(8, 0))]  # fmt: skip
    summary = run(tmp_path, *cases, options=PLAIN._replace(keep_empty=keep))
    assert summary.num_empty == num_empty
    assert summary.num_slices == 4 + num_empty
    images = {path.stem for path in (tmp_path / "out").glob("*/image/*.png")}
    assert images == set(rows(tmp_path))
    assert check_folder(tmp_path / "out") == []


def test_a_failing_case_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"b\.nii: truncated"):
        run(tmp_path, make_case("a"), make_case("b", broken_at=2), make_case("c"))
    assert os.listdir(tmp_path) == ["in"]


def test_the_rest_carries_on_and_the_failures_are_listed(tmp_path: Path) -> None:
    cases = [make_case("a"), make_case("b", broken_at=2), make_case("c"), make_case("d")]
    summary = run(tmp_path, *cases, options=PLAIN._replace(keep_going=True))
    assert summary.failures == ("first b: b.nii: truncated; download it again",)
    assert {row["case"] for row in rows(tmp_path).values()} == {"a", "c", "d"}
    assert check_folder(tmp_path / "out") == []


def test_where_every_case_fails_nothing_is_written(tmp_path: Path) -> None:
    cases = [make_case(name, broken_at=0) for name in "ab"]
    with pytest.raises(UserError, match=r"all 2 cases failed, the first one: first a: a\.nii"):
        run(tmp_path, *cases, options=PLAIN._replace(keep_going=True))
    assert os.listdir(tmp_path) == ["in"]


def test_where_no_slice_is_left_nothing_is_written(tmp_path: Path) -> None:
    cases = [make_case(name, lesion_rows=(0, 0)) for name in "ab"]
    with pytest.raises(UserError, match="none of 2 cases has a slice with lesion"):
        run(tmp_path, *cases, options=PLAIN._replace(keep_empty="none"))
    assert os.listdir(tmp_path) == ["in"]


def test_a_folder_that_is_not_empty_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="out exists and is not empty"):
        run(tmp_path, *cases_of("a"))
    assert os.listdir(tmp_path / "out") == ["mine.txt"]


def test_patients_who_share_a_slice_stay_together(tmp_path: Path) -> None:
    cases = [*cases_of(*"abcdefgh"), make_case("x", seed=ord("c"))]  # x is c, published twice
    summary = run(tmp_path, *cases)
    home = {row["patient"]: row["split"] for row in rows(tmp_path).values()}
    assert home["x"] == home["c"]
    assert len(summary.notes) == 1
    assert "2 patients in 1 group stay together" in summary.notes[0]
    assert "c and x (c_z000 = x_z000)" in summary.notes[0]


def test_unlabelled_cases_stay_out_of_the_splits(tmp_path: Path) -> None:
    pool = make_case("pool", patient="a", split=UNLABELLED, unlabelled=True, seed=9)
    summary = run(tmp_path, *cases_of("a", "b", "c"), pool)
    assert summary.slices_per_split[UNLABELLED] == 3
    assert [path.name for path in (tmp_path / "out" / UNLABELLED).iterdir()] == ["image"]
    assert check_folder(tmp_path / "out") == []
    home = rows(tmp_path)["a_z000"]["split"]
    told = [note for note in summary.notes if "have slices in unlabelled" in note]
    assert bool(told) == (home != "train")


def test_unlabelled_cases_alone_make_a_folder(tmp_path: Path) -> None:
    case = make_case("pool", split=UNLABELLED, unlabelled=True)
    summary = run(tmp_path, case, options=ConversionOptions())
    assert summary.slices_per_split == {UNLABELLED: 3}


def test_progress_sees_every_case(tmp_path: Path) -> None:
    seen = []

    def watch(items: list) -> list:
        seen.extend(item.name for item in items)
        return items

    convert([make_source(tmp_path / "in", *cases_of("a", "b"))], tmp_path / "out", PLAIN, watch)
    assert seen == ["a", "b"]
