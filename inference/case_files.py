"""The files of one case: they appear together once all are written, or not at all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

from utils.errors import UserError, advise
from utils.files import draft_folder


@contextmanager
def case_files(out: Path, stem: PurePath, endings: Sequence[str]) -> Iterator[Path]:
    """Where to write the files of a case: names that begin with the path given here.

    Files of an earlier prediction are replaced; those that this one does not write are removed,
    so that no two of a case ever contradict each other.

    Args:
        out: Folder of all cases; made where it is missing.
        stem: Of the case, with the sub-folder of `out` that it goes to.
        endings: How names of a case may go on after the stem.

    Raises:
        UserError: The disk is full or read-only; or as raised within, with the names of the files
            as they would have been.
    """
    folder = out / stem.parent
    keep = out if out.exists() else out.parent
    try:
        with draft_folder(folder, stem.name) as draft:
            with _named_as(folder, draft):
                yield draft / stem.name
            _publish(draft, folder, [f"{stem.name}{ending}" for ending in endings])
    except OSError as error:
        raise UserError(
            f"{out / stem}: cannot be written ({error.strerror or error}); {advise(error)}, "
            "or choose another --out"
        ) from error
    finally:
        _remove_empty(folder, keep)


@contextmanager
def _named_as(folder: Path, draft: Path) -> Iterator[None]:
    """Let errors name files as they would have been called."""
    try:
        yield
    except UserError as error:
        if str(draft) not in str(error):
            raise
        raise UserError(str(error).replace(str(draft), str(folder))) from error


def _publish(draft: Path, folder: Path, names: Sequence[str]) -> None:
    """Move what was written into its place, and remove what an earlier prediction left there."""
    written = sorted(path.name for path in draft.iterdir())
    for name in written:
        os.replace(draft / name, folder / name)
    for name in set(names) - set(written):
        (folder / name).unlink(missing_ok=True)


def _remove_empty(folder: Path, keep: Path) -> None:
    """Remove the folders below `keep` that a failed case would leave behind."""
    with suppress(OSError):  # not empty, or never made
        while folder != keep:
            folder.rmdir()
            folder = folder.parent
