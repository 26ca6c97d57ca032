"""Where a configuration is taken apart: everything built from here on gets plain arguments."""

from pathlib import Path
from typing import NamedTuple

from torch import nn
from torch.utils.data import DataLoader, Subset

from datasets.loader import SeededSampler, create_loader
from datasets.pairing import SliceFiles, check_patients, find_slices, resolve_split
from datasets.slices import SliceDataset, SliceScan, scan_slices
from datasets.transforms import Augmentation, SliceTransform
from losses import create_loss
from models import create_model
from utils.config import Config, DataConfig
from utils.engine import check_heads
from utils.errors import UserError
from utils.runtime import Runtime, create_runtime


class Split(NamedTuple):
    """One split of a data folder, found and looked through."""

    name: str
    slices: list[SliceFiles]
    scan: SliceScan

    def describe(self, edge_width: int) -> str:
        """Counts, sizes and how masks and edges were read, in one line."""
        common = self.scan.sizes.most_common(3)
        sizes = ", ".join(f"{height} x {width} px" for (height, width), _ in common)
        if len(self.scan.sizes) > len(common):
            sizes += f" and {len(self.scan.sizes) - len(common)} other sizes"
        num_edges = sum(entry.edge is not None for entry in self.slices)
        edges = f"edges from mask_ on {num_edges}, " if num_edges else ""
        if num_edges < len(self.slices):
            edges += f"edges derived from masks ({edge_width} px wide), "
        num_lungs = sum(entry.lung is not None for entry in self.slices)
        return (
            f"{self.name}: {len(self.slices)} slices of "
            f"{len({entry.patient for entry in self.slices})} patients, {sizes}, "
            f"masks {self.scan.encoding.name}, {self.scan.has_lesion.count(False)} without "
            f"lesion, {edges}lung masks on {num_lungs}"
        )


def open_split(config: DataConfig, name: str) -> Split:
    """Find and look through a split; test is val where the folder has no test."""
    root = Path(config.root)
    name = resolve_split(root, name)
    slices = find_slices(root, name)
    return Split(name, slices, scan_slices(slices, config.lesion_values))


def build_dataset(config: DataConfig, split: Split, augment: bool) -> SliceDataset:
    """The data set of a split, with the configured augmentations or none."""
    augmentation = Augmentation(**config.augmentation.model_dump()) if augment else None
    transform = SliceTransform(tuple(config.image_size), augmentation)
    return SliceDataset(split.slices, split.scan.encoding, transform, config.edge_width)


class TrainingData(NamedTuple):
    """The loaders of a run; pictures holds a few validation slices with lesion."""

    train: DataLoader
    sampler: SeededSampler
    val: DataLoader
    pictures: DataLoader


def build_training_data(config: Config, runtime: Runtime) -> TrainingData:
    """Look through both splits, print what they hold, and set up their loaders.

    Raises:
        UserError: A file is unfit, a patient stands in both splits, or no epoch could be scored.
    """
    train, val = (open_split(config.data, name) for name in ("train", "val"))
    if not config.data.allow_patient_overlap:
        check_patients({"train": train.slices, "val": val.slices})
    if config.evaluation.empty_target == "nan" and not any(val.scan.has_lesion):
        raise UserError(
            f"{Path(config.data.root) / 'val'}: no slice has a lesion, so with "
            "evaluation.empty_target=nan no epoch has a Dice; add lesions, or take one or zero"
        )
    for split in (train, val):
        print(split.describe(config.data.edge_width))
    sampler = SeededSampler(len(train.slices), config.training.seed)
    loader = create_loader(
        build_dataset(config.data, train, augment=True),
        batch_size=config.training.batch_size,
        num_workers=config.data.num_workers,
        pin_memory=runtime.device.type == "cuda",
        sampler=sampler,
    )
    shown = Subset(build_dataset(config.data, val, augment=False), _pick_cases(config, val))
    return TrainingData(
        train=loader,
        sampler=sampler,
        val=build_evaluation_loader(config, val, runtime),
        pictures=create_loader(shown, batch_size=len(shown), num_workers=0),
    )


def _pick_cases(config: Config, val: Split) -> list[int]:
    """Indices of slices with lesion, evenly spread over the split; any where none has one."""
    indices = [i for i, has_lesion in enumerate(val.scan.has_lesion) if has_lesion]
    indices = indices or list(range(len(val.slices)))
    count = min(config.logging.num_images, len(indices))
    return [indices[(2 * i + 1) * len(indices) // (2 * count)] for i in range(count)]


def build_evaluation_loader(config: Config, split: Split, runtime: Runtime) -> DataLoader:
    """The loader of a split in its own order, without augmentation."""
    return create_loader(
        build_dataset(config.data, split, augment=False),
        batch_size=config.evaluation.batch_size,
        num_workers=config.data.num_workers,
        pin_memory=runtime.device.type == "cuda",
    )


def build_runtime(config: Config) -> Runtime:
    """Device, precision and memory format."""
    training = config.training
    return create_runtime(training.device, training.precision, training.channels_last)


def build_network(config: Config) -> nn.Module:
    """The network, once its input size is known to fit.

    Raises:
        UserError: The size does not fit; names the size to use.
    """
    network = create_model(config.model.name, **config.model.args)
    height, width = config.data.image_size
    fit = [-(-side // network.stride) * network.stride for side in (height, width)]
    if [height, width] != fit:
        raise UserError(
            f"data.image_size: {height} x {width} px does not fit {config.model.name}, whose "
            f"input sides are multiples of {network.stride}; use [{fit[0]}, {fit[1]}]"
        )
    return network


def build_loss(config: Config, network: nn.Module) -> nn.Module:
    """The loss, once the network is known to have the heads that it needs."""
    loss = create_loss(config.loss.function, **config.loss.args)
    idle = check_heads(network, loss)
    if idle:
        print(
            f"warning: loss.function {config.loss.function} leaves the network's "
            f"{', '.join(idle)} side outputs untrained"
        )
    return loss
