"""Given lung masks: which belongs to which volume, and its voxels in the volume's axial view."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from datasets.volumes import Volume, describe_mismatch, open_nifti
from datasets.volumes.scratch import scratch_array
from utils.errors import UserError

NIFTI_SUFFIXES = (".nii.gz", ".nii")
_AFFIXES = ("{}", "{}_lobes", "{}_lung", "{}_lungs", "{}_lung_mask", "{}_lungmask", "lung_{}")


def find_lung_mask(
    lung: Path,
    name: str,
    num_cases: int,
    suffixes: tuple[str, ...] = NIFTI_SUFFIXES,
    option: str = "--lung",
) -> Path:
    """The lung mask of a volume, or of an X-ray.

    Args:
        lung: A mask, for a single case, or a folder of them, called as the cases are (or with
            _lung after it).
        name: Of the case.
        num_cases: How many there are.
        suffixes: Of masks.
        option: That names them.

    Raises:
        UserError: No such mask, or one file for several cases.
    """
    if lung.is_file():
        if num_cases > 1:
            raise UserError(f"{option} {lung}: one mask for {num_cases} scans; give a folder")
        return lung
    if not lung.is_dir():
        raise UserError(f"{option} {lung}: no such file or folder")
    wanted = [affix.format(name).lower() for affix in _AFFIXES]
    for path in sorted(lung.iterdir()):
        suffix = next((one for one in suffixes if path.name.lower().endswith(one)), None)
        if suffix and path.name[: -len(suffix)].lower() in wanted:
            return path
    raise UserError(f"{option} {lung}: no mask of {name}; call it {name}{suffixes[0]}")


@contextmanager
def open_lung_mask(path: Path, volume: Volume) -> Iterator[np.ndarray]:
    """The classes of a lung mask, (slices, H, W) uint8, in the axial view of its volume.

    Raises:
        UserError: It has another size or another place, or is no mask.
    """
    with open_nifti(path) as lung, scratch_array(path, lung.shape, np.dtype(np.uint8)) as classes:
        _check_geometry(lung, volume)
        for index in range(len(lung)):
            label = lung.read_label(index)
            if label.min() < 0 or label.max() > 255:
                raise UserError(
                    f"{path}: slice {index} has values from {label.min()} to {label.max()}; a lung "
                    "mask is 0 outside of the lungs, and 1 or more within"
                )
            classes[index] = label
        yield classes


def _check_geometry(lung: Volume, volume: Volume) -> None:
    """Refuse a mask that does not lie on the voxels of its volume."""
    if mismatch := describe_mismatch(lung, volume):
        hint = "give the mask of this volume"
        if lung.shape == volume.shape:
            hint += ", or copy the volume's geometry to it"
        raise UserError(f"{lung.path}: {mismatch}; {hint}")
