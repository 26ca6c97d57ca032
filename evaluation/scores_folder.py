"""Where the scores of a checkpoint are written, so that no other scores of it are replaced."""

from collections.abc import Sequence
from pathlib import Path

from metrics.protocols import NATIVE, Protocol
from training.split import Split
from training.trained_run import TrainedRun


def scores_folder(
    checkpoints: Sequence[Path], run: TrainedRun, split: Split, protocol: Protocol, *, flip: bool
) -> Path:
    """The first checkpoint's folder for its own test part by the native protocol.

    Below it for an ensemble, mirror images, another data set, another split, another protocol.
    """
    out = checkpoints[0].parent
    if len(checkpoints) > 1:
        out /= f"ensemble_of_{len(checkpoints)}"
    out = out / "flip" if flip else out
    root = Path(run.config.data.root).resolve()
    if root != Path(run.trained.data.root).resolve():
        out /= root.name
    out = out if split.name == "test" else out / split.name
    return out if protocol is NATIVE else out / protocol.name
