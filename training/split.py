"""A split of a data folder: found, looked through, cached."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.cache import open_cache
from datasets.cache_file import SliceCache
from datasets.card import DataProperties, read_card
from datasets.crop import LUNGS
from datasets.guides import with_guides
from datasets.inspection import SplitInspection, inspect_slices
from datasets.pairing import SliceFiles, find_slices, resolve_split
from training.classes import find_classes
from training.distributed import World
from utils.config import DataConfig
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
            print(
                f"warning: {Path(root) / self.name}: no slice shows {', '.join(absent)}; going on",
                file=sys.stderr,
            )


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
    _check_crop(config, root / name, slices)
    report = print if world.is_main else _say_nothing
    kind = f"classes-{name}" if classes else name  # beside the cache of a run without classes
    with world.first_on_machine():
        facts, cache = open_cache(root, kind, slices, config.cache_mib, report)
    if config.guide is not None:
        slices = with_guides(slices, [fact.size for fact in facts], Path(config.guide), name)
    inspection = inspect_slices(slices, config.lesion_values, facts, classes)
    return Split(name, slices, inspection, cache, config.lung)


def _check_crop(config: DataConfig, folder: Path, slices: Sequence[SliceFiles]) -> None:
    """Refuse to crop X-rays, or to crop to lungs where a part of the slices has none marked.

    Where no slice has any, as in slices that are cut to the lungs already, the body is the box.
    """
    if config.crop is None:
        return
    if DataProperties.from_card(read_card(Path(config.root))).is_x_ray:
        raise UserError(f"data.crop: {config.root} holds chest X-rays, crop is for CT; set null")
    without = sum(entry.lung is None for entry in slices)
    if config.crop == LUNGS and without == len(slices):
        print(
            f"warning: {folder}: no slice has a lung mask (data.lung={config.lung}), so slices are "
            f"cropped to the body; 'python prepare.py lungs {config.root}' finds lungs in scans",
            file=sys.stderr,
        )
    elif config.crop == LUNGS and without:
        raise UserError(
            f"data.crop: {folder}: {without} of {len(slices)} slices have no lung mask "
            f"(data.lung={config.lung}), and a crop that only the others get would tell them "
            f"apart; set data.lung=derived after 'python prepare.py lungs {config.root}', or "
            "data.crop=body"
        )


def _say_nothing(_: str) -> None:
    """Leave it to the main process."""
