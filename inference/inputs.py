"""The cases in what --input names: images, NIfTI volumes and DICOM series."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path, PurePath
from typing import NamedTuple

from datasets.image_io import IMAGE_SUFFIXES
from datasets.radiographs import is_radiograph, radiograph_stem
from datasets.volumes import (
    DicomSeries,
    check_disk,
    find_series,
    is_dicom,
    list_files,
    nifti_stem,
    search_series,
)
from inference.disk_pictures import find_disk_pictures, is_disk_file
from inference.label_maps import find_label_maps
from inference.output_names import find_earlier_outputs
from utils.errors import UserError
from utils.messages import count

CT, ANY = "CT", "any"  # what --modality takes for CT
_NIFTI_SUFFIXES = (".nii", ".nii.gz")
_DICOMDIR = "DICOMDIR"
_MAX_LISTED = 5


class InputCase(NamedTuple):
    """One image or one volume to predict.

    Attributes:
        path: The image, the X-ray, the NIfTI file, or the folder of a DICOM series.
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
    """What --input holds.

    Attributes:
        cases: In the order of --input; at least one.
        ignored: Files that are no case.
        earlier: Files that an earlier prediction has written.
        masks: Masks and label maps of the cases.
        notes: How series were found, a line each.
    """

    cases: list[InputCase]
    ignored: list[Path]
    earlier: list[Path]
    masks: list[Path]
    notes: list[str]


class _File(NamedTuple):
    """A file, and the path of --input that it was found by: its folder, or itself."""

    path: Path
    root: Path


def find_inputs(
    paths: Sequence[Path], out: Path, *, any_modality: bool = False, x_rays: bool = False
) -> FoundInputs:
    """Look for cases; folders are searched at all depths, what is hidden is passed over.

    DICOM files of all paths are taken together, as a shell names those of a folder one by one. A
    DICOMDIR stands for its disk.

    Args:
        paths: Files and folders.
        out: Output folder; within a folder of inputs it is not searched.
        any_modality: Take DICOM images of all modalities for what is looked for.
        x_rays: Look for X-rays among DICOM files, each an image of its own; else for CT alone.

    Raises:
        UserError: No such path, a file of an unknown kind, a folder without a case, or two cases
            whose outputs would have the same names.
    """
    roots = [_root_of(path, out) for path in paths]
    files = [file for root in dict.fromkeys(roots) for file in _list_files(root, out)]
    earlier = find_earlier_outputs(file.path for file in files if file.path != file.root)
    searched = {file.root for file in files if file.path in earlier}
    files = [file for file in files if file.path not in earlier]
    named = [(file, _by_itself(file, x_rays, any_modality)) for file in files]
    others = [file for file, case in named if case is None]
    dicom = {file.path: file.root for file in others if is_dicom(file.path)}
    search = search_series(dicom, any_modality=any_modality and not x_rays)
    pictures = [case.path for _, case in named if case and not case.is_volume]
    ornaments = find_disk_pictures(pictures, [file.path for file in files], search.series)
    found = [(file.root, case) for file, case in named if case and case.path not in ornaments]
    found += [(dicom[one.files[0]], _series_case(one, dicom)) for one in search.series]
    occupied = searched.union({root for root, _ in found}).union(
        dicom[path] for one in search.series for path in one.files
    )
    for root in roots:
        if root not in occupied and not _is_of_disk(root, files, search.series, ornaments):
            raise _no_case(root, [file.path for file in others if file.root == root], any_modality)
    if not found:
        raise UserError(
            f"--input {paths[0]}: holds nothing but {describe_earlier(sorted(earlier))}; name one "
            "of them itself if it is a scan"
        )
    masks = _find_masks(found)
    ranks = {root: rank for rank, root in enumerate(dict.fromkeys(roots))}
    found.sort(key=lambda item: ranks[item[0]])
    cases = [case for _, case in found if case.path not in masks]
    _refuse_equal_stems(cases)
    ignored = [file.path for file, _ in named if file.path in ornaments]
    ignored += [file.path for file in others if file.path not in dicom]
    return FoundInputs(cases, ignored, sorted(earlier), sorted(masks), search.all_notes())


def _find_masks(found: Iterable[tuple[Path, InputCase]]) -> set[Path]:
    """Masks of other cases, unless they are named themselves."""
    named = {root for root, _ in found}
    cases = [case for _, case in found]
    volumes = [case.path for case in cases if case.is_volume and not case.series]
    images = [case.path for case in cases if not case.is_volume]
    return find_label_maps(volumes, images, [c.series for c in cases if c.series]) - named


def _root_of(path: Path, out: Path) -> Path:
    """What is to be searched for a path: itself, but for a DICOMDIR its folder."""
    if not path.exists():
        raise UserError(f"--input {path}: no such file or folder")
    if path.name.upper() == _DICOMDIR and path.is_file():
        check_disk(path)
        path = path.parent
    if path.resolve() == out.resolve():
        raise UserError(f"--out {out}: is the input as well; choose another folder")
    return path


def _is_of_disk(
    root: Path, files: Sequence[_File], series: Sequence[DicomSeries], ornaments: Set[Path]
) -> bool:
    """Whether a path without a case lies beside a scan, as a shell names all there is on a disk."""
    is_beside = any(one.folder.is_relative_to(root.parent) for one in series)
    if not is_beside or root.is_file():
        return is_beside
    return any(
        is_disk_file(file.path) and file.path.parent == root.parent for file in files
    ) or any(path.is_relative_to(root) for path in ornaments)


def _no_case(root: Path, others: Sequence[Path], any_modality: bool) -> UserError:
    """Why a path holds none."""
    if x_ray := next((path for path in others if is_radiograph(path)), None):
        return UserError(
            f"--input {x_ray}: a chest X-ray, but the checkpoint was trained on CT; give one that "
            "was trained on X-rays, or --modality any if it is CT that was tagged wrongly"
        )
    if any(is_dicom(path) for path in others):
        try:
            find_series(root, any_modality=any_modality)
        except UserError as error:
            return UserError(f"--input {error}")
    if root.is_dir():
        what = _list_names(others) or "no file"
        return UserError(f"--input {root}: holds no image, NIfTI file or DICOM series, but {what}")
    known = ", ".join((*IMAGE_SUFFIXES, *_NIFTI_SUFFIXES))
    return UserError(f"--input {root}: neither an image nor a scan ({known}, or DICOM)")


def _by_itself(file: _File, x_rays: bool, any_modality: bool) -> InputCase | None:
    """An image or a NIfTI file, or an X-ray in DICOM where such are wanted; None for others."""
    path, name = file.path, file.path.name.lower()
    folder = path.relative_to(file.root).parent
    if name.endswith(_NIFTI_SUFFIXES):
        return InputCase(path, folder / nifti_stem(path), is_volume=True)
    if name.endswith(IMAGE_SUFFIXES):
        return InputCase(path, folder / path.stem, is_volume=False)
    if x_rays and is_radiograph(path, any_modality=any_modality):
        return InputCase(path, folder / radiograph_stem(path), is_volume=False)
    return None


def _series_case(series: DicomSeries, roots: Mapping[Path, Path]) -> InputCase:
    """A series below the folder that it was found in, whose sub-folders its name keeps."""
    root, folder = roots[series.files[0]], PurePath()
    path = series.files[0] if len(series.files) == 1 and root.is_file() else series.folder
    if series.folder.is_relative_to(root):
        folder = series.folder.relative_to(root)
    return InputCase(path, folder / series.name, is_volume=True, series=series)


def _list_files(root: Path, out: Path) -> Iterator[_File]:
    """A file, or all below a folder but for hidden ones and the output."""
    if not root.is_dir():
        yield _File(root, root)
        return
    for path in list_files(root):
        if not _is_within(path, out):
            yield _File(path, root)


def _is_within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


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
    """One line for files that are no case."""
    files = "file is" if len(ignored) == 1 else "files are"
    return f"{len(ignored)} {files} no case: {_list_names(ignored)}"


def describe_earlier(earlier: Sequence[Path]) -> str:
    """For a line about files that an earlier prediction has written."""
    return f"{count(len(earlier), 'file')} of an earlier prediction ({_list_names(earlier)})"


def describe_masks(masks: Sequence[Path]) -> str:
    """For a line about masks and label maps that lie beside the cases."""
    return f"{count(len(masks), 'mask')} of other cases ({_list_names(masks)})"
