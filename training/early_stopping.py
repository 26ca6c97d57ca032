"""Early stopping on a score that should rise."""

import math
from typing import Any


class EarlyStopping:
    """Counts epochs without a strictly better score.

    Args:
        patience: Epochs without improvement after which to stop.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = -math.inf
        self.num_stalled = 0

    def update(self, score: float) -> bool:
        """Note an epoch's score; True where it is a new best (a NaN never is)."""
        improved = score > self.best
        self.num_stalled = 0 if improved else self.num_stalled + 1
        if improved:
            self.best = score
        return improved

    @property
    def should_stop(self) -> bool:
        """Whether patience is at its end."""
        return self.num_stalled >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"best": self.best, "num_stalled": self.num_stalled}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's values."""
        self.best, self.num_stalled = state["best"], state["num_stalled"]
