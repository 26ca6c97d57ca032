"""A data folder split anew by slice: the same slices, patients on both sides."""

from collections.abc import Callable
from pathlib import Path

import pytest

from datasets.pairing import find_slices
from preparation.commands.by_slice import deal_out
from utils.errors import UserError

SPLITS = ("train", "val", "test")


def contents(root: Path, kind: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.glob(f"*/{kind}/*")}


def test_every_slice_is_there_once_with_its_mask_and_its_patient(
    data_root: Path, tmp_path: Path
) -> None:
    before = {e.name: e.patient for split in SPLITS for e in find_slices(data_root, split)}
    assert deal_out(data_root, tmp_path / "out", 0) == {"train": 8, "val": 4, "test": 4}
    after = {e.name: e.patient for split in SPLITS for e in find_slices(tmp_path / "out", split)}
    assert after == before
    for kind in ("image", "mask"):
        assert contents(tmp_path / "out", kind) == contents(data_root, kind)


def test_patients_stand_on_both_sides_and_a_run_must_allow_it(
    data_root: Path, tmp_path: Path, run_script: Callable, refused: Callable, small_settings: list
) -> None:
    out = tmp_path / "out"
    made = run_script("prepare.py", "by-slice", data_root, "--out", out)
    assert made.out == f"{out}: 16 slices (train 8, val 4, test 4), split by slice\n"
    homes = {split: {e.patient for e in find_slices(out, split)} for split in SPLITS}
    assert homes["train"] & homes["test"]
    settings = [*small_settings, "--set", f"data.root={out}"]
    refused(run_script("train.py", *settings), "allow_patient_overlap")


def test_the_draw_depends_on_the_seed_alone(data_root: Path, tmp_path: Path) -> None:
    names = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        deal_out(data_root, tmp_path / name, seed)
        names[name] = {e.name for e in find_slices(tmp_path / name, "test")}
    assert names["a"] == names["b"] != names["c"]


def test_slices_of_one_name_are_refused_and_nothing_is_written(
    data_root: Path, tmp_path: Path
) -> None:
    for kind in ("image", "mask"):
        first = min((data_root / "train" / kind).iterdir())
        (data_root / "test" / kind / first.name).write_bytes(first.read_bytes())
    with pytest.raises(UserError, match="has the same name"):
        deal_out(data_root, tmp_path / "out", 0)
    assert not (tmp_path / "out").exists()
