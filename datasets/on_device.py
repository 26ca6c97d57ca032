"""The second half of a slice's way to the network, where the network is."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from datasets.slices import finish_slice
from datasets.transforms import SliceTransform
from utils.contracts import Batch


class OnDevice:
    """The batches of a loader of unfinished slices, finished on a device.

    Random numbers are the loader processes' own, drawn on the CPU from each slice's seed: on a
    CPU the batches are the same bit for bit, on a GPU to rounding.

    Args:
        loader: Of a SliceDataset with is_finished=False, by keys that have seeds.
        transform: The data set's.
        edge_width: Width in px of edges derived from the mask.
        device: Where the network lives.
    """

    def __init__(
        self,
        loader: DataLoader[dict[str, Any]],
        transform: SliceTransform,
        edge_width: int,
        device: torch.device,
    ) -> None:
        self.loader, self.transform = loader, transform
        self.edge_width, self.device = edge_width, device

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.loader:
            yield self._finish(batch)

    def _finish(self, batch: dict[str, Any]) -> Batch:
        # Whether an edge is given, and the seeds, are read here: they stay on the CPU.
        has_edge, seeds = batch.pop("has_edge").tolist(), batch.pop("seed").tolist()
        moved = {
            key: value.to(self.device, non_blocking=True) if torch.is_tensor(value) else value
            for key, value in batch.items()
        }
        slices = zip(moved.pop("image"), moved.pop("masks"), has_edge, seeds, strict=True)
        items = [finish_slice(*parts, self.transform, self.edge_width) for parts in slices]
        return {key: torch.stack([item[key] for item in items]) for key in items[0]} | moved
