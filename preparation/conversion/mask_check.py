"""Whether the masks of a conversion lie on their images, source by source."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from preparation.checks.mask_fit import LUNGS, Misfit
from preparation.checks.mask_review import MaskReview, SliceThumbnails
from preparation.conversion.mask_orientation import OPTION, MaskOrientation, cures
from utils.errors import UserError


class Misplaced(NamedTuple):
    """Masks of a source that lie wrong.

    Attributes:
        source: Its name.
        patients: Whose; () for all of the source.
        message: What lies wrong, and the cure.
    """

    source: str
    patients: tuple[str, ...]
    message: str


class MaskCheck:
    """Collects the scans of a conversion.

    Args:
        wanted: How their masks are being brought to the images.
    """

    def __init__(self, wanted: MaskOrientation) -> None:
        self._wanted = wanted
        self._reviews: dict[str, MaskReview] = defaultdict(MaskReview)

    def add(self, source: str, patient: str, slices: Sequence[SliceThumbnails]) -> None:
        """Take the slices of a scan, masks as they are about to be written."""
        if slices:
            self._reviews[source].add(patient, slices)

    def review(self) -> tuple[list[Misplaced], list[str]]:
        """Masks that lie wrong, and notes: those that stay as stored, or look inverted."""
        misplaced, notes = [], []
        for source, review in self._reviews.items():
            notes += [f"{source}: {sentence}" for sentence in review.inverted()]
            groups: dict[tuple[str, ...], list[Misfit]] = defaultdict(list)
            for misfit in review.misfits():
                if misfit.kind in self._wanted.as_stored:
                    notes.append(f"{source}: {misfit.describe()}; kept as stored, as {OPTION} says")
                else:
                    groups[misfit.patients].append(misfit)
            misplaced += [
                Misplaced(source, patients, self._message(source, patients, misfits))
                for patients, misfits in groups.items()
            ]
        return misplaced, notes

    def _message(self, source: str, patients: tuple[str, ...], misfits: Sequence[Misfit]) -> str:
        found = "; ".join(misfit.describe() for misfit in misfits)
        cure = cures(misfits, self._wanted)
        stay = " ".join("lungs=stored" if misfit.kind == LUNGS else "stored" for misfit in misfits)
        if not patients:
            return f"{source}: {found}: {cure} ({OPTION} {stay} keeps them)"
        return (
            f"{source}: {found}: convert these patients on their own with {cure}, or leave them "
            f"out with --keep-going ({OPTION} {stay} keeps all masks)"
        )


def refuse_misplaced(out: Path, misplaced: Sequence[Misplaced]) -> None:
    """Stop where masks lie wrong.

    Raises:
        UserError: Says which ones, and the cure.
    """
    if misplaced:
        raise UserError(f"{out}: {'; '.join(item.message for item in misplaced)}")
