"""Cases of the source generic, and how it refuses."""

from pathlib import Path

import pytest
from image_files import classes, grey, write

from datasets.sources.file_tree import FileTree
from datasets.sources.generic import GenericOptions, find_generic
from datasets.sources.source import SourceCase
from utils.errors import UserError

NOTHING = GenericOptions()


def cases_of(root: Path, options: GenericOptions = NOTHING) -> dict[str, SourceCase]:
    found = find_generic(FileTree(root), options)
    assert len({case.name for case in found}) == len(found)
    return {case.name: case for case in found}


def refusal(root: Path, options: GenericOptions = NOTHING, num_lines: int = 1) -> str:
    with pytest.raises(UserError) as caught:
        [list(case.read(8)) for case in find_generic(FileTree(root), options)]
    assert len(str(caught.value).splitlines()) == num_lines
    return str(caught.value)


def write_pair(root: Path, image: str, mask: str, seed: int = 0) -> None:
    write(root / image, grey(seed))
    write(root / mask, classes(255, seed=seed))
