"""Which slices to look at: spread evenly over splits, patients and scans."""

from collections.abc import Sequence
from typing import TypeVar

from preparation.overview.measure import SliceRow

Item = TypeVar("Item")
_EMPTY_SHARE = 4  # one in so many slices is to be one without lesion


def choose_slices(rows: Sequence[SliceRow], count: int) -> list[SliceRow]:
    """Up to so many slices, in the order of the rows; always the same ones.

    Splits count alike, and so do the patients of a split; a quarter of each split are slices
    without lesion, as far as there are both kinds.

    Args:
        rows: All slices, by split and name.
        count: How many to choose.
    """
    splits: dict[str, list[SliceRow]] = {}
    for row in rows:
        splits.setdefault(row.entry.split, []).append(row)
    quotas = _share_out([len(own) for own in splits.values()], count)
    chosen = []
    for own, quota in zip(splits.values(), quotas, strict=True):
        ill = [row for row in own if row.lesion_px]
        empty = [row for row in own if not row.lesion_px]
        num_empty = min(len(empty), quota // _EMPTY_SHARE)
        num_ill = min(len(ill), quota - num_empty)
        picked = _choose_by_patient(ill, num_ill)
        picked += _choose_by_patient(empty, quota - num_ill)
        chosen += sorted(picked, key=lambda row: row.entry.files.name)
    return chosen


def _choose_by_patient(rows: Sequence[SliceRow], count: int) -> list[SliceRow]:
    """As evenly over patients as their slices allow, and evenly over those of a patient."""
    patients: dict[str, list[SliceRow]] = {}
    for row in rows:
        patients.setdefault(row.entry.files.patient, []).append(row)
    groups = list(patients.values())
    if len(groups) > count:
        groups = _spread(groups, count)
    quotas = _share_out([len(own) for own in groups], count)
    return [row for own, n in zip(groups, quotas, strict=True) for row in _spread(own, n)]


def _share_out(capacities: Sequence[int], count: int) -> list[int]:
    """Give one to each in turn until all are given, or nobody can take more."""
    quotas = [0] * len(capacities)
    count = min(count, sum(capacities))
    while count:
        for index, capacity in enumerate(capacities):
            if count and quotas[index] < capacity:
                quotas[index] += 1
                count -= 1
    return quotas


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many of the items, at most all, from the middles of equal parts."""
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]
