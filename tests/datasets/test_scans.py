"""Which slices are whole scans."""

from pathlib import Path

import pytest

from datasets.pairing import SliceFiles
from datasets.scans import find_scans


def slices(*names: str, distance: float | None = 5.0, side: float = 0.7) -> list[SliceFiles]:
    path = Path("x.png")
    return [
        SliceFiles(name, "p", path, path, None, None, spacing=(side, side), distance=distance)
        for name in names
    ]


def test_slices_are_ordered_by_their_numbers() -> None:
    scans, reason = find_scans(slices("a_z10", "a_z9", "b_z003", "b_z005", "a_z11"))
    assert reason == ""
    assert [(scan.name, scan.distance) for scan in scans] == [("a", 5.0), ("b", 10.0)]
    assert [files.name for files in scans[0].slices] == ["a_z9", "a_z10", "a_z11"]


@pytest.mark.parametrize(
    ("found", "part"),
    [
        (slices("a_z0", "a_z1", "b"), "b has no number"),
        (slices("a_z0", "a_z1", "a_z3"), "slices of a are missing"),
        (slices("a_z0"), "slices of a are missing"),
        (slices("a_z1", "a_z01"), "slices of a are missing"),
        (slices("a_z0", "a_z1", distance=None), "does not give a one spacing"),
        ([*slices("a_z0"), *slices("a_z1", side=0.8)], "does not give a one spacing"),
    ],
)
def test_what_is_no_scan_has_a_reason(found: list[SliceFiles], part: str) -> None:
    scans, reason = find_scans(found)
    assert scans == []
    assert part in reason
