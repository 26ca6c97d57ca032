"""A CT series of DICOM files, read slice by slice as a case without labels."""

from collections.abc import Iterator

from datasets.data_folder import UNLABELLED
from datasets.intensity import IntensityRule
from datasets.sources.file_tree import FileTree
from datasets.sources.source import CaseSlice, SourceCase
from datasets.volumes import DicomSeries, open_series, search_series
from datasets.volumes.geometry import check_geometry


def find_dicom(tree: FileTree) -> list[DicomSeries]:
    """The CT series among a tree's files, but for those in archives."""
    return search_series(file.path for file in tree.files if file.member is None).series


def dicom_case(series: DicomSeries, rule: IntensityRule) -> SourceCase:
    """A case of a series, of the patient whose PatientID it has, or else of its own.

    Args:
        series: The scan; reading refuses one that cannot be opened, and says why.
        rule: From HU to grey levels.
    """
    case = _DicomCase(series, rule)
    patient = series.patient or series.name
    return SourceCase(series.name, patient, case.read, split=UNLABELLED, spacing=case.find_spacing)


class _DicomCase:
    """What dicom_case's functions know; picklable, so that another process may read it."""

    def __init__(self, series: DicomSeries, rule: IntensityRule) -> None:
        self.series, self.rule = series, rule
        self._spacing: tuple[float, ...] | None = None

    def find_spacing(self) -> tuple[float, ...] | None:
        """Height and width of a px and distance of slices, mm; known once the case was read."""
        return self._spacing

    def read(self, bits: int) -> Iterator[CaseSlice]:
        """See SourceCase.read."""
        with open_series(self.series) as volume:
            check_geometry(volume)
            distance, height, width = volume.spacing
            self._spacing = (height, width, distance) if volume.has_place else None
            for index in range(len(volume)):
                yield CaseSlice(index, self.rule.apply(volume.read_slice(index), bits), None)
