"""prepare.py by-slice: the slices of a data folder dealt out anew without regard to patients."""

import argparse
import shutil
from pathlib import Path

from datasets.card import CARD_FILE
from datasets.manifest import SPLITS
from datasets.pairing import SliceFiles, find_slices
from preparation.conversion.splits import split_slices
from utils.cli import add_out_argument
from utils.errors import UserError
from utils.files import whole_folder, write_rows
from utils.messages import count


def add_by_slice(commands: argparse._SubParsersAction) -> None:
    """The command by-slice."""
    parser = commands.add_parser(
        "by-slice",
        help="split a data folder anew by slice, to see what that adds to a score",
        description=(
            "Copy a data folder with its slices dealt out at random, as many to each split as "
            "before: patients then stand on both sides, and a test is of remembered ones. Train "
            "with --set data.allow_patient_overlap=true."
        ),
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    add_out_argument(parser, required=True, metavar="DIR", help="new data folder")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.set_defaults(function=make_by_slice)


def make_by_slice(arguments: argparse.Namespace) -> None:
    """Deal out, copy, say what came out."""
    counts = deal_out(arguments.folder, arguments.out, arguments.seed)
    told = ", ".join(f"{split} {number}" for split, number in counts.items())
    print(f"{arguments.out}: {count(sum(counts.values()), 'slice')} ({told}), split by slice")


def deal_out(root: Path, out: Path, seed: int) -> dict[str, int]:
    """Write the folder.

    Args:
        root: A data folder with two splits or more.
        out: New or empty.
        seed: Of the draw.

    Returns:
        Slices per split.

    Raises:
        UserError: root is no data folder, two of its slices have one name, or out is not empty.
    """
    splits = [split for split in SPLITS if (root / split / "image").is_dir()]
    if len(splits) < 2:
        raise UserError(f"{root}: has not two of train/, val/ and test/ with a folder image")
    slices: dict[str, tuple[str, SliceFiles]] = {}
    counts = dict.fromkeys(splits, 0)
    for split in splits:
        for entry in find_slices(root, split):
            if entry.name in slices:
                raise UserError(
                    f"{entry.image}: {slices[entry.name][1].image} has the same name, and both "
                    "may come into one split; rename one of them and its masks"
                )
            slices[entry.name] = split, entry
            counts[split] += 1
    shares = {split: number / len(slices) for split, number in counts.items()}
    homes = split_slices(slices, shares, seed)
    with whole_folder(out) as partial:
        for name, (split, _) in slices.items():
            _copy(root / split, partial / homes[name], name)
        write_rows(partial / "manifest.csv", [_row(e, homes[e.name]) for _, e in slices.values()])
        if (root / CARD_FILE).is_file():
            shutil.copyfile(root / CARD_FILE, partial / CARD_FILE)
    return counts


def _copy(source: Path, target: Path, name: str) -> None:
    """The files of one slice, of every kind."""
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        for file in folder.glob(f"{_escaped(name)}.*"):
            (target / folder.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / folder.name / file.name)


def _escaped(name: str) -> str:
    """A name without a meaning for glob."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _row(entry: SliceFiles, split: str) -> dict[str, str]:
    """A row of manifest.csv."""
    spacing = "x".join(map(str, entry.spacing)) if entry.spacing else ""
    return {
        "file": entry.image.name,
        "split": split,
        "patient": entry.patient,
        "spacing_mm": spacing,
    }
