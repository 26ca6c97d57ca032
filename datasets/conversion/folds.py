"""Folds for cross-validation: fold0, fold1, ... , each a whole data folder."""

from collections.abc import Mapping, Sequence

from datasets.conversion.splits import measure_loads, split_patients
from datasets.data_folder import UNLABELLED, WrittenSlice
from utils.errors import UserError


def assign_folds(
    written: Sequence[WrittenSlice], groups: Mapping[str, str], num_folds: int, seed: int
) -> dict[str, dict[str, str]]:
    """The split of every slice in every fold.

    The patients are dealt into as many equal parts, by the rule of splits.py. Fold i tests on part
    i, validates on part i + 1 (the first one after the last), and trains on the rest; so every
    patient is tested once, and validated on once. A source's own split plays no role.

    Args:
        written: The slices; those without a label are UNLABELLED in every fold.
        groups: Name of every patient's group.
        num_folds: At least 3.
        seed: Of the draw.

    Returns:
        By name of the fold: split by name of the slice.

    Raises:
        UserError: There are fewer patients than folds.
    """
    patients = measure_loads([item for item in written if item.lesion_px is not None], groups)
    if len(patients) < num_folds:
        raise UserError(
            f"--folds {num_folds}: there are only {len(patients)} patients (or groups of patients "
            "who share slices) to deal out; ask for fewer folds"
        )
    parts = split_patients(patients, {str(i): 1 / num_folds for i in range(num_folds)}, seed)
    folds = {}
    for number in range(num_folds):
        roles = {str(number): "test", str((number + 1) % num_folds): "val"}
        folds[f"fold{number}"] = {
            item.name: UNLABELLED
            if item.lesion_px is None
            else roles.get(parts[groups[item.patient]], "train")
            for item in written
        }
    return folds
