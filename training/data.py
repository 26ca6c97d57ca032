"""Data of a configuration: both splits, dealt out to the processes."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, Dataset, Sampler

from datasets.batches import OrderedBatches, SeededBatches, SliceKey, create_loader
from datasets.pairing import LUNG_FOLDERS, check_patients
from datasets.slices import OnDevice, SliceDataset
from datasets.transforms import Augmentation, SliceTransform
from training.distributed import World
from training.mixed_slices import JoinedSlices
from training.mixing import describe_mixture, held_out, mixed_order, open_extra
from training.runtime import Runtime
from training.split import Split, open_split
from utils.config import Config, DataConfig
from utils.errors import UserError


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
        SliceTransform(
            tuple(config.image_size), augmentation, config.crop, config.blur, config.gamma
        ),
        config.edge_width,
        cache=split.cache,
        is_finished=is_finished,
    )


class TrainingData(NamedTuple):
    """The loaders of a run, each of this process's share.

    Attributes:
        train: Batches of training slices.
        batches: Their order; told the epoch before it is iterated.
        dataset: The training slices, augmented.
        val: Batches of validation slices.
        pictures: One batch of a few validation slices with lesion, the same in every process.
    """

    train: DataLoader[dict[str, Any]] | OnDevice
    batches: SeededBatches
    dataset: SliceDataset | JoinedSlices
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
    parts = [train, *open_extra(config.data, world)]
    slices = [entry for part in parts for entry in part.slices]
    if not config.data.allow_patient_overlap:
        check_patients({"train": slices} | held_out(config.data, val))
    if config.evaluation.empty_target == "nan" and not any(val.inspection.has_lesion):
        raise UserError(
            f"{Path(config.data.root) / 'val'}: no slice has a lesion, so with "
            "evaluation.empty_target=nan no epoch has a Dice; add lesions, or take one or zero"
        )
    if needs_lung and not any(entry.lung for entry in slices):
        raise UserError(_no_lungs(config.data))
    if world.is_main:
        _describe(config.data, parts, val)
    order = mixed_order(config.data, parts) if len(parts) > 1 else None
    batches = SeededBatches(
        len(slices) if order is None else len(order),
        config.training.batch_size,
        config.training.seed,
        rank=world.rank,
        world_size=world.size,
        order=order,
    )
    dataset = _training_slices(config.data, parts)
    shown = [[SliceKey(index) for index in _pick_cases(config, val)]]
    return TrainingData(
        train=build_training_loader(config.data, dataset, batches, runtime),
        batches=batches,
        dataset=dataset,
        val=build_evaluation_loader(config, val, runtime, world),
        pictures=create_loader(
            build_dataset(config.data, val, augment=False), shown, num_workers=0
        ),
    )


def _training_slices(config: DataConfig, parts: Sequence[Split]) -> SliceDataset | JoinedSlices:
    """All training slices, augmented; finished here, or later on the device."""
    is_finished = not config.augment_on_device
    datasets = [build_dataset(config, p, augment=True, is_finished=is_finished) for p in parts]
    return datasets[0] if len(datasets) == 1 else JoinedSlices(datasets)


def count_labelled(dataset: SliceDataset | JoinedSlices) -> dict[str, int]:
    """Slices and patients that are learnt from with their masks, for run_info.json."""
    parts = dataset.parts if isinstance(dataset, JoinedSlices) else [dataset]
    patients = [entry.patient for part in parts for entry in part.slices]
    return {"slices": len(patients), "patients": len(set(patients))}


def _describe(config: DataConfig, parts: Sequence[Split], val: Split) -> None:
    """Print what the splits hold, and warn of what cannot be learnt."""
    for split in (parts[0], val):
        print(split.describe(config.edge_width))
        split.warn_of_absent_classes(config.root)
    for extra, split in zip(config.extra, parts[1:], strict=True):
        print(f"{extra.root}, {split.describe(config.edge_width)}")
        split.warn_of_absent_classes(extra.root)
    if config.extra:
        print(describe_mixture(config, mixed_order(config, parts)))
    if not any(has_lesion for part in parts for has_lesion in part.inspection.has_lesion):
        print(
            f"warning: {Path(config.root) / 'train'}: no mask shows a lesion, so there is none to "
            "learn; look at the masks",
            file=sys.stderr,
        )


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


def build_training_loader(
    config: DataConfig,
    dataset: Dataset[dict[str, Any]],
    batches: Sampler[list[SliceKey]],
    runtime: Runtime,
) -> DataLoader[dict[str, Any]] | OnDevice:
    """The loader of augmented slices, finished in its processes or on the device."""
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
