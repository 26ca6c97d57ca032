"""CT slices with masks from a data folder, as the dict that every split yields."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datasets.batches import SliceKey
from datasets.cache_file import SliceCache
from datasets.classes import to_channels
from datasets.crop import Box
from datasets.edges import edge_of_mask
from datasets.image_io import read_gray
from datasets.inspection import MaskEncoding
from datasets.pairing import SliceFiles
from datasets.stored import StoredSlice, read_slice
from datasets.transforms import SliceTransform
from utils.contracts import Batch


class SliceDataset(Dataset[dict[str, Any]]):
    """One split. An item is one slice of the contract utils.contracts.Batch, not yet collated.

    A slice is asked for by its index or by a SliceKey. With a seed the augmentation depends on
    that seed alone, whatever the number of workers or an interruption before.

    With is_finished=False an item stops at the network's size, and OnDevice does the rest: `image`
    (1, h, w) float32 grey levels from 0, `masks` (3, h, w) uint8 classes, lung and edge,
    `has_edge`, `seed`, and the contract's `has_lung`, `is_padding`, `name` and `patient`.

    Args:
        slices: The files, from datasets.pairing.find_slices.
        encoding: How the masks are written, from datasets.inspection.inspect_slices.
        transform: Size and augmentation.
        edge_width: Width in px of edges derived from the mask, for slices without a mask_ file.
        cache: Decoded slices, from datasets.cache.open_cache; None decodes the files every time.
        is_finished: Whether items are finished here.
    """

    def __init__(
        self,
        slices: Sequence[SliceFiles],
        encoding: MaskEncoding,
        transform: SliceTransform,
        edge_width: int,
        *,
        cache: SliceCache | None = None,
        is_finished: bool = True,
    ) -> None:
        self.slices = list(slices)
        self.encoding = encoding
        self.transform = transform
        self.edge_width = edge_width
        self.cache = cache
        self.is_finished = is_finished

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, key: int | SliceKey) -> dict[str, Any]:
        index, seed, is_padding = key if isinstance(key, SliceKey) else SliceKey(key)
        files = self.slices[index]
        image, masks, box = self._load(index)
        image, masks = self.transform.resize(image, masks)
        has_edge = files.edge is not None
        if self.is_finished:
            item = finish_slice(
                *(image, masks, has_edge, seed, self.transform, self.edge_width),
                has_classes=bool(self.encoding.classes),
            )
        else:
            item = {"image": image, "masks": masks, "has_edge": has_edge, "seed": seed}
        if box is not None:
            item["box"] = torch.tensor(box)
        return item | {
            "has_lung": files.lung is not None,
            "is_padding": is_padding,
            "name": files.name,
            "patient": files.patient,
        }

    def original(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image (H, W) uint8 or uint16 and mask (H, W) bool of a slice as stored."""
        image, label = self.original_label(index)
        return image, label > 0

    def original_label(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image as stored and classes (H, W) uint8, 0 background; 1 is lesion where it has none."""
        stored = self._read(index)
        return stored.image, self._label(stored)

    def original_lung(self, index: int) -> np.ndarray | None:
        """Lung mask (H, W) bool of a slice as stored; None where it has none."""
        lung = self._read(index).lung
        return None if lung is None else lung > 0

    def _label(self, stored: StoredSlice) -> np.ndarray:
        if self.encoding.classes:
            return to_channels(stored.mask, self.encoding.lesion_values)
        return np.isin(stored.mask, self.encoding.lesion_values).astype(np.uint8)

    def _load(self, index: int) -> tuple[Tensor, Tensor, Box | None]:
        """Image (1, H, W) float32, with a guide (2, H, W); masks (3, H, W) uint8; what they are of.

        The masks are classes, lung, edge. H and W are those of the box that was cut out.
        """
        stored = self._read(index)
        label = self._label(stored)
        absent = np.zeros_like(label)
        lung = absent if stored.lung is None else stored.lung > 0
        edge = absent if stored.edge is None else stored.edge > 0
        masks = np.stack([label, lung, edge])
        channels = [stored.image.astype(np.float32)]
        if guide := self.slices[index].guide:
            channels.append(read_gray(guide).astype(np.float32) / 255)
        image, box = np.stack(channels), self.transform.find_box(stored.image, stored.lung)
        if box is not None:
            image, masks = np.ascontiguousarray(box.of(image)), np.ascontiguousarray(box.of(masks))
        return torch.from_numpy(image), torch.from_numpy(masks), box

    def _read(self, index: int) -> StoredSlice:
        stored = self.cache.read(index) if self.cache else None
        return read_slice(self.slices[index]) if stored is None else stored


def finish_slice(
    image: Tensor,
    masks: Tensor,
    has_edge: bool,
    seed: int | None,
    transform: SliceTransform,
    edge_width: int,
    *,
    has_classes: bool = False,
) -> dict[str, Tensor]:
    """From the network's size to the contract: augmentation, z-score, edge; on any device.

    Args:
        image: (1, H, W) float32 grey levels from 0.
        masks: (3, H, W) uint8: classes, lung, edge; the only class is 1 unless has_classes.
        has_edge: Whether the edge is given; else it is derived from the classes.
        seed: Of the augmentation; None draws from torch's generator.
        transform: The augmentation.
        edge_width: Width in px of a derived edge.
        has_classes: Whether classes are told apart.

    Returns:
        image, mask, edge and lung, each (1, H, W) float32; label (H, W) int64 with has_classes.
    """
    with _seeded(seed):
        image, masks = transform.finish(image, masks)
    label, lung, edge = masks
    if not has_edge:
        edge = edge_of_mask(label, edge_width)
    targets = {"mask": label.clamp(max=1) if has_classes else label, "edge": edge, "lung": lung}
    item = {"image": image} | {key: target[None].float() for key, target in targets.items()}
    return item | ({"label": label.long()} if has_classes else {})


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Set the CPU generator to a seed, and afterwards back to what it was."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # manual_seed would reset the GPU's too
        yield


class OnDevice:
    """The batches of a loader of unfinished slices, finished on a device.

    Random numbers are the loader processes' own, drawn on the CPU from each slice's seed: on a
    CPU the batches are the same bit for bit, on a GPU to rounding.

    Args:
        loader: Of a SliceDataset with is_finished=False, by keys that have seeds.
        transform: The data set's.
        edge_width: Width in px of edges derived from the mask.
        device: Where the network lives.
        has_classes: Whether classes are told apart.
    """

    def __init__(
        self,
        loader: DataLoader[dict[str, Any]],
        transform: SliceTransform,
        edge_width: int,
        device: torch.device,
        *,
        has_classes: bool = False,
    ) -> None:
        self.loader, self.transform = loader, transform
        self.edge_width, self.device, self.has_classes = edge_width, device, has_classes

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
        settings = (self.transform, self.edge_width)
        items = [finish_slice(*s, *settings, has_classes=self.has_classes) for s in slices]
        return {key: torch.stack([item[key] for item in items]) for key in items[0]} | moved
