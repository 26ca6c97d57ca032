"""Given lung masks: which belongs to which volume, and its voxels in the volume's axial view."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np

from datasets.volumes import Volume, open_nifti
from datasets.volumes.scratch import scratch_array
from utils.errors import UserError

NIFTI_SUFFIXES = (".nii.gz", ".nii")
_AFFIXES = ("{}", "{}_lung", "{}_lungs", "{}_lung_mask", "{}_lungmask", "lung_{}")
_SAME_PLACE_MM = 1.0


def find_lung_mask(
    lung: Path, name: str, num_cases: int, suffixes: tuple[str, ...] = NIFTI_SUFFIXES
) -> Path:
    """The lung mask of a volume, or of an X-ray.

    Args:
        lung: A mask, for a single case, or a folder of them, called as the cases are (or with
            _lung after it).
        name: Of the case.
        num_cases: How many there are.
        suffixes: Of masks.

    Raises:
        UserError: No such mask, or one file for several cases.
    """
    if lung.is_file():
        if num_cases > 1:
            raise UserError(f"--lung {lung}: one mask for {num_cases} scans; give a folder")
        return lung
    if not lung.is_dir():
        raise UserError(f"--lung {lung}: no such file or folder")
    wanted = [affix.format(name).lower() for affix in _AFFIXES]
    for path in sorted(lung.iterdir()):
        suffix = next((one for one in suffixes if path.name.lower().endswith(one)), None)
        if suffix and path.name[: -len(suffix)].lower() in wanted:
            return path
    raise UserError(f"--lung {lung}: no mask of {name}; call it {name}{suffixes[0]}")


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
    if lung.shape != volume.shape:
        sizes = [" x ".join(map(str, one.shape)) for one in (lung, volume)]
        raise UserError(
            f"{lung.path}: {sizes[0]} voxels (slices, rows, columns), but {volume.path} has "
            f"{sizes[1]}; give the mask of this volume"
        )
    distance = np.linalg.norm(_corners(lung) - _corners(volume), axis=1).max()
    if distance > _SAME_PLACE_MM:
        raise UserError(
            f"{lung.path}: lies {distance:.1f} mm off {volume.path} by its header; give the mask "
            "of this volume, or copy the volume's geometry to it"
        )


def _corners(volume: Volume) -> np.ndarray:
    """(8, 3) places in mm of the corners of the axial view, whatever the order of storage."""
    shape = volume.view.stored_shape
    grids = [
        volume.view.of(np.broadcast_to(grid, shape)) for grid in np.indices(shape, sparse=True)
    ]
    voxels = [[grid[corner] for grid in grids] + [1] for corner in product((0, -1), repeat=3)]
    return (np.array(voxels) @ volume.view.affine.T)[:, :3]
