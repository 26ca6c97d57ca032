"""Whether two runs came to the same: checkpoints bit for bit, curves value for value."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.faults.bench import Run

# Time and place, and settings that some faults need and a run may change when it goes on.
_MAY_DIFFER = {
    "seconds",
    "record.seconds",
    "config.checkpoint.save_dir",
    "config.checkpoint.every_steps",
    "config.data.root",
    "config.data.num_workers",
    "config.data.cache_mib",
}
Curve = list[tuple[int, float]]
_MEASURED = ("speed/", "memory/")


def differences(run: Run, reference: Run, max_gap: int = 0) -> list[str]:
    """Where a run differs from another one; empty for the same result.

    Args:
        run: The run.
        reference: The other one.
        max_gap: Points that may be missing from each of the run's curves.
    """
    found = []
    for name in ("last.pt", "best.pt"):
        one, two = (read(other.path / name) for other in (run, reference))
        found += [f"{name}: {place}" for place in unequal(one, two) if place not in _MAY_DIFFER]
    one, two = (curves(other.path / "tensorboard") for other in (run, reference))
    for tag in sorted(one.keys() | two.keys()):
        is_equal = one.get(tag) == two.get(tag)
        if not is_equal and not (max_gap and _is_with_gap(one[tag], two[tag], max_gap)):
            found.append(f"TensorBoard: {tag}: {one.get(tag)} instead of {two.get(tag)}")
    return found


def _is_with_gap(one: Curve, two: Curve, max_gap: int) -> bool:
    """Whether one curve is the other but for a few missing points."""
    return one == [point for point in two if point in one] and len(two) - len(one) <= max_gap


def read(path: Path) -> Any:
    """A checkpoint, or None where it is unreadable."""
    try:
        return torch.load(path, weights_only=True)
    except Exception:  # whatever it is, the two are unequal then
        return None


def unequal(one: Any, two: Any, place: str = "") -> Iterator[str]:
    """Dotted places where two nested contents differ in a bit or in type."""
    if type(one) is not type(two):
        yield place
    elif isinstance(one, dict):
        for key in sorted(one.keys() | two.keys(), key=str):
            inner = f"{place}.{key}" if place else str(key)
            if key in one and key in two:
                yield from unequal(one[key], two[key], inner)
            else:
                yield inner
    elif isinstance(one, list | tuple):
        if len(one) != len(two):
            yield place
        for index, pair in enumerate(zip(one, two, strict=False)):
            yield from unequal(*pair, f"{place}.{index}")
    elif isinstance(one, torch.Tensor):
        if not same_bits(one, two):
            yield place
    # repr tells -0.0 from 0.0 and takes NaN for equal to itself.
    elif repr(one) != repr(two):
        yield place


def same_bits(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether two tensors are equal in type, shape and every bit."""
    if one.dtype != two.dtype or one.shape != two.shape:
        return False
    flat = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, two)]
    return torch.equal(*flat)


def curves(folder: Path) -> dict[str, Curve]:
    """Steps and values of every scalar that is no measurement, as TensorBoard shows them."""
    events = EventAccumulator(str(folder), {"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith(_MEASURED)]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}
