"""Cases that cannot be predicted: the first one ends the run, or they are listed at its end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from inference.inputs import InputCase
from utils.errors import UserError


class Failures:
    """Collects the errors of cases.

    Args:
        keep_going: Whether the other cases go on.
    """

    def __init__(self, keep_going: bool) -> None:
        self.keep_going = keep_going
        self._failed: list[InputCase] = []

    @contextmanager
    def of(self, case: InputCase) -> Iterator[None]:
        """What is done for a case.

        Raises:
            UserError: As raised within, unless others are to go on.
        """
        try:
            yield
        except UserError as error:
            if not self.keep_going:
                raise
            self.add(case, error)

    def add(self, case: InputCase, error: UserError) -> None:
        """Report a case and go on."""
        self._failed.append(case)
        tqdm.write(f"failed: {error}", file=sys.stderr)

    def finish(self, num_cases: int) -> None:
        """List the cases.

        Raises:
            UserError: There are any.
        """
        if self._failed:
            listed = ", ".join(str(case.path) for case in self._failed)
            raise UserError(f"{len(self._failed)} of {num_cases} cases failed: {listed}")
