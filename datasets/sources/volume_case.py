"""A NIfTI scan with its label and lung volumes, read slice by slice as a case of a source."""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from datasets.intensity import IntensityRule
from datasets.sources.file_tree import FoundFile
from datasets.sources.source import CaseSlice, SourceCase
from datasets.units import find_misfit, sample_values
from datasets.volumes.geometry import check_geometry, describe_placeless
from datasets.volumes.nifti import open_nifti
from datasets.volumes.volume import Volume
from utils.errors import UserError

# A corner that two headers put further apart than this, in sides of the smallest voxel, is not the
# same corner; float32 quaternions and sforms round to far less.
_SAME_PLACE = 0.1
# A label value further from a whole number was interpolated, or is a probability.
_SAME_VALUE = 0.1


def volume_case(
    name: str,
    patient: str,
    *,
    image: FoundFile,
    mask: FoundFile | None,
    lung: FoundFile | None = None,
    rule: IntensityRule,
    labels: Mapping[int, int],
    split: str | None = None,
    copy_geometry: bool = False,
    mend: Callable[[np.ndarray], np.ndarray] | None = None,
) -> SourceCase:
    """A case of a NIfTI scan.

    Where label and image disagree about their place in space although they are stored with the
    same shape, the image's header is believed for both, and a warning names the files.

    Args:
        name: As SourceCase.
        patient: As SourceCase.
        image: The scan.
        mask: Its label volume; None for an unlabelled scan.
        lung: Its lung volume, 0 outside.
        rule: From the scan's values to grey levels. Reading refuses a scan whose values cannot be
            of the rule's unit.
        labels: From values of the label volume to classes; 0 stays 0.
        split: As SourceCase.
        copy_geometry: The source is known to have label headers that say nothing: the image's
            header is used without looking at theirs.
        mend: From the affine (4, 4) of the scan to a matrix (4, 4) that its world, in mm, is
            multiplied by, where a source is known to have scans with a wrong header.

    Returns:
        The case; nothing is opened yet. Its spacing is known once it is read.
    """
    case = _VolumeCase(image, mask, lung, rule, labels, copy_geometry, mend)
    return SourceCase(name, patient, case.read, split=split, spacing=case.find_spacing)


@contextmanager
def open_found(file: FoundFile) -> Iterator[Volume]:
    """The volume of a NIfTI file, be it in an archive; messages call it as the user knows it.

    Raises:
        UserError: As open_nifti and FoundFile.on_disk.
    """
    with ExitStack() as stack:
        path = stack.enter_context(file.on_disk())
        try:
            volume = stack.enter_context(open_nifti(path))
        except UserError as error:
            raise UserError(str(error).replace(str(path), str(file))) from error
        yield volume


class _VolumeCase:
    """What volume_case's functions know; picklable, so that another process may read it."""

    def __init__(
        self,
        image: FoundFile,
        mask: FoundFile | None,
        lung: FoundFile | None,
        rule: IntensityRule,
        labels: Mapping[int, int],
        copy_geometry: bool,
        mend: Callable[[np.ndarray], np.ndarray] | None,
    ) -> None:
        self.image, self.mask, self.lung = image, mask, lung
        self.rule, self.labels = rule, dict(labels)
        self.copy_geometry, self.mend = copy_geometry, mend
        self._spacing: tuple[float, ...] | None = None
        self._is_spacing_known = False

    def find_spacing(self) -> tuple[float, ...] | None:
        """Height and width of a px and distance of slices, mm; None where the header has none."""
        if not self._is_spacing_known:
            with open_found(self.image) as volume:
                self._keep_spacing(volume)
        return self._spacing

    def read(self, bits: int) -> Iterator[CaseSlice]:
        """See SourceCase.read."""
        with ExitStack() as stack:
            image = stack.enter_context(open_found(self.image))
            self._keep_spacing(image)
            world = np.eye(4) if self.mend is None else self.mend(image.view.affine)
            scan = _look_at(image, world @ image.view.affine, self.image)
            check_geometry(scan)
            if warning := describe_placeless(scan):
                print(f"warning: {warning}", file=sys.stderr)
            label = self._open_beside(stack, self.mask, image, world)
            lung = self._open_beside(stack, self.lung, image, world)
            self._check_values(scan)
            for index in range(len(scan)):
                yield CaseSlice(
                    index,
                    self.rule.apply(scan.read_slice(index), bits),
                    None if label is None else self._read_classes(label, index),
                    None if lung is None else lung.read_slice(index) >= 0.5,
                )

    def _keep_spacing(self, volume: Volume) -> None:
        distance, height, width = volume.spacing
        self._spacing = (height, width, distance) if volume.has_place else None
        self._is_spacing_known = True

    def _open_beside(
        self, stack: ExitStack, file: FoundFile | None, image: Volume, world: np.ndarray
    ) -> Volume | None:
        """A label or lung volume, looked at by its own affine or by the image's."""
        if file is None:
            return None
        volume = stack.enter_context(open_found(file))
        if not self.copy_geometry and _is_same_grid(image, volume):
            return _look_at(volume, world @ volume.view.affine, file)
        if volume.stored.shape != image.stored.shape:
            raise UserError(
                f"{file}: holds {_size(volume)} voxels, its scan {self.image} {_size(image)}; "
                "take the files of one download"
            )
        if not self.copy_geometry:
            print(
                f"warning: {file}: its header puts it elsewhere than its scan {self.image}, whose "
                "header is used for both; check the outlines by eye",
                file=sys.stderr,
            )
        return _look_at(volume, world @ image.view.affine, file)

    def _read_classes(self, label: Volume, index: int) -> np.ndarray:
        """(H, W) uint8 classes of a slice of the label volume."""
        values = label.read_slice(index)
        whole = np.rint(values)  # a slope can make 1.9999 of a 2
        classes = np.zeros(values.shape, np.uint8)
        known = whole == 0
        for value, class_id in self.labels.items():
            here = whole == value
            classes[here] = class_id
            known |= here
        known &= np.abs(values - whole) <= _SAME_VALUE
        if not known.all():
            expected = ", ".join(str(value) for value in sorted({0, *self.labels}))
            raise UserError(
                f"{self.mask}: slice {index} holds the label {values[~known][0]:g}, not one of "
                f"{expected}; take the label volumes as they were published"
            )
        return classes

    def _check_values(self, scan: Volume) -> None:
        """Refuse a scan whose values are not of the rule's unit, such as grey levels for HU."""
        values = sample_values(scan)
        problem = find_misfit(values, self.rule.unit)
        if problem:
            raise UserError(
                f"{self.image}: its values, {values.low:g} to {values.high:g}, {problem}; take the "
                "scan as it was published, or convert it under the unit that it is in by "
                "prepare.py generic --intensity"
            )


def _look_at(volume: Volume, affine: np.ndarray, file: FoundFile) -> Volume:
    """The same storage seen by another affine, called as the user knows the file."""
    path = Path(str(file))
    values = volume.stored, affine, volume.slope, volume.intercept
    return Volume(volume.name, path, *values, has_place=volume.has_place)


def _size(volume: Volume) -> str:
    """The stored shape in words."""
    return " x ".join(str(length) for length in volume.stored.shape)


def _is_same_grid(image: Volume, other: Volume) -> bool:
    """Whether two headers fill the same box with the same voxels, whichever way they are stored.

    A label with its axes in another order than its scan's is right as long as its header says so.
    """
    tolerance = _SAME_PLACE * min(image.spacing)
    distances = np.linalg.norm(_corners(image)[:, None] - _corners(other)[None], axis=2)
    return image.shape == other.shape and bool((distances.min(1) <= tolerance).all())


def _corners(volume: Volume) -> np.ndarray:
    """(8, 3) places of a volume's corner voxels, mm."""
    ends = [(0, length - 1) for length in volume.stored.shape]
    affine = volume.view.affine
    return np.array(list(itertools.product(*ends))) @ affine[:3, :3].T + affine[:3, 3]
