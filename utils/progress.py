"""Progress bars with running loss and Dice."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


class Progress(Iterable[T]):
    """A bar over batches; silent where stderr is no terminal, so that logs stay readable.

    Args:
        batches: What to iterate over; its length is the bar's.
        label: Text before the bar.
    """

    def __init__(self, batches: Iterable[T], label: str) -> None:
        self._bar = tqdm(batches, desc=label, leave=False, disable=not sys.stderr.isatty())

    def __iter__(self) -> Iterator[T]:
        return iter(self._bar)

    def show(self, loss: float, dice: float) -> None:
        """Write running means behind the bar."""
        self._bar.set_postfix(loss=f"{loss:.4f}", dice=f"{dice:.4f}", refresh=False)
