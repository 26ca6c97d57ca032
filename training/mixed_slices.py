"""Slices of several data sets in one training split, in shares that are set."""

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

import torch
from torch.utils.data import Dataset

from datasets.batches import SliceKey
from datasets.slices import SliceDataset


class JoinedSlices(Dataset[dict[str, Any]]):
    """Data sets one after the other, each with masks as it writes them.

    Args:
        parts: At least one, alike but for their slices, encoding and cache.
    """

    def __init__(self, parts: Sequence[SliceDataset]) -> None:
        self.parts = list(parts)
        self.transform, self.edge_width = parts[0].transform, parts[0].edge_width
        self.encoding = parts[0].encoding
        self._places = list(
            chain.from_iterable(((part, i) for i in range(len(part))) for part in self.parts)
        )

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, key: SliceKey) -> dict[str, Any]:
        part, index = self._places[key.index]
        return part[key._replace(index=index)]


class MixedOrder:
    """The order of an epoch: slices of all parts in turn, every part with its share.

    A part without a share, such as the first, gives each of its slices once. One with a share
    gives as many as make it that part of the epoch: some of them, others the next time, or all of
    them several times over.

    Args:
        sizes: Slices of each part.
        shares: Fraction of the epoch of each part, None for all of its slices once; their sum is
            below 1, and one at least is None.
    """

    def __init__(self, sizes: Sequence[int], shares: Sequence[float | None]) -> None:
        once = sum(size for size, share in zip(sizes, shares, strict=True) if share is None)
        total = once / (1 - sum(share or 0 for share in shares))
        self.sizes = list(sizes)
        self.counts = [
            size if share is None else max(round(share * total), 1)
            for size, share in zip(sizes, shares, strict=True)
        ]

    def __len__(self) -> int:
        return sum(self.counts)

    def __call__(self, generator: torch.Generator) -> list[int]:
        """Places in JoinedSlices of the same parts, drawn anew."""
        starts = accumulate(self.sizes, initial=0)
        chosen = []
        for start, size, count in zip(starts, self.sizes, self.counts, strict=False):
            rounds = [torch.randperm(size, generator=generator) for _ in range(-(-count // size))]
            chosen.append(start + torch.cat(rounds)[:count])
        places = torch.cat(chosen)
        return places[torch.randperm(len(places), generator=generator)].tolist()
