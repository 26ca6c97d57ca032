"""The CT score of lung involvement, 0 to 25: five lobes with 0 to 5 points each.

F. Pan, T. Ye, P. Sun and others, "Time course of lung changes at chest CT during recovery from
coronavirus disease 2019 (COVID-19)", Radiology 295(3), 2020, doi:10.1148/radiol.2020200370:
0 none, 1 below 5 %, 2 from 5 to 25 %, 3 from 26 to 49 %, 4 from 50 to 75 %, 5 above 75 %.

Deviations: the ranges, made for estimates by eye in whole per cent, are closed for what lies
between them (25.5 % has 3 points, 49.5 % as well); lobes are parts of a lung's height, see regions.
"""

from collections.abc import Sequence

SOURCE = (
    "F. Pan, T. Ye, P. Sun et al., Time course of lung changes at chest CT during recovery from "
    "coronavirus disease 2019 (COVID-19), Radiology 2020;295:715-721, "
    "doi:10.1148/radiol.2020200370"
)
MOST_POINTS = 25
# In words, for those who read the points: the first is that of no lesion at all.
POINTS = ("none", "below 5 %", "5 to 25 %", "above 25 %, below 50 %", "50 to 75 %", "above 75 %")


def lobe_points(involvement: float) -> int:
    """Points of one lobe.

    Args:
        involvement: Share of the lobe that is lesion, %.

    Returns:
        0 for none, 1 below 5 %, 2 from 5 to 25 %, 3 above 25 and below 50 %, 4 from 50 to 75 %,
        5 above 75 %.

    Raises:
        ValueError: No percentage.
    """
    if not 0 <= involvement <= 100:
        raise ValueError(f"involvement must lie within 0 and 100 %, got {involvement}")
    if involvement < 5:
        return int(involvement > 0)
    if involvement <= 25:
        return 2
    if involvement < 50:
        return 3
    return 4 if involvement <= 75 else 5


def total_score(points: Sequence[int | None]) -> int | None:
    """Sum over the five lobes; None where one of them is not in the scan.

    Raises:
        ValueError: Not five lobes.
    """
    if len(points) != 5:
        raise ValueError(f"the score is that of five lobes, got {len(points)}")
    return None if None in points else sum(points)
