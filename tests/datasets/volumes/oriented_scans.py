"""Scans in miniature, in every orientation."""

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import from_matvec
from nibabel.eulerangles import euler2mat

SIDES = (0.7, 0.8, 2.5)
OBLIQUE = euler2mat(0.2, -0.15, 0.1) @ np.diag(SIDES)


def all_orientations() -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The 48 ways to lay three axes along three directions."""
    return list(
        itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
    )


def orient(axes: tuple[int, ...], signs: tuple[int, ...]) -> np.ndarray:
    """The affine of a file whose axes run along these directions, sides in the file's order."""
    matrix = np.zeros((3, 3))
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        matrix[axis, column] = sign * SIDES[column]
    return from_matvec(matrix, (-120.5, 33.25, 1012.0))


def noise(shape: tuple[int, ...] = (5, 4, 3), dtype: type = np.int16) -> np.ndarray:
    """Values from 0 to 199, all different enough to tell places apart."""
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def write_scan(
    path: Path, values: np.ndarray | None = None, affine: np.ndarray | None = None
) -> np.ndarray:
    """Write a file as nibabel does; returns the values."""
    values = noise() if values is None else values
    nib.save(
        nib.Nifti1Image(values, np.diag([0.7, 0.8, 2.5, 1]) if affine is None else affine), path
    )
    return values


def expect_axial(path: Path) -> np.ndarray:
    """What a file shows, by way of nibabel's canonical orientation: right, front, head."""
    canonical = nib.as_closest_canonical(nib.load(path))
    return np.asarray(canonical.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1]
