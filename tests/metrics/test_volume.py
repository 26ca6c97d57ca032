"""Volume error: hand-worked and degenerate cases, and a patient of several slices."""

import math

import numpy as np
import pytest

from metrics import Confusion, confusion, pool_confusions
from metrics.volume import volume_error

POLICIES = ["one", "zero", "nan"]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("counts", "error"),
    [
        (Confusion(2, 4, 2, 8), 0.5),  # (6 - 4) / 4
        (Confusion(3, 0, 1, 12), -0.25),  # (3 - 4) / 4
        (Confusion(4, 0, 0, 12), 0.0),  # perfect
        (Confusion(0, 4, 4, 8), 0.0),  # as large, but elsewhere
        (Confusion(0, 0, 4, 12), -1.0),  # missed
        (Confusion(1, 15, 0, 0), 15.0),  # (16 - 1) / 1: not bounded by 1
    ],
)
def test_error_of_a_target_with_lesion_is_signed_and_ignores_the_policy(
    counts, error, policy
) -> None:
    assert volume_error(counts, empty_target=policy) == pytest.approx(error)


@pytest.mark.parametrize(("policy", "error"), [("one", 0.0), ("zero", 0.0), ("nan", math.nan)])
def test_two_empty_masks_have_no_error_or_are_left_out(policy, error) -> None:
    counts = Confusion(0, 0, 0, 16)
    assert volume_error(counts, empty_target=policy) == pytest.approx(error, nan_ok=True)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_false_alarm_on_an_empty_target_has_no_relative_error(policy) -> None:
    assert math.isnan(volume_error(Confusion(0, 1, 0, 15), empty_target=policy))


def test_agrees_with_areas_of_random_masks() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        pred, target = rng.random((7, 12)) < 0.4, rng.random((7, 12)) < 0.3
        error = volume_error(confusion(pred, target), empty_target="nan")
        assert error == pytest.approx(pred.sum() / target.sum() - 1)


def test_the_error_of_a_patient_is_that_of_the_summed_slices() -> None:
    # 6 + 3 + 1 px predicted of 4 + 4 + 0: (10 - 8) / 8, with the false alarm of the last slice.
    slices = [Confusion(2, 4, 2, 8), Confusion(3, 0, 1, 12), Confusion(0, 1, 0, 15)]
    assert volume_error(pool_confusions(slices), empty_target="nan") == pytest.approx(0.25)


def test_the_policy_is_required_and_checked() -> None:
    with pytest.raises(TypeError):
        volume_error(Confusion(1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"empty_target.*'nans'"):
        volume_error(Confusion(1, 1, 1, 1), empty_target="nans")
