"""Regions by height, from counts per slice."""

import numpy as np
import pytest

from severity.lungs.sides import LEFT, RIGHT
from severity.regions import Region, SliceCounts, describe_regions, score_of


def make_counts(right: list[int], left: list[int], lesion: list[int] | None = None) -> SliceCounts:
    """Voxels of both lungs per slice from the feet; lesion of the right one."""
    counts = SliceCounts(*(np.zeros((len(right), 3), np.int64) for _ in range(2)))
    counts.lung[:, RIGHT], counts.lung[:, LEFT] = right, left
    counts.lesion[:, RIGHT] = lesion or [0] * len(right)
    return counts


def by_name(counts: SliceCounts) -> dict[str, Region]:
    return {region.name: region for region in describe_regions(counts, voxel_ml=0.5)}


@pytest.mark.parametrize(
    ("heights", "lower", "middle", "upper"),
    [
        # powers of 10 tell which slices a third holds
        ([1, 10, 100], 1, 10, 100),
        ([1, 10, 100, 1000, 10**4, 10**5], 11, 1100, 110_000),
        ([0, 0, 1, 10, 100, 0], 1, 10, 100),
        ([1, 10, 100, 1000], 1, 110, 1000),
        ([1, 10, 100, 1000, 10**4], 11, 100, 11_000),
        ([0, 7, 0], 0, 7, 0),
    ],
)
def test_thirds_are_those_of_the_lungs_own_height(
    heights: list[int], lower: int, middle: int, upper: int
) -> None:
    regions = by_name(make_counts(heights, [0] * len(heights)))
    found = [regions[f"right lung, {part} third"].lung_ml for part in ("lower", "middle", "upper")]
    assert found == [lower / 2, middle / 2, upper / 2]


def test_each_lung_is_cut_at_its_own_height() -> None:
    regions = by_name(make_counts([1, 10, 100, 0, 0, 0], [0, 0, 1, 10, 100, 1000]))
    assert regions["right lung, upper third"].lung_ml == 50
    assert regions["left lung, lower half"].lung_ml == 11 / 2
    assert regions["left lung, upper half"].lung_ml == 1100 / 2


def test_involvement_is_the_lesions_share_of_a_region() -> None:
    regions = by_name(make_counts([100, 100, 200], [400, 0, 0], lesion=[0, 30, 20]))
    assert regions["both lungs"].involvement_percent == pytest.approx(50 / 800 * 100)
    assert regions["right lung"].involvement_percent == pytest.approx(12.5)
    assert regions["right lung, middle third"].involvement_percent == pytest.approx(30)
    assert regions["right lung, middle third"].points == 3
    assert regions["right lung, upper third"].points == 2
    assert regions["right lung, lower third"].points == 0
    assert regions["right lung"].lesion_ml == 25


def test_five_regions_stand_for_lobes() -> None:
    regions = describe_regions(make_counts([9] * 6, [9] * 6, [9] * 6), 1.0)
    lobes = [region.name for region in regions if region.is_lobe]
    assert lobes == [
        "right lung, upper third",
        "right lung, middle third",
        "right lung, lower third",
        "left lung, upper half",
        "left lung, lower half",
    ]
    assert score_of(regions) == 15
    assert sum(region.lung_ml for region in regions if region.is_lobe) == regions[0].lung_ml


@pytest.mark.parametrize(
    ("right", "left"), [([9] * 6, [0] * 6), ([0] * 6, [9] * 6), ([0, 9, 0], [0, 9, 0])]
)
def test_without_one_of_the_five_there_is_no_score(right: list[int], left: list[int]) -> None:
    regions = describe_regions(make_counts(right, left), 1.0)
    assert score_of(regions) is None
    assert regions[0].involvement_percent == 0
    assert any(region.involvement_percent is None for region in regions)
