"""The sixteen positions of a mask against its image: eight in the plane, each in z reversed."""

from typing import NamedTuple

import numpy as np

# By the number of the turn: 4 exchanges rows and columns, then 2 reverses rows, 1 columns.
_NAMES = (
    "stored", "mirror", "flip", "rotate-180", "transpose", "rotate-right", "rotate-left",
    "transverse",
)  # fmt: skip
_WORDS = (
    "as stored", "mirrored", "upside down", "turned by 180 degrees", "transposed",
    "turned to the right", "turned to the left", "transposed along the other diagonal",
)  # fmt: skip
REVERSE = "reverse"
NUM_TURNS = len(_NAMES)


class Position(NamedTuple):
    """How a mask is brought to its image.

    Attributes:
        turn: Of the eight symmetries of a square, by the numbers of `turn`; 0 changes nothing.
        reverse: Whether the slices of a scan take its masks in the opposite order.
    """

    turn: int = 0
    reverse: bool = False

    @property
    def name(self) -> str:
        """As the command line has it: transpose, reverse, transpose+reverse."""
        return self._join(_NAMES, "+", REVERSE)

    @property
    def words(self) -> str:
        """In a sentence: lesions lie in the lungs when ..."""
        return self._join(_WORDS, " and ", "in the opposite order of slices")

    @property
    def exchanges_sides(self) -> bool:
        """Whether height becomes width."""
        return bool(self.turn & 4)

    def after(self, first: "Position") -> "Position":
        """The one position that does what `first` does, and then what this one does."""
        square = np.arange(4).reshape(2, 2)
        wanted = turn(turn(square, first.turn), self.turn)
        same = (number for number in range(NUM_TURNS) if (turn(square, number) == wanted).all())
        return Position(next(same), self.reverse != first.reverse)

    def _join(self, by_turn: tuple[str, ...], joint: str, reverse: str) -> str:
        parts = [by_turn[self.turn]] if self.turn or not self.reverse else []
        return joint.join(parts + [reverse] * self.reverse)


STORED = Position()
POSITIONS = tuple(Position(number, back) for back in (False, True) for number in range(NUM_TURNS))


def turn(images: np.ndarray, number: int) -> np.ndarray:
    """One of the eight symmetries of a square, on the last two axes; 0 changes nothing."""
    if number & 4:
        images = images.swapaxes(-1, -2)
    images = images[..., ::-1, :] if number & 2 else images
    return images[..., ::-1] if number & 1 else images
