"""Points of a lobe and their sum."""

import pytest

from severity.score import lobe_points, total_score


@pytest.mark.parametrize(
    ("involvement", "points"),
    [
        (0.0, 0),
        (1e-9, 1),
        (4.999, 1),
        (5.0, 2),
        (25.0, 2),
        (25.001, 3),
        (26.0, 3),
        (49.0, 3),
        (49.999, 3),
        (50.0, 4),
        (75.0, 4),
        (75.001, 5),
        (100.0, 5),
    ],
)
def test_every_percentage_has_the_points_of_its_range(involvement: float, points: int) -> None:
    assert lobe_points(involvement) == points


@pytest.mark.parametrize("involvement", [-0.1, 100.1, float("nan")])
def test_no_percentage_is_refused(involvement: float) -> None:
    with pytest.raises(ValueError, match="within 0 and 100"):
        lobe_points(involvement)


def test_the_score_is_the_sum_and_needs_all_five_lobes() -> None:
    assert total_score([5] * 5) == 25
    assert total_score([0, 1, 2, 3, 4]) == 10
    assert total_score([0, 1, None, 3, 4]) is None
    with pytest.raises(ValueError, match="five lobes, got 4"):
        total_score([0] * 4)
