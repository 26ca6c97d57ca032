"""Data of a configuration: splits looked through, cached and dealt out to the processes."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import DataLoader

from datasets.batches import OrderedBatches, SeededBatches, SliceKey, create_loader
from datasets.cache import open_cache
from datasets.cache_file import SliceCache
from datasets.guides import with_guides
from datasets.inspection import SplitInspection, inspect_slices
from datasets.pairing import LUNG_FOLDERS, SliceFiles, check_patients, find_slices, resolve_split
from datasets.slices import OnDevice, SliceDataset
from datasets.transforms import Augmentation, SliceTransform
from training.classes import find_classes
from training.distributed import World
from training.runtime import Runtime
from utils.config import Config, DataConfig
from utils.errors import UserError


class Split(NamedTuple):
    """One split of a data folder, found and looked through; cache is None without one.

    Lung says where lung masks are from, as data.lung does.
    """

    name: str
    slices: list[SliceFiles]
    inspection: SplitInspection
    cache: SliceCache | None
    lung: str = "given"

    def describe(self, edge_width: int) -> str:
        """Counts, sizes and how masks and edges were read, in one line."""
        common = self.inspection.sizes.most_common(3)
        sizes = ", ".join(f"{height} x {width} px" for (height, width), _ in common)
        if len(self.inspection.sizes) > len(common):
            sizes += f" and {len(self.inspection.sizes) - len(common)} other sizes"
        num_edges = sum(entry.edge is not None for entry in self.slices)
        edges = f"edges from mask_ on {num_edges}, " if num_edges else ""
        if num_edges < len(self.slices):
            edges += f"edges derived from masks ({edge_width} px wide), "
        classes = "".join(
            f"{name} on {number}, " for name, number in self.inspection.slices_per_class.items()
        )
        num_lungs = sum(entry.lung is not None for entry in self.slices)
        return (
            f"{self.name}: {len(self.slices)} slices of "
            f"{len({entry.patient for entry in self.slices})} patients, {sizes}, "
            f"masks {self.inspection.encoding.name}, {classes}"
            f"{self.inspection.has_lesion.count(False)} without lesion, {edges}"
            f"{'derived ' * (self.lung == 'derived')}lung masks on {num_lungs}"
            + (f", {self.cache.num_cached} cached" if self.cache else "")
        )

    def warn_of_absent_classes(self, root: str) -> None:
        """A line for classes that no slice shows."""
        counts = self.inspection.slices_per_class
        if absent := [name for name, number in counts.items() if not number]:
            text = f"no slice shows {', '.join(absent)}; going on"
            print(f"warning: {Path(root) / self.name}: {text}", file=sys.stderr)


def open_split(config: DataConfig, name: str, world: World | None = None) -> Split:
    """Find, inspect and cache a split; test is val where the folder has no test.

    One process of each machine decodes it; the others then find the cache.

    Raises:
        UserError: No such split, or a file is unfit.
    """
    world = world or World()
    root = Path(config.root)
    name = resolve_split(root, name)
    classes = find_classes(config)
    slices = find_slices(root, name, config.lung, of_classes=bool(classes))
    if config.guide is not None:
        slices = with_guides(slices, Path(config.guide), name)
    report = print if world.is_main else _say_nothing
    kind = f"classes-{name}" if classes else name  # beside the cache of a run without classes
    with world.first_on_machine():
        facts, cache = open_cache(root, kind, slices, config.cache_mib, report)
    inspection = inspect_slices(slices, config.lesion_values, facts, classes)
    return Split(name, slices, inspection, cache, config.lung)


def _say_nothing(_: str) -> None:
    """Leave it to the main process."""


def build_dataset(
    config: DataConfig, split: Split, augment: bool, is_finished: bool = True
) -> SliceDataset:
    """The data set of a split, with the configured augmentations or none.

    Args:
        config: How slices are read.
        split: Which.
        augment: Whether the configured augmentations are drawn.
        is_finished: False leaves the second half of the transforms to datasets.slices.
    """
    augmentation = Augmentation(**config.augmentation.model_dump()) if augment else None
    return SliceDataset(
        split.slices,
        split.inspection.encoding,
        SliceTransform(tuple(config.image_size), augmentation),
        config.edge_width,
        cache=split.cache,
        is_finished=is_finished,
    )


class TrainingData(NamedTuple):
    """The loaders of a run, each of this process's share.

    Attributes:
        train: Batches of training slices.
        batches: Their order; told the epoch before it is iterated.
        val: Batches of validation slices.
        pictures: One batch of a few validation slices with lesion, the same in every process.
    """

    train: DataLoader[dict[str, Any]] | OnDevice
    batches: SeededBatches
    val: DataLoader[dict[str, Any]]
    pictures: DataLoader[dict[str, Any]]


def build_training_data(
    config: Config, runtime: Runtime, world: World | None = None, *, needs_lung: bool = False
) -> TrainingData:
    """Look through both splits, print what they hold, and set up their loaders.

    Args:
        config: Of the run.
        runtime: Device of the batches.
        world: The processes of the job.
        needs_lung: Whether the loss has a lung term.

    Raises:
        UserError: A file is unfit, a patient stands in both splits, no epoch could be scored, no
            slice has a lung mask where the loss needs some, or a batch has fewer slices than
            there are processes.
    """
    world = world or World()
    _check_batch_size(config.training.batch_size, world)
    train, val = (open_split(config.data, name, world) for name in ("train", "val"))
    if not config.data.allow_patient_overlap:
        check_patients({"train": train.slices, "val": val.slices})
    if config.evaluation.empty_target == "nan" and not any(val.inspection.has_lesion):
        raise UserError(
            f"{Path(config.data.root) / 'val'}: no slice has a lesion, so with "
            "evaluation.empty_target=nan no epoch has a Dice; add lesions, or take one or zero"
        )
    if needs_lung and not any(entry.lung for entry in train.slices):
        raise UserError(_no_lungs(config.data))
    if world.is_main:
        _describe_splits(config.data, train, val)
    batches = SeededBatches(
        len(train.slices),
        config.training.batch_size,
        config.training.seed,
        rank=world.rank,
        world_size=world.size,
    )
    shown = [[SliceKey(index) for index in _pick_cases(config, val)]]
    return TrainingData(
        train=_build_training_loader(config.data, train, batches, runtime),
        batches=batches,
        val=build_evaluation_loader(config, val, runtime, world),
        pictures=create_loader(
            build_dataset(config.data, val, augment=False), shown, num_workers=0
        ),
    )


def _describe_splits(config: DataConfig, train: Split, val: Split) -> None:
    """Print what they hold, and warn of what cannot be learnt from them."""
    for split in (train, val):
        print(split.describe(config.edge_width))
        split.warn_of_absent_classes(config.root)
    if not any(train.inspection.has_lesion):
        text = "no mask shows a lesion, so there is none to learn; look at the masks"
        print(f"warning: {Path(config.root) / 'train'}: {text}", file=sys.stderr)


def _no_lungs(config: DataConfig) -> str:
    """What to do where the loss has a lung term and no training slice a lung mask."""
    place = f"{Path(config.root) / 'train'}: no slice has a lung mask (data.lung={config.lung})"
    return (
        f"{place}, and the loss supervises lungs; add {LUNG_FOLDERS['given']}/, set "
        f"data.lung=derived after 'python prepare.py lungs {config.root}' (CT), or set "
        "loss.args.lung_weight=0 (Co-ERA-Net: also model.args.lung_flow=false and "
        "model.args.region_fusion=false)"
    )


def _check_batch_size(batch_size: int, world: World) -> None:
    """Refuse a batch that leaves a process without a slice in every step."""
    if batch_size < world.size:
        raise UserError(
            f"training.batch_size: {batch_size} slices cannot be shared by {world.size} "
            f"processes; set it to {world.size} or more, or start fewer processes"
        )


def _build_training_loader(
    config: DataConfig, split: Split, batches: SeededBatches, runtime: Runtime
) -> DataLoader[dict[str, Any]] | OnDevice:
    """The loader of augmented slices, finished in its processes or on the device."""
    dataset = build_dataset(config, split, augment=True, is_finished=not config.augment_on_device)
    loader = create_loader(
        dataset,
        batches,
        num_workers=config.num_workers,
        pin_memory=runtime.device.type == "cuda",
    )
    if not config.augment_on_device:
        return loader
    return OnDevice(
        *(loader, dataset.transform, dataset.edge_width, runtime.device),
        has_classes=bool(dataset.encoding.classes),
    )


def _pick_cases(config: Config, val: Split) -> list[int]:
    """Indices of slices with lesion, evenly spread over the split; any where none has one."""
    indices = [i for i, has_lesion in enumerate(val.inspection.has_lesion) if has_lesion]
    indices = indices or list(range(len(val.slices)))
    count = min(config.logging.num_images, len(indices))
    return [indices[(2 * i + 1) * len(indices) // (2 * count)] for i in range(count)]


def build_evaluation_loader(
    config: Config, split: Split, runtime: Runtime, world: World | None = None
) -> DataLoader[dict[str, Any]]:
    """The loader of this process's share of a split, in its order, without augmentation."""
    world = world or World()
    return create_loader(
        build_dataset(config.data, split, augment=False),
        OrderedBatches(
            len(split.slices), config.evaluation.batch_size, rank=world.rank, world_size=world.size
        ),
        num_workers=config.data.num_workers,
        pin_memory=runtime.device.type == "cuda",
    )
