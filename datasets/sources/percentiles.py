"""A window for values of which nobody says what they are."""

from collections.abc import Iterable

import numpy as np

from datasets.intensity import IntensityRule

# As nnU-Net clips CT; cuts off what single bright or dark px would stretch the window to.
PERCENTILES = (0.5, 99.5)
_STEP = 4  # every 16th px says the same as all of them, and fits into the memory


def percentile_window(slices: Iterable[np.ndarray]) -> IntensityRule:
    """From the 0.5th to the 99.5th percentile of all slices together.

    One window for a whole stack keeps a grey level the same tissue from slice to slice, as far as
    the stored values do; black and white of each slice by itself would not.

    Args:
        slices: (H, W) each, finite.

    Raises:
        ValueError: All values are the same.
    """
    sample = np.concatenate([values[::_STEP, ::_STEP].ravel() for values in slices])
    low, high = (float(limit) for limit in np.percentile(sample, PERCENTILES))
    if not low < high:
        raise ValueError(f"all values are {low:g}; get the file again")
    return IntensityRule("arbitrary", low, high)
