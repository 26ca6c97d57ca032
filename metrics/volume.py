"""Volume error: how much more or less lesion was predicted than there is, wherever it lies."""

import math

from metrics.overlap import Confusion, EmptyTarget, check_empty_target


def volume_error(confusion: Confusion, *, empty_target: EmptyTarget) -> float:
    """Signed relative error of the predicted lesion volume, (|P| - |G|) / |G|.

    A fraction without unit: the size of a px cancels out. Over a patient, pass `pool_confusions`
    of the slices, which must share one spacing and thickness. Too much in one case and too little
    in another cancel out in a mean, so read it as a bias; Dice and the surfaces say how far off.

    | target | prediction | error |
    |---|---|---|
    | empty | empty | 0; NaN under "nan" |
    | empty | not empty | NaN under every policy: there is no volume to relate the excess to |
    | not empty | empty | -1: a missed lesion |

    The policy "zero" gives 0 as "one" does, for the error has no worst value. The false alarms of
    the second row drop out of a mean of cases; they show in the pooled error and in their count.

    Args:
        confusion: Counts of one case, or pooled ones.
        empty_target: Whether two empty masks are left out of means ("nan") or an error of 0.

    Returns:
        At least -1, without upper bound; 0 for equal volumes, 0.5 for half as much again.

    Raises:
        ValueError: Unknown policy.
    """
    check_empty_target(empty_target)
    excess = confusion.num_pred - confusion.num_target
    if confusion.num_target == 0:
        return math.nan if excess or empty_target == "nan" else 0.0
    return excess / confusion.num_target
