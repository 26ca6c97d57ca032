"""Patients are dealt out by seed, fractions and lesion load."""

import numpy as np
import pytest

from datasets.data_folder import WrittenSlice
from preparation.conversion.splits import (
    PatientLoad,
    count_parts,
    measure_loads,
    split_patients,
    split_slices,
)

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def draw_patients(count: int, seed: int = 0, num_slices: tuple[int, int] = (20, 60)) -> list:
    """Patients of very different loads, as lesions are."""
    rng = np.random.default_rng(seed)
    slices = rng.integers(*num_slices, count)
    loads = rng.exponential(0.03, count)
    return [
        PatientLoad(f"p{index:03d}", int(number), float(number * load))
        for index, (number, load) in enumerate(zip(slices, loads, strict=True))
    ]


def members(patients: list[PatientLoad], splits: dict[str, str]) -> dict[str, list[PatientLoad]]:
    return {split: [p for p in patients if splits[p.name] == split] for split in SHARES}


def written(name: str, patient: str, lesion_px: int | None) -> WrittenSlice:
    return WrittenSlice(name, patient, patient, "source", 0, (10, 20), "", lesion_px, None)


@pytest.mark.parametrize("seed", range(5))
def test_every_patient_gets_one_split_of_about_the_right_size(seed: int) -> None:
    patients = draw_patients(60, seed)
    splits = split_patients(patients, SHARES, seed)
    assert set(splits) == {patient.name for patient in patients}
    found = members(patients, splits)
    assert {split: len(own) for split, own in found.items()} == {"train": 42, "val": 6, "test": 12}
    total = sum(patient.num_slices for patient in patients)
    for split, own in found.items():
        share = sum(patient.num_slices for patient in own) / total
        assert share == pytest.approx(SHARES[split], abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_every_split_spans_the_range_of_lesion_loads(seed: int) -> None:
    patients = draw_patients(60, seed)
    found = members(patients, split_patients(patients, SHARES, seed))
    total, slices = (sum(getattr(p, key) for p in patients) for key in ("lesion", "num_slices"))
    for own in found.values():
        load = sum(p.lesion for p in own) / sum(p.num_slices for p in own)
        assert load == pytest.approx(total / slices, rel=0.15)
        # One of each sixth of the order of loads: the six of val stand in six different ones.
        ranks = sorted(sorted(p.load for p in patients).index(p.load) for p in own)
        strata = {rank * 6 // 60 for rank in ranks}
        assert len(strata) >= 5


def test_the_seed_decides_and_the_order_of_the_patients_does_not() -> None:
    patients = draw_patients(30)
    splits = split_patients(patients, SHARES, 3)
    assert split_patients(patients[::-1], SHARES, 3) == splits
    shuffled = [patients[index] for index in np.random.default_rng(1).permutation(30)]
    assert split_patients(shuffled, SHARES, 3) == splits
    assert split_patients(patients, SHARES, 4) != splits


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, {"train": 1}), (2, {"train": 1, "val": 1}), (3, {"train": 1, "val": 1, "test": 1})],
)
def test_few_patients_fill_train_then_val_then_test(count: int, expected: dict) -> None:
    patients = draw_patients(count)
    found = members(patients, split_patients(patients, SHARES, 0))
    assert {split: len(own) for split, own in found.items() if own} == expected


def test_patients_of_one_slice_and_of_hundreds_share_out_both_slices_and_lesions() -> None:
    patients = draw_patients(10, 1, (200, 300)) + [
        PatientLoad(f"q{index:03d}", 1, 0.05) for index in range(100)
    ]
    found = members(patients, split_patients(patients, SHARES, 0))
    total = sum(patient.num_slices for patient in patients)
    for split, own in found.items():
        assert sum(p.num_slices for p in own) / total == pytest.approx(SHARES[split], abs=0.06)


def test_a_set_without_lesions_is_split_by_slices() -> None:
    patients = [PatientLoad(f"p{index}", 10, 0.0) for index in range(10)]
    found = members(patients, split_patients(patients, SHARES, 0))
    assert [len(found[split]) for split in SHARES] == [7, 1, 2]


def test_no_patient_gives_no_split() -> None:
    assert split_patients([], SHARES, 0) == {}


@pytest.mark.parametrize(
    ("total", "fractions", "least", "expected"),
    [
        (4449, (4000 / 4449, 449 / 4449), 0, [4000, 449]),
        (10, (0.7, 0.1, 0.2), 1, [7, 1, 2]),
        (4, (0.7, 0.1, 0.2), 1, [2, 1, 1]),  # 3, 0, 1 by largest remainder; train gives one away
        (3, (0.34, 0.33, 0.33), 0, [1, 1, 1]),
        (7, (0.5, 0.5), 0, [4, 3]),
        (0, (0.5, 0.5), 1, [0, 0]),
    ],
)
def test_whole_numbers_add_up(total: int, fractions: tuple, least: int, expected: list) -> None:
    assert count_parts(total, np.array(fractions), least).tolist() == expected


def test_loads_are_shares_of_lesion_px_and_groups_are_one() -> None:
    slices = [written("a0", "a", 20), written("a1", "a", 0), written("b0", "b", 100)]
    assert measure_loads(slices) == [PatientLoad("a", 2, 0.1), PatientLoad("b", 1, 0.5)]
    assert measure_loads(slices)[0].load == 0.05
    assert measure_loads(slices, {"b": "a"}) == [PatientLoad("a", 3, pytest.approx(0.6))]


def test_slices_are_drawn_by_seed_and_not_by_their_order() -> None:
    names = [f"s{index:04d}" for index in range(100)]
    splits = split_slices(names, {"train": 0.9, "val": 0.1}, 0)
    assert sorted(splits.values()) == ["train"] * 90 + ["val"] * 10
    assert split_slices(names[::-1], {"train": 0.9, "val": 0.1}, 0) == splits
    assert split_slices(names, {"train": 0.9, "val": 0.1}, 1) != splits
