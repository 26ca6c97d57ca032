"""Which files of any folder are images, masks and lung masks, and which of them are one slice."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from datasets.image_io import IMAGE_SUFFIXES
from datasets.slice_names import patient_of_case, patient_of_stem, place_of_stem
from datasets.sources.file_tree import FoundFile
from datasets.sources.pairs import AFFIXES, files_by_key, match, pair_by_stem, strip_affixes
from datasets.sources.patterns import PathPattern, split_of
from utils.errors import UserError

# Folders, told by their letters in small.
_FOLDERS = {
    "image": "image images imagestr imagests img imgs frame frames ct cts ctscan ctscans scan "
    "scans slice slices volume volumes input inputs",
    "mask": "mask masks label labels labelstr labelsts gt gts groundtruth groundtruths seg segs "
    "segmentation segmentations annotation annotations lesion lesions lesionmask lesionmasks "
    "infection infections infectionmask infectionmasks target targets",
    "lung": "lung lungs lungmask lungmasks",
}
_ROLES = {folder: role for role, folders in _FOLDERS.items() for folder in folders.split()}
_LUNG_AFFIXES = ("lung_", "lungs_", "lungmask_", "_lung", "_lungs", "_lungmask", "_lung_mask")
_MASK_AFFIXES = [affix for affix in AFFIXES if _ROLES.get(affix.strip("_-")) != "image"]
_ALL_AFFIXES = (*_LUNG_AFFIXES, *AFFIXES, "_0000")  # nnU-Net's first channel


class FoundPair(NamedTuple):
    """An image with its mask, and what their names say.

    Attributes:
        case: Name of the case.
        patient: Who.
        index: Of the slice; None where the name has none.
        split: train, val or test where the path has it.
        image: The image.
        mask: Its mask; None where nobody has drawn any.
        lung: Its lung mask, if any.
        home: The folder, without what says image or mask; () by patterns.
    """

    case: str
    patient: str
    index: int | None
    split: str | None
    image: FoundFile
    mask: FoundFile | None
    lung: FoundFile | None
    home: tuple[str, ...] = ()


def pair_by_names(files: Sequence[FoundFile]) -> list[FoundPair]:
    """Pairs by the folders and affixes that data sets use; [] without images or without masks.

    Files pair whose paths are the same but for the folders that say image or mask.

    Raises:
        UserError: A file without its partner, or files of one name that nothing tells apart.
    """
    groups: dict[tuple[str, ...], dict[str, list[FoundFile]]] = defaultdict(
        lambda: {"image": [], "mask": [], "lung": []}
    )
    for file in files:
        role, home = _role(file)
        groups[home][role].append(file)
    roles = {role for group in groups.values() for role, found in group.items() if found}
    if not roles >= {"image", "mask"}:
        return []
    pairs = []
    for home, found in groups.items():
        lungs = files_by_key(found["lung"], lambda file: _bare_stem(file).lower())
        for image, mask in pair_by_stem(found["image"], found["mask"], _ALL_AFFIXES):
            lung = lungs.pop(_bare_stem(image).lower(), None)
            pairs.append(_name(image, mask, lung, home))
        if lungs:
            raise UserError(f"{next(iter(lungs.values()))}: no image for this lung mask; remove it")
    return _tell_apart(pairs)


def images_alone(files: Sequence[FoundFile]) -> list[FoundPair]:
    """Every image by itself; files whose folder or name says mask or lung are left out.

    Raises:
        UserError: Files of one name that nothing tells apart.
    """
    roles = [(file, *_role(file)) for file in files]
    found = [_name(file, None, None, home) for file, role, home in roles if role == "image"]
    return _tell_apart(found)


def pair_by_pattern(
    files: Sequence[FoundFile],
    image: PathPattern,
    mask: PathPattern,
    lung: PathPattern | None = None,
) -> list[FoundPair]:
    """Pairs with the same values of the fields that their patterns share; [] where nothing fits.

    Raises:
        UserError: Patterns without a common field, a file without its partner, or two of one name.
    """
    patterns = [pattern for pattern in (image, mask, lung) if pattern is not None]
    by_pattern: dict[PathPattern, list[FoundFile]] = {pattern: [] for pattern in patterns}
    for file in files:
        fitting = [pattern for pattern in patterns if pattern.match(file.place)]
        if fitting:
            # {case}.png fits the files of {case}_mask.png, too.
            by_pattern[max(fitting, key=lambda pattern: pattern.num_literal)].append(file)
    images = files_by_key(by_pattern[image], _key(image, mask))
    masks = files_by_key(by_pattern[mask], _key(mask, image))
    lungs = files_by_key(by_pattern[lung], _key(lung, image)) if lung else {}
    lung_key = _key(image, lung) if lung else None
    return _tell_apart(
        [
            _read_fields(image, image_file, mask_file, lungs.get(lung_key(image_file)))
            if lung_key
            else _read_fields(image, image_file, mask_file, None)
            for _, image_file, mask_file in match(images, masks)
        ]
    )


def _read_fields(
    pattern: PathPattern, image: FoundFile, mask: FoundFile, lung: FoundFile | None
) -> FoundPair:
    """What the fields of an image's path say."""
    fields = pattern.match(image.place)
    patient, case, folder = (fields.get(field) for field in ("patient", "case", "split"))
    split = folder and split_of(folder)
    if folder and split is None:
        raise UserError(f"{image}: {folder!r} is no split; call it train, val or test")
    name = case or patient
    if case and patient and not case.startswith(patient):
        name = f"{patient}_{case}"
    index = int(fields["slice"]) if "slice" in fields else None
    return FoundPair(name, patient or patient_of_stem(case), index, split, image, mask, lung)


def _key(pattern: PathPattern, other: PathPattern) -> Callable[[FoundFile], str | None]:
    """What a file is called by the fields that two patterns share."""
    common = sorted(set(pattern.fields) & set(other.fields))
    if not common:
        raise UserError(f"patterns {pattern.text!r}, {other.text!r}: no common field; use {{case}}")

    def key(file: FoundFile) -> str:
        fields = pattern.match(file.place)
        return "/".join(fields[field].lower() for field in common)

    return key


def _role(file: FoundFile) -> tuple[str, tuple[str, ...]]:
    """image, mask or lung, by the innermost folder that says so or by the name; other folders."""
    folders = file.place.parts[:-1]
    found = [_ROLES.get(re.sub(r"[^a-z]", "", folder.lower())) for folder in folders]
    home = tuple(folder for folder, role in zip(folders, found, strict=True) if role is None)
    roles = [role for role in found if role]
    if roles:
        return roles[-1], home
    for role, affixes in (("lung", _LUNG_AFFIXES), ("mask", _MASK_AFFIXES)):
        if strip_affixes(file.stem, affixes) != file.stem.lower():
            return role, home
    return "image", home


def _bare_stem(file: FoundFile) -> str:
    """The stem without affixes, in its own letters."""
    bare = strip_affixes(file.stem, _ALL_AFFIXES)
    start = file.stem.lower().find(bare)
    return file.stem[start : start + len(bare)]


def _name(
    image: FoundFile, mask: FoundFile | None, lung: FoundFile | None, home: tuple[str, ...]
) -> FoundPair:
    """What the name of an image says; a volume has no number of a slice."""
    stem = _bare_stem(image)
    splits = [split for folder in home if (split := split_of(folder))]
    split = splits[-1] if splits else None
    place = place_of_stem(stem) if image.suffix in IMAGE_SUFFIXES else None
    case, index = place or (stem, None)
    return FoundPair(case, patient_of_case(case), index, split, image, mask, lung, home)


def _tell_apart(pairs: Sequence[FoundPair]) -> list[FoundPair]:
    """Cases of one name in several splits get their split before it.

    So do patients that a number or name of a slice stands for; those who are named stay one.

    Raises:
        UserError: Folders of one split hold cases of one name.
    """
    homes: dict[str, dict[tuple, FoundPair]] = defaultdict(dict)
    for pair in pairs:
        homes[pair.case][pair.split, pair.home] = pair
    told = []
    for pair in pairs:
        others = homes[pair.case]
        if len({split for split, _ in others}) < len(others):
            first, second = list(others.values())[:2]
            raise UserError(
                f"{second.image}: called {pair.case} as {first.image} is; tell them apart by "
                "patterns with {patient}, such as '{patient}/images/{case}.png'"
            )
        if len(others) > 1:
            name = f"{pair.split or 'other'}_{pair.case}"
            is_named = pair.index is not None or pair.patient != pair.case
            pair = pair._replace(case=name, patient=pair.patient if is_named else name)
        told.append(pair)
    return told
