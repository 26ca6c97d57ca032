"""What a user may choose when public data sets become a data folder."""

from typing import NamedTuple

from datasets.manifest import SPLITS
from preparation.conversion.mask_orientation import MaskOrientation
from utils.errors import UserError

MIN_SIDE = 32  # px; nothing is told from smaller images
MIN_FOLDS = 3  # train, val and test of a fold are three different parts


class ConversionOptions(NamedTuple):
    """How cases become a data folder.

    Attributes:
        bits: Of the stored images, 8 or 16.
        keep_empty: Slices without lesion: "all", "none", or how many per slice with lesion; which
            ones is drawn by the seed over the whole folder.
        lungs: Whether lung masks are written where a source has them.
        fractions: Shares of train, val and test; 0 leaves a split out.
        seed: Of every draw.
        folds: Number of folds for cross-validation, or one of official_folds.OFFICIAL; None writes
            one split.
        own_split: Whether a source's own split is kept where it has one.
        by_slice: Whether slices are dealt out instead of patients, as in the paper; needs
            allow_leak.
        allow_leak: Whether a patient or a near-duplicate slice in two splits is only reported.
        keep_going: Whether the other cases carry on where one fails.
        mask_orientation: How the masks of all sources are brought to their images.
        max_side: Longer side, px, to which larger images are made smaller; 0 keeps their sizes,
            None goes by the source.
        describe: Whether fingerprint.json, fingerprint.html and montage.png are made.
    """

    bits: int = 8
    keep_empty: str | float = "all"
    lungs: bool = True
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    seed: int = 0
    folds: int | str | None = None
    own_split: bool = True
    by_slice: bool = False
    allow_leak: bool = False
    keep_going: bool = False
    mask_orientation: MaskOrientation = MaskOrientation()
    max_side: int | None = None
    describe: bool = True

    @property
    def shares(self) -> dict[str, float]:
        """Fractions by split, those of 0 left out, adding up to 1."""
        total = sum(self.fractions)
        pairs = zip(SPLITS, self.fractions, strict=True)
        return {split: share / total for split, share in pairs if share > 0}

    def side_for(self, own_side: int | None) -> int | None:
        """The longer side that images of a source have at most, px.

        Args:
            own_side: See Source.max_side.
        """
        return own_side if self.max_side is None else self.max_side

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UserError: Names the option of the command line.
        """
        if self.bits not in (8, 16):
            raise UserError(f"--bits {self.bits}: choose 8 or 16")
        if isinstance(self.keep_empty, str):
            parse_keep_empty(self.keep_empty)
        elif not 0 <= self.keep_empty < float("inf"):
            raise UserError(f"--keep-empty {self.keep_empty}: must be at least 0")
        if len(self.fractions) != 3 or not all(0 <= share <= 1 for share in self.fractions):
            raise UserError("--fractions: three numbers from 0 to 1, for train, val and test")
        if abs(sum(self.fractions) - 1) > 1e-3:
            raise UserError(f"--fractions: add up to {sum(self.fractions):g}; must add up to 1")
        if self.seed < 0:
            raise UserError(f"--seed {self.seed}: must be at least 0")
        if isinstance(self.folds, int) and self.folds < MIN_FOLDS:
            raise UserError(
                f"--folds {self.folds}: must be at least {MIN_FOLDS}, as a fold has a part each "
                "for training, validation and test"
            )
        if self.max_side and self.max_side < MIN_SIDE:
            raise UserError(f"--max-side {self.max_side}: must be 0 or at least {MIN_SIDE} px")
        if self.by_slice and not self.allow_leak:
            raise UserError("a split by slice puts patients into two splits: add --allow-leak")
        if self.by_slice and self.folds is not None:
            raise UserError("--folds: folds are made of patients; leave out the split by slice")


def parse_keep_empty(text: str) -> str | float:
    """What --keep-empty says: all, none, or a number.

    Raises:
        UserError: Neither.
    """
    if text in ("all", "none"):
        return text
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio < float("inf"):
        raise UserError(
            f"--keep-empty {text}: choose all, none, or the number of slices without lesion per "
            "slice with one, such as 0.5"
        )
    return ratio
