"""Predicted maps and masks that lie in two folders as image files, to be scored as cases."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from datasets.image_io import IMAGE_SUFFIXES, read_gray
from datasets.inspection import MaskEncoding, recognise_masks
from datasets.pairing import images_by_stem
from datasets.slice_names import patient_of_stem
from evaluation.cases import Case
from utils.errors import UserError

_MAX_LISTED = 5
_WHITE = 255
_MOST_CLASSES = 15  # a map without a level above may be one of classes


class MapPairs(NamedTuple):
    """Maps and masks of equal stem, sorted by it; and how they are written.

    Attributes:
        maps: Predicted maps.
        masks: Their masks.
        encoding: Which values of the masks are lesion.
        map_top: The level of a map that is probability 1: 255, or 1 in a folder of 0 and 1 alone.
    """

    maps: list[Path]
    masks: list[Path]
    encoding: MaskEncoding
    map_top: int = 255


def find_map_pairs(maps: Path, masks: Path, lesion_values: Sequence[int] | None = None) -> MapPairs:
    """Pair two folders by file stem and look at every mask.

    Args:
        maps: Folder of predicted maps, 8-bit grey images.
        masks: Folder of masks.
        lesion_values: Grey values that mean lesion; None recognises 0/1 and 0/255.

    Raises:
        UserError: No such folder, no images, a file without its pair, or a mask that is not
            binary; names the files.
    """
    map_paths, mask_paths = pair_files(
        {"--maps": maps, "--masks": masks},
        images_by_stem,
        f"no images ({', '.join(IMAGE_SUFFIXES)})",
    )
    with ThreadPoolExecutor() as pool:
        values = list(pool.map(_mask_values, mask_paths))
    encoding = recognise_masks(mask_paths, values, lesion_values)
    return MapPairs(map_paths, mask_paths, encoding, _find_top(maps, map_paths))


def pair_files(
    folders: Mapping[str, Path], by_stem: Callable[[Path], dict[str, Path]], nothing: str
) -> tuple[list[Path], list[Path]]:
    """Predictions and masks of equal stem, sorted by it.

    Args:
        folders: Of both, by the option that names them.
        by_stem: The files of a folder by their stems.
        nothing: What is to be said where neither holds any.

    Raises:
        UserError: No such folder, no files, or a file without its pair; names them.
    """
    for option, folder in folders.items():
        if not folder.is_dir():
            raise UserError(f"{option} {folder}: no such folder")
    preds, masks = map(by_stem, folders.values())
    named = [f"{option} {folder}" for option, folder in folders.items()]
    if not preds and not masks:
        raise UserError(f"{named[0]}: {nothing}")
    lone = sorted(preds.keys() ^ masks.keys())
    if lone:
        kind = next(iter(folders)).lstrip("-").removesuffix("s")
        listed = ", ".join(
            f"{stem} (no {'mask' if stem in preds else kind})" for stem in lone[:_MAX_LISTED]
        )
        more = f" and {len(lone) - _MAX_LISTED} more" if len(lone) > _MAX_LISTED else ""
        raise UserError(f"{', '.join(named)}: files without a pair: {listed}{more}")
    stems = sorted(preds)
    return [preds[stem] for stem in stems], [masks[stem] for stem in stems]


def _find_top(folder: Path, paths: Sequence[Path]) -> int:
    """What is probability 1 in a folder of maps: the first level above some settles it."""
    top = 0
    for path in paths:
        top = max(top, int(read_gray(path).max()))
        if top > _MOST_CLASSES:
            return _WHITE
    if top == 1:
        print(f"note: --maps {folder}: all maps hold 0 and 1 alone; 1 is read as probability 1")
        return 1
    if top:
        print(
            f"warning: --maps {folder}: no map has a level above {top}, where 255 is probability "
            "1; maps of classes? store probabilities as 0 to 255",
            file=sys.stderr,
        )
    return _WHITE


def _mask_values(path: Path) -> frozenset[int]:
    return frozenset(np.unique(read_gray(path)).tolist())


class FolderCases:
    """The pairs as cases; the map itself is the picture.

    Args:
        pairs: From find_map_pairs.
        resize: Whether a map of another size than its mask is resized to it, as Inf-Net's
            evaluation does (bicubic, on the 256 grey levels); else it is refused.
    """

    has_spacing = has_scans = False
    classes: Mapping[str, int] = MappingProxyType({})

    def __init__(self, pairs: MapPairs, *, resize: bool) -> None:
        self.pairs, self.resize = pairs, resize

    def __len__(self) -> int:
        return len(self.pairs.maps)

    def cases(self, indices: Sequence[int] | None = None) -> Iterator[Case]:
        """Read the pairs one by one; all of them, or those of the indices.

        Raises:
            UserError: A map is damaged, not 8-bit, or of another size.
        """
        for index in range(len(self)) if indices is None else indices:
            path = self.pairs.maps[index]
            target = np.isin(read_gray(self.pairs.masks[index]), self.pairs.encoding.lesion_values)
            levels = self._levels(path, target.shape)
            prob = levels / 255  # float64: the infnet protocol's thresholds are multiples of 1/255
            yield Case(path.stem, patient_of_stem(path.stem), levels, prob, target, None)

    def _levels(self, path: Path, size: tuple[int, int]) -> np.ndarray:
        """The 8-bit map of a file at the mask's size."""
        levels = read_gray(path)
        if levels.max() > 255:
            raise UserError(
                f"{path}: values up to {levels.max()}; store probabilities as 0 to 255, 8 bits"
            )
        if levels.shape != size and not self.resize:
            raise UserError(
                f"{path}: {levels.shape[0]} x {levels.shape[1]} px, but its mask has "
                f"{size[0]} x {size[1]} px; store both at one size (--protocol infnet resizes maps)"
            )
        levels = levels * (_WHITE // self.pairs.map_top)
        return levels if levels.shape == size else _resize_levels(levels, size)


def _resize_levels(levels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Grey levels at another size: bicubic with antialiasing, rounded to levels again."""
    image = torch.from_numpy(levels.astype(np.uint8))[None, None]
    resized = F.interpolate(image, size, mode="bicubic", antialias=True, align_corners=False)
    return resized[0, 0].numpy()
