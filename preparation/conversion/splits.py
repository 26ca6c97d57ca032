"""Which patient goes where: seeded, stratified by lesion load, never dividing a patient.

The rule: patients are ordered by lesion load (mean share of lesion px in their slices; equal loads
by name). A split that is to get c of them takes one at random from each of c equal parts of that
order, so that every split spans the whole range of loads. c is the fraction of the patients,
rounded by largest remainder, and at least 1 where there are as many patients as splits. Of
NUM_DRAWS such dealings, the one whose slices and lesions are shared out closest to the fractions
is taken. The result depends on the seed and the patients, not on the order they come in. Folds for
cross-validation (fold0, fold1, ..., each a whole data folder) are dealt by the same rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from datasets.data_folder import UNLABELLED, WrittenSlice
from utils.errors import UserError

NUM_DRAWS = 512


class PatientLoad(NamedTuple):
    """One patient, or several who must stay together.

    Attributes:
        name: Of the patient.
        num_slices: How many.
        lesion: Sum over the slices of the share of lesion px.
    """

    name: str
    num_slices: int
    lesion: float

    @property
    def load(self) -> float:
        """Mean share of lesion px in a slice, 0 to 1."""
        return self.lesion / self.num_slices


def measure_loads(
    written: Iterable[WrittenSlice], groups: Mapping[str, str] | None = None
) -> list[PatientLoad]:
    """Slices and lesion load per patient.

    Args:
        written: The slices.
        groups: Name of the group of a patient who must stay together with others; the patient's
            own name where it is not listed.
    """
    groups = groups or {}
    sums: dict[str, tuple[int, float]] = {}
    for item in written:
        name = groups.get(item.patient, item.patient)
        count, lesion = sums.get(name, (0, 0.0))
        sums[name] = count + 1, lesion + (item.lesion_px or 0) / (item.size[0] * item.size[1])
    return [PatientLoad(name, *sums[name]) for name in sorted(sums)]


def split_patients(
    patients: Sequence[PatientLoad], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """The split of every patient, by the rule above.

    Args:
        patients: In any order, names unique.
        shares: Fraction of each split, positive, adding up to 1, in order of importance: with
            fewer patients than splits the first ones get one each.
        seed: Of the draw.
    """
    if not patients:
        return {}
    ordered = sorted(patients, key=lambda patient: (patient.load, patient.name))
    names, fractions = list(shares), np.array(list(shares.values()))
    counts = count_parts(len(ordered), fractions, least=1)
    # One column each for slices and lesions; a folder without any lesion goes by slices alone.
    weights = np.array([(patient.num_slices, patient.lesion) for patient in ordered])
    weights = weights / np.maximum(weights.sum(0), np.finfo(float).tiny)
    has_weight = weights.sum(0)
    generator = np.random.default_rng(seed)
    best, least_cost = None, np.inf
    for _ in range(NUM_DRAWS):
        dealt = _deal(counts, generator)
        shared = np.stack([weights[dealt == part].sum(0) for part in range(len(names))])
        cost = np.abs(shared - fractions[:, None] * has_weight).sum()
        if cost < least_cost - 1e-12:  # rounding must not decide
            best, least_cost = dealt, cost
    return {patient.name: names[part] for patient, part in zip(ordered, best, strict=True)}


def split_slices(names: Iterable[str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """The split of every slice, drawn without regard to patients (the paper's protocol)."""
    ordered = sorted(names)
    counts = count_parts(len(ordered), np.array(list(shares.values())), least=0)
    parts = np.repeat(list(shares), counts)
    order = np.random.default_rng(seed).permutation(len(ordered))
    return {ordered[index]: str(part) for index, part in zip(order, parts, strict=True)}


def count_parts(total: int, fractions: np.ndarray, least: int) -> np.ndarray:
    """Whole numbers that add up to `total`, as close to the fractions as can be.

    Args:
        total: What is shared out.
        fractions: Positive, adding up to 1.
        least: What every part gets, as long as there is enough, the first ones first.
    """
    exact = total * fractions
    counts = np.floor(exact + 1e-9).astype(int)
    for part in np.argsort(-(exact - counts), kind="stable")[: total - counts.sum()]:
        counts[part] += 1
    for part in range(len(counts)):
        while counts[part] < least and counts.max() > least:
            counts[counts.argmax()] -= 1
            counts[part] += 1
    if counts.sum() < least * len(counts):  # the first ones first
        counts = np.where(np.arange(len(counts)) < total, least, 0)
    return counts


def _deal(counts: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A part for every place of the order: one in each of counts[part] equal stretches."""
    places = [(np.arange(count) + generator.random(count)) / count for count in counts if count]
    return np.repeat(np.arange(len(counts)), counts)[np.argsort(np.concatenate(places))]


def assign_folds(
    written: Sequence[WrittenSlice], groups: Mapping[str, str], num_folds: int, seed: int
) -> dict[str, dict[str, str]]:
    """The split of every slice in every fold.

    The patients are dealt into as many equal parts, by the rule above. Fold i tests on part
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
