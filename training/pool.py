"""The slices without labels: found and checked, and dealt out beside labelled ones."""

from collections.abc import Collection, Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from datasets.batches import SliceKey, share_of
from datasets.cache import open_cache
from datasets.crop import LUNGS, Box
from datasets.data_folder import UNLABELLED
from datasets.inspection import MaskEncoding, inspect_slices
from datasets.pairing import find_slices, find_unlabelled
from datasets.slices import SliceDataset
from training.distributed import World
from training.pseudo_files import read_pseudo_label
from training.split import Split
from utils import messages
from utils.config import Config, DataConfig
from utils.errors import UserError
from utils.messages import first_of

_LAPS = 1000  # more than a set is gone through in an epoch
_OTHER_SEED = 2**32  # of the pool's order; a run's seed is below 2^31


def open_pool(config: DataConfig, world: World) -> Split:
    """Find and cache the slices without labels.

    Raises:
        UserError: There are none, a patient of val or test is among them, or a file is unfit.
    """
    root = Path(config.root)
    slices = find_unlabelled(root)
    if not slices:
        raise UserError(
            f"{root / UNLABELLED / 'image'}: no images to learn from without labels; "
            f"'python prepare.py few-labels --from DIR --patients N --out {root}' makes such a "
            "folder"
        )
    for split in ("val", "test"):
        held = find_slices(root, split, "none") if (root / split).is_dir() else []
        shared = sorted({entry.patient for entry in slices} & {entry.patient for entry in held})
        if shared:
            raise UserError(
                f"{root / UNLABELLED}: {messages.count(len(shared), 'patient')} of {split}: "
                f"{first_of(shared)}; leave their slices out of the pool"
            )
    with world.first_on_machine():
        report = print if world.is_main else lambda _: None
        facts, cache = open_cache(root, UNLABELLED, slices, config.cache_mib, report)
    return Split(UNLABELLED, slices, inspect_slices(slices, None, facts), cache)


def refuse_misfits(config: Config) -> None:
    """Refuse what learning without labels has no form for.

    Raises:
        UserError: Names the key.
    """
    procedure = config.training.procedure
    if config.data.classes is not None and config.semi_supervised.soft_labels:
        raise UserError(
            "semi_supervised.soft_labels: a pseudo label of several classes is one class a px; set "
            "it to false"
        )
    if config.data.extra:
        raise UserError(
            f"data.extra: training.procedure {procedure} learns from one folder; set it to []"
        )
    if config.data.crop == LUNGS:
        raise UserError("data.crop: the pool has no lung masks; take body, or null")
    if config.data.guide is not None:
        raise UserError(
            f"data.guide: training.procedure {procedure} has no guide for the pool; set it to null"
        )


class PoolDataset(SliceDataset):
    """Slices without labels, with pseudo labels where there are some.

    An item's mask, its label where classes are told apart, holds the pseudo label as
    training.pseudo_files.read_pseudo_label gives it; it is blank without. Beside the contract's
    entries an item has is_unlabelled and draw.

    Args:
        maps: File of the pseudo label by name of the slice.
        **others: See SliceDataset.
    """

    def __init__(self, *others: Any, maps: Mapping[str, Path] | None = None, **options: Any):
        super().__init__(*others, **options)
        self.maps = maps or {}

    def __getitem__(self, key: int | SliceKey) -> dict[str, Any]:
        seed = key.seed if isinstance(key, SliceKey) else None
        return super().__getitem__(key) | {"is_unlabelled": True, "draw": seed or 0}

    def _load(self, index: int) -> tuple[Tensor, Tensor, Box | None]:
        image, masks, box = super()._load(index)
        if path := self.maps.get(self.slices[index].name):
            label = torch.from_numpy(read_pseudo_label(path, len(self.encoding.classes)))
            masks[0] = label if box is None else box.of(label)
        return image, masks, box


def without_labels(
    pool: Split, like: SliceDataset, maps: Mapping[str, Path] | None = None
) -> PoolDataset:
    """The slices of the pool, read as those of another data set are.

    Args:
        pool: All slices.
        like: Gives classes, size, augmentation and how far items are finished.
        maps: See PoolDataset.
    """
    return PoolDataset(
        pool.slices,
        like.encoding if like.encoding.classes else MaskEncoding((255,), "none"),
        like.transform,
        like.edge_width,
        cache=pool.cache,
        is_finished=like.is_finished,
        maps=maps,
    )


class WithPool(Dataset[dict[str, Any]]):
    """Labelled slices, then those of the pool, as one data set.

    Args:
        labelled: May be None.
        pool: Read as the labelled ones.
        names: Of the slices of the pool that count; None takes all.
    """

    def __init__(
        self, labelled: SliceDataset | None, pool: PoolDataset, names: Collection[str] | None = None
    ) -> None:
        self.labelled, self.pool = labelled, pool
        self.chosen = [i for i, s in enumerate(pool.slices) if names is None or s.name in names]
        self.num_labelled = 0 if labelled is None else len(labelled)
        self.transform, self.edge_width = pool.transform, pool.edge_width
        self.encoding = pool.encoding

    def __len__(self) -> int:
        return self.num_labelled + len(self.chosen)

    def __getitem__(self, key: SliceKey) -> dict[str, Any]:
        if key.index >= self.num_labelled:
            return self.pool[key._replace(index=self.chosen[key.index - self.num_labelled])]
        return self.labelled[key] | {"is_unlabelled": False, "draw": 0}


class MixedBatches(Sampler[list[SliceKey]]):
    """One process's share of batches of labelled slices, then unlabelled ones, of WithPool.

    Both sets are gone through in random orders, again and again; an epoch has as many steps as the
    longer one has full batches, and what fills none waits for another order.

    Args:
        sizes: Number of labelled and of unlabelled slices.
        batch_sizes: Of each per batch, over all processes.
        seed: The run's.
        rank: Number of this process.
        world_size: Number of processes.
    """

    def __init__(
        self,
        sizes: tuple[int, int],
        batch_sizes: tuple[int, int],
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.sizes, self.seed, self.rank, self.world_size = sizes, seed, rank, world_size
        self.batch_sizes = tuple(min(pair) for pair in zip(sizes, batch_sizes, strict=True))
        self.epoch, self.first_step = 0, 0

    @property
    def num_steps(self) -> int:
        """Batches of a whole epoch."""
        return max(n // size for n, size in zip(self.sizes, self.batch_sizes, strict=True))

    def set_epoch(self, epoch: int, first_step: int = 0) -> None:
        """As SeededBatches."""
        self.epoch, self.first_step = epoch, first_step

    def __len__(self) -> int:
        return self.num_steps - self.first_step

    def __iter__(self) -> Iterator[list[SliceKey]]:
        both = zip(self._laps(0, self.seed), self._laps(1, self.seed + _OTHER_SEED), strict=True)
        for labelled, pool in islice(both, self.first_step, self.num_steps):
            shifted = [key._replace(index=key.index + self.sizes[0]) for key in pool]
            yield [
                *share_of(labelled, self.rank, self.world_size),
                *share_of(shifted, self.rank, self.world_size),
            ]

    def _laps(self, part: int, seed: int) -> Iterator[list[SliceKey]]:
        """Full batches of one of the sets, without end."""
        number, size = self.sizes[part], self.batch_sizes[part]
        for lap in count(self.epoch * _LAPS):
            generator = torch.Generator().manual_seed(seed * 1_000_003 + lap)
            order = torch.randperm(number, generator=generator).tolist()
            seeds = torch.randint(2**62, (number,), generator=generator).tolist()
            keys = [SliceKey(*pair) for pair in zip(order, seeds, strict=True)]
            for start in range(0, number - size + 1, size):
                yield keys[start : start + size]
