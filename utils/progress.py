"""Progress bars with running loss and Dice."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


class Progress(Iterable[T]):
    """A bar over batches; silent where stderr is no terminal, so that logs stay readable.

    Args:
        batches: What to iterate over.
        label: Text before the bar.
        total: Length of the bar; None takes the batches' own.
    """

    def __init__(self, batches: Iterable[T], label: str, total: int | None = None) -> None:
        silent = not sys.stderr.isatty()
        self._bar = tqdm(batches, desc=label, total=total, leave=False, disable=silent)

    def __iter__(self) -> Iterator[T]:
        return iter(self._bar)

    def show(self, loss: float, dice: float) -> None:
        """Write running means behind the bar."""
        self._bar.set_postfix(loss=f"{loss:.4f}", dice=f"{dice:.4f}", refresh=False)
