"""Predictions that lie in a folder beside their masks: maps as images, or volumes as NIfTI."""

from functools import partial
from pathlib import Path

from evaluation.map_folders import FolderCases, find_map_pairs
from evaluation.volume_folders import VolumeCases, find_volume_pairs
from utils.config import DataConfig
from utils.errors import UserError
from utils.progress import Progress


def open_predictions(
    maps: Path | None, volumes: Path | None, masks: Path, settings: DataConfig, resize: bool
) -> FolderCases | VolumeCases:
    """The cases of a folder of maps or, without one, of volumes.

    Args:
        maps: Folder of maps.
        volumes: Folder of volumes.
        masks: Folder of their masks.
        settings: Which values are lesion or, of volumes, classes.
        resize: Whether maps of another size than their masks are resized.

    Raises:
        UserError: The folders are unfit, or classes have no values.
    """
    if maps is not None:
        pairs = find_map_pairs(maps, masks, settings.lesion_values)
        return FolderCases(pairs, resize=resize)
    classes = settings.classes
    if classes is not None and not isinstance(classes, dict):
        raise UserError("data.classes: give every name its value, such as {ground-glass: 1}")
    bar = partial(Progress, label="volumes")
    return VolumeCases(find_volume_pairs(volumes, masks, bar, settings.lesion_values, classes))
