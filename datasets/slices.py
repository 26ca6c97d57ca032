"""CT slices with masks from a data folder, as the dict that every split yields."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datasets.edges import edge_of_mask
from datasets.image_io import read_gray
from datasets.pairing import SliceFiles
from datasets.transforms import SliceTransform
from utils.errors import UserError


class MaskEncoding(NamedTuple):
    """How a data set writes its masks: the grey values of the lesion, and a name for the log."""

    lesion_values: tuple[int, ...]
    name: str


class SliceScan(NamedTuple):
    """What a look at every file of a split found."""

    encoding: MaskEncoding
    has_lesion: tuple[bool, ...]
    sizes: Counter[tuple[int, int]]


def scan_slices(
    slices: Sequence[SliceFiles], lesion_values: Sequence[int] | None = None
) -> SliceScan:
    """Read every file of a split once, so that a bad one stops the run before it starts.

    Args:
        slices: The files.
        lesion_values: Grey values that mean lesion; None recognises 0/1 and 0/255.

    Raises:
        UserError: A file is damaged, sizes of a pair differ, or a mask holds unexpected values.
    """
    with ThreadPoolExecutor() as pool:
        looks = list(pool.map(_look, slices))
    values = set().union(*(found for _, found in looks))
    encoding = _recognise(values, lesion_values, slices, looks)
    has_lesion = tuple(not found.isdisjoint(encoding.lesion_values) for _, found in looks)
    return SliceScan(encoding, has_lesion, Counter(size for size, _ in looks))


def _look(files: SliceFiles) -> tuple[tuple[int, int], set[int]]:
    """Size of one slice and the values of its mask, after the pair's checks."""
    shape = read_gray(files.image).shape
    mask = read_gray(files.mask)
    others = [(files.mask, mask.shape)]
    others += [(path, read_gray(path).shape) for path in (files.edge, files.lung) if path]
    for path, other in others:
        if other != shape:
            raise UserError(
                f"{path}: {other[0]} x {other[1]} px, but {files.image} has "
                f"{shape[0]} x {shape[1]} px; both must have the same size"
            )
    return shape, set(np.unique(mask).tolist())


def _recognise(
    values: set[int],
    lesion_values: Sequence[int] | None,
    slices: Sequence[SliceFiles],
    looks: Sequence[tuple[tuple[int, int], set[int]]],
) -> MaskEncoding:
    """The encoding that explains all values of a split's masks."""
    if lesion_values is not None:
        known = MaskEncoding(tuple(lesion_values), f"lesion = {list(lesion_values)}")
        unexpected = values - {0} - set(lesion_values)
        hint = "list every lesion value in data.lesion_values"
    else:
        known = MaskEncoding((1,), "0/1") if values <= {0, 1} else MaskEncoding((255,), "0/255")
        unexpected = values - {0, *known.lesion_values}
        hint = "store 0/1 or 0/255, or name the lesion's values, data.lesion_values=[1,2,3]"
    if unexpected:
        culprit = next(
            files.mask
            for files, (_, found) in zip(slices, looks, strict=True)
            if found & unexpected
        )
        listed = ", ".join(map(str, sorted(unexpected)[:8]))
        more = f" and {len(unexpected) - 8} more" if len(unexpected) > 8 else ""
        raise UserError(f"{culprit}: unexpected mask values {listed}{more}; {hint}")
    return known


class SliceDataset(Dataset[dict[str, Any]]):
    """One split. An item is one slice of the contract utils.contracts.Batch, not yet collated.

    An index may come with a seed, (index, seed), as SeededSampler yields them: the augmentation
    then depends on that seed alone, whatever the number of workers or an interruption before.

    Args:
        slices: The files, from datasets.pairing.find_slices.
        encoding: How the masks are written, from scan_slices.
        transform: Size and augmentation.
        edge_width: Width in px of edges derived from the mask, for slices without a mask_ file.
    """

    def __init__(
        self,
        slices: Sequence[SliceFiles],
        encoding: MaskEncoding,
        transform: SliceTransform,
        edge_width: int,
    ) -> None:
        self.slices = list(slices)
        self.encoding = encoding
        self.transform = transform
        self.edge_width = edge_width

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        if not isinstance(key, tuple):
            return self._load(self.slices[key])
        index, seed = key
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # manual_seed would reset the GPU's too
            return self._load(self.slices[index])

    def _load(self, files: SliceFiles) -> dict[str, Any]:
        image = torch.from_numpy(read_gray(files.image).astype(np.float32))
        mask = np.isin(read_gray(files.mask), self.encoding.lesion_values)
        absent = np.zeros_like(mask)
        lung = read_gray(files.lung) > 0 if files.lung else absent
        edge = read_gray(files.edge) > 0 if files.edge else absent
        masks = torch.from_numpy(np.stack([mask, lung, edge]).astype(np.uint8))
        image, masks = self.transform(image[None], masks)
        mask, lung, edge = masks
        if files.edge is None:
            edge = torch.from_numpy(edge_of_mask(mask.numpy(), self.edge_width))
        return {
            "image": image,
            "mask": _as_target(mask),
            "edge": _as_target(edge),
            "lung": _as_target(lung),
            "has_lung": files.lung is not None,
            "name": files.name,
            "patient": files.patient,
        }


def _as_target(mask: Tensor) -> Tensor:
    """(H, W) uint8 to (1, H, W) float32."""
    return mask[None].float()
