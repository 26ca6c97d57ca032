"""What every metric demands of its input; the messages say what to pass instead."""

import numpy as np
from numpy.typing import NDArray

_PROB_DTYPES = (np.float32, np.float64)


def check_mask(role: str, mask: NDArray[np.bool_], *, may_be_volume: bool = False) -> None:
    """Refuses anything but a non-empty two-dimensional bool array.

    Args:
        role: What the array stands for ("target", "pred"), for the message.
        mask: (H, W) bool.
        may_be_volume: Whether (D, H, W) is taken, too.

    Raises:
        ValueError: Not a numpy array, not (H, W), without a pixel, or not bool: 0/1 and 0/255
            integers look alike, so the caller says which by comparing.
    """
    _check_map(role, mask, (2, 3) if may_be_volume else (2,))
    if mask.dtype != np.bool_:
        raise ValueError(f"{role} must be bool, got {mask.dtype}; compare it with a threshold")


def check_case(prob: NDArray[np.floating], target: NDArray[np.bool_]) -> None:
    """Refuses a case that the soft metrics cannot score.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.

    Raises:
        ValueError: Not numpy, shapes that differ, another dtype, NaN, or values outside [0, 1].
    """
    _check_map("prob", prob)
    check_mask("target", target)
    if prob.dtype not in _PROB_DTYPES:
        raise ValueError(f"prob must be float32 or float64, got {prob.dtype}")
    check_same_shape("prob", prob, target)
    low, high = float(prob.min()), float(prob.max())
    if np.isnan(low):
        raise ValueError(f"prob contains {int(np.isnan(prob).sum())} NaN of {prob.size} px")
    if low < 0 or high > 1:
        raise ValueError(f"prob must lie in [0, 1], got [{low:g}, {high:g}]; apply the sigmoid")


def check_same_shape(role: str, array: np.ndarray, target: NDArray[np.bool_]) -> None:
    """Refuses two maps of different sizes: no broadcast, no resize.

    Raises:
        ValueError: The shapes differ.
    """
    if array.shape != target.shape:
        raise ValueError(f"{role} is {array.shape}, target is {target.shape}; resize one of them")


def _check_map(role: str, array: np.ndarray, num_axes: tuple[int, ...] = (2,)) -> None:
    """A numpy array of two dimensions, or as many as may be, with at least one pixel."""
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{role} must be a numpy array, got {type(array).__name__}")
    if array.ndim not in num_axes or array.size == 0:
        raise ValueError(f"{role} must be a non-empty (H, W) map, got shape {array.shape}")
