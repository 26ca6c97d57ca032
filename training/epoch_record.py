"""What is known of an epoch of training while it runs."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.distributed import World
from training.prediction import predicted_lesion


class Averages:
    """Means of named values, weighted by the number of slices behind each."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self.num_slices = 0

    def update(self, values: dict[str, float], num_slices: int) -> None:
        """Add a batch's values."""
        self.num_slices += num_slices
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * num_slices

    def means(self) -> dict[str, float]:
        """The means so far."""
        return {name: value / self.num_slices for name, value in self._sums.items()}

    def over_processes(self, world: World) -> "Averages":
        """The averages over the values of all processes; some may have seen no slice."""
        merged = Averages()
        for sums, num_slices in world.gather((self._sums, self.num_slices)):
            merged.num_slices += num_slices
            for name, value in sums.items():
                merged._sums[name] = merged._sums.get(name, 0.0) + value
        return merged

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"sums": dict(self._sums), "num_slices": self.num_slices}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's values."""
        self._sums, self.num_slices = dict(state["sums"]), state["num_slices"]


class TrainResult(NamedTuple):
    """What an epoch of training gave: mean loss terms, pooled Dice, speed in slices/s."""

    terms: dict[str, float]
    dice_pooled: float
    images_per_second: float


class EpochRecord:
    """Mean loss terms, Dice pooled over all pixels at probability 0.5, and time.

    The Dice is a pseudo score for the bar: of training slices, under changing weights.
    """

    def __init__(self) -> None:
        self.averages = Averages()
        self.overlap = 0.0
        self.total = 0.0
        self.seconds = 0.0

    @torch.no_grad()
    def update(self, terms: dict[str, Tensor], logits: Tensor, target: Tensor) -> None:
        """Add a batch: its loss terms, mask logits (B, K, H, W) and target (B, 1, H, W)."""
        pred = predicted_lesion(logits)
        counts = [2 * target[pred].sum(), pred.sum() + target.sum()]
        # One transfer from the device: each waits for all the work before it.
        values = torch.stack([value.detach().double() for value in (*terms.values(), *counts)])
        *means, overlap, total = values.tolist()
        self.averages.update(dict(zip(terms, means, strict=True)), len(target))
        self.overlap += overlap
        self.total += total

    def dice(self) -> float:
        """Dice so far; 1 where neither side has a pixel."""
        return self.overlap / self.total if self.total else 1.0

    def loss(self) -> float:
        """Mean total loss so far; NaN before the first slice."""
        return self.averages.means()["total"] if self.averages.num_slices else float("nan")

    def result(self) -> TrainResult:
        """The epoch's figures."""
        speed = self.averages.num_slices / self.seconds if self.seconds else 0.0
        return TrainResult(self.averages.means(), self.dice(), speed)

    def over_processes(self, world: World) -> "EpochRecord":
        """The record of all processes together; the seconds are the longest."""
        merged = EpochRecord()
        merged.averages = self.averages.over_processes(world)
        merged.overlap, merged.total = world.sum([self.overlap, self.total])
        merged.seconds = max(world.gather(self.seconds))
        return merged

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            "averages": self.averages.state_dict(),
            "overlap": self.overlap,
            "total": self.total,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's values."""
        self.averages.load_state_dict(state["averages"])
        self.overlap, self.total = state["overlap"], state["total"]
        self.seconds = state["seconds"]
