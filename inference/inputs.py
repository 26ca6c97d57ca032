"""The cases in what --input names: images, NIfTI volumes and DICOM series."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from datasets.image_io import IMAGE_SUFFIXES
from datasets.volumes import DicomSeries, find_series, nifti_stem
from inference.output_names import find_earlier_outputs
from utils.errors import UserError
from utils.messages import count

_NIFTI_SUFFIXES = (".nii", ".nii.gz")
_DICOM_PREAMBLE, _DICOM_MAGIC = 128, b"DICM"
_MAX_LISTED = 5


class InputCase(NamedTuple):
    """One image or one volume to predict.

    Attributes:
        path: The image, the NIfTI file, or the folder of a DICOM series.
        stem: What names of its files begin with, below the output folder: it keeps the sub-folder
            that a case was found in.
        is_volume: Whether it is a scan rather than a single slice.
        series: For DICOM only.
    """

    path: Path
    stem: PurePath
    is_volume: bool
    series: DicomSeries | None = None


class FoundInputs(NamedTuple):
    """Cases in the order of --input, and the files of its folders that are no case.

    Attributes:
        cases: At least one.
        ignored: Files of no known kind.
        earlier: Files that an earlier prediction has written.
    """

    cases: list[InputCase]
    ignored: list[Path]
    earlier: list[Path]


def find_inputs(paths: Sequence[Path], out: Path) -> FoundInputs:
    """Look for cases; folders are searched at all depths, what is hidden is passed over.

    Args:
        paths: Files and folders.
        out: Output folder; within a folder of inputs it is not searched.

    Raises:
        UserError: No such path, a file of an unknown kind, a folder without a case, or two cases
            whose outputs would have the same names.
    """
    cases, ignored, earlier = [], [], []
    for path in paths:
        if not path.exists():
            raise UserError(f"--input {path}: no such file or folder")
        if path.resolve() == out.resolve():
            raise UserError(f"--output {out}: is the input as well; choose another folder")
        found = _search_folder(path, out) if path.is_dir() else FoundInputs([_one(path)], [], [])
        cases += found.cases
        ignored += found.ignored
        earlier += found.earlier
    if not cases:
        raise UserError(
            f"--input {paths[0]}: holds nothing but {describe_earlier(earlier)}; name one of them "
            "itself if it is a scan"
        )
    _refuse_equal_stems(cases)
    return FoundInputs(cases, ignored, earlier)


def _one(path: Path) -> InputCase:
    """A file that was named itself."""
    case = _by_suffix(path, path.parent)
    if case is not None:
        return case
    if _is_dicom(path):
        (series,) = find_series(path)
        return InputCase(path, PurePath(series.name), is_volume=True, series=series)
    known = ", ".join((*IMAGE_SUFFIXES, *_NIFTI_SUFFIXES))
    raise UserError(f"--input {path}: neither an image nor a scan ({known}, or DICOM)")


def _by_suffix(path: Path, root: Path) -> InputCase | None:
    """An image or a NIfTI file below a root; None for anything else."""
    folder, name = path.relative_to(root).parent, path.name.lower()
    if name.endswith(_NIFTI_SUFFIXES):
        return InputCase(path, folder / nifti_stem(path), is_volume=True)
    if name.endswith(IMAGE_SUFFIXES):
        return InputCase(path, folder / path.stem, is_volume=False)
    return None


def _search_folder(root: Path, out: Path) -> FoundInputs:
    """The cases below a folder: images and NIfTI by name, DICOM by content."""
    cases, others = [], []
    paths = list(_list_files(root, out))
    earlier = find_earlier_outputs(paths)
    for path in paths:
        if path in earlier:
            continue
        case = _by_suffix(path, root)
        if case is None:
            others.append(path)
        else:
            cases.append(case)
    dicom = {path for path in others if _is_dicom(path)}
    if dicom:
        cases += _series_below(root, out)
    ignored = [path for path in others if path not in dicom]
    if not cases and not earlier:
        what = _list_names(others) or "no file"
        raise UserError(f"--input {root}: holds no image, NIfTI file or DICOM series, but {what}")
    return FoundInputs(cases, ignored, sorted(earlier))


def _series_below(root: Path, out: Path) -> Iterator[InputCase]:
    """The CT series of a folder, none of those that an earlier prediction has left."""
    for series in find_series(root):
        if not _is_within(series.folder, out):
            stem = series.folder.relative_to(root) / series.name
            yield InputCase(series.folder, stem, is_volume=True, series=series)


def _list_files(root: Path, out: Path) -> Iterator[Path]:
    """All files below a folder in the order of their names, but for hidden ones and the output."""
    for path in sorted(root.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if not is_hidden and path.is_file() and not _is_within(path, out):
            yield path


def _is_within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_DICOM_PREAMBLE + len(_DICOM_MAGIC))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return start[_DICOM_PREAMBLE:] == _DICOM_MAGIC


def _refuse_equal_stems(cases: Iterable[InputCase]) -> None:
    """Refuse cases that would overwrite each other, on any file system."""
    seen: dict[str, InputCase] = {}
    for case in cases:
        other = seen.setdefault(str(case.stem).lower(), case)
        if other is not case:
            raise UserError(
                f"--input {case.path}: its outputs would be called as those of {other.path} "
                f"({case.stem}_...); predict them one by one into different folders"
            )


def _list_names(paths: Sequence[Path]) -> str:
    """The first few names."""
    more = f" and {len(paths) - _MAX_LISTED} more" if len(paths) > _MAX_LISTED else ""
    return ", ".join(path.name for path in paths[:_MAX_LISTED]) + more


def describe_ignored(ignored: Sequence[Path]) -> str:
    """For a line about files that are no case."""
    files = "file is" if len(ignored) == 1 else "files are"
    return f"{len(ignored)} {files} no case: {_list_names(ignored)}"


def describe_earlier(earlier: Sequence[Path]) -> str:
    """For a line about files that an earlier prediction has written."""
    return f"{count(len(earlier), 'file')} of an earlier prediction ({_list_names(earlier)})"
