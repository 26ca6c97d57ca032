"""Which files of a download belong together: by what they are called, never by their order."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from datasets.sources.file_tree import FileTree, FoundFile
from utils.errors import UserError

# What data sets add to a name to say image or mask; prefixes end and suffixes begin with a joint.
AFFIXES = (
    "mask_", "_mask", "-mask", "label_", "_label", "_labels", "seg_", "_seg", "-seg", "_gt", "gt_",
    "_segmentation", "_infection", "_lesion", "image_", "_image", "img_", "_img", "_im", "_ct",
)  # fmt: skip
_NUM_LISTED = 5
_MAX_LINE = 400  # characters of what is expected


def pair_by_stem(
    images: Sequence[FoundFile], masks: Sequence[FoundFile], affixes: Sequence[str] = AFFIXES
) -> list[tuple[FoundFile, FoundFile]]:
    """Images with their masks: equal stems first, then equal stems without affixes.

    Args:
        images: The images, at most one of a stem.
        masks: The masks, at most one of a stem.
        affixes: What may stand before or behind the common part of a name; case is ignored.

    Returns:
        (image, mask) in the order of the images' stems.

    Raises:
        UserError: An image without a mask or the reverse (lists them), or two files of one name.
    """
    images_of = files_by_key(images, lambda file: file.stem)
    masks_of = files_by_key(masks, lambda file: file.stem)
    equal = images_of.keys() & masks_of.keys()

    def rest(files: Mapping[str, FoundFile]) -> dict[str, FoundFile]:
        others = [file for stem, file in files.items() if stem not in equal]
        return files_by_key(others, lambda file: strip_affixes(file.stem, affixes))

    pairs = [(images_of[stem], masks_of[stem]) for stem in equal]
    pairs += [(image, mask) for _, image, mask in match(rest(images_of), rest(masks_of))]
    return sorted(pairs, key=lambda pair: pair[0].stem)


def strip_affixes(stem: str, affixes: Sequence[str] = AFFIXES) -> str:
    """A stem without the affixes that it carries, in small letters; never empty."""
    stem = stem.lower()
    for affix in sorted((affix.lower() for affix in affixes), key=len, reverse=True):
        if stem != affix and affix[-1:] in "_-":
            stem = stem.removeprefix(affix)
        elif stem != affix:
            stem = stem.removesuffix(affix)
    return stem


def files_by_key(
    files: Iterable[FoundFile], key: Callable[[FoundFile], str | None]
) -> dict[str, FoundFile]:
    """The files by what `key` calls them; those it calls None are left out.

    Raises:
        UserError: Two files have the same key.
    """
    found: dict[str, FoundFile] = {}
    for file in files:
        name = key(file)
        if name is None:
            continue
        if name in found:
            raise UserError(f"{file}: {found[name]} is the same case, {name}; keep one of the two")
        found[name] = file
    return found


def match(
    images: Mapping[str, FoundFile],
    masks: Mapping[str, FoundFile],
    lungs: Mapping[str, FoundFile] | None = None,
) -> list[tuple[str, FoundFile, FoundFile]]:
    """(key, image, mask) of every key, sorted.

    Raises:
        UserError: An image without a mask, or a mask (or a lung mask, where they are given)
            without an image; lists them.
    """
    lonely = []
    for partner, files, others in (
        ("mask", images, masks),
        ("image", masks, images),
        ("image", lungs or {}, images),
    ):
        if alone := [files[key] for key in sorted(files.keys() - others.keys())]:
            lonely.append(f"no {partner} for {_listed(alone)}")
    if lonely:
        raise UserError(f"{'; '.join(lonely)}: add the missing files, or remove these")
    return [(key, images[key], masks[key]) for key in sorted(images)]


def nothing_found(tree: FileTree, expects: Sequence[str]) -> UserError:
    """What to say where a folder holds no case of a source: one line, or three where it is long."""
    found = f"--from {tree.root}: no case found, but {tree.describe()};"
    if len("; ".join(expects)) <= _MAX_LINE:
        return UserError(f"{found} expected {'; '.join(expects)}")
    half = (len(expects) + 1) // 2
    first, rest = ("; ".join(part) for part in (expects[:half], expects[half:]))
    return UserError(found, f"  expected {first};", f"  {rest}")


def _listed(files: Sequence[FoundFile]) -> str:
    """The first files in words."""
    more = f" and {len(files) - _NUM_LISTED} more" if len(files) > _NUM_LISTED else ""
    return ", ".join(str(file) for file in files[:_NUM_LISTED]) + more
