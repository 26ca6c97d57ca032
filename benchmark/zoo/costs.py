"""What each network is and costs: size and arithmetic without computing, time, memory."""

from collections.abc import Sequence
from statistics import median
from typing import Any

import torch
from torch import nn

from benchmark.failures import noting_failure
from benchmark.step_cost import TimedStep, count_flops, try_variant, warm_step
from benchmark.step_variants import Variant
from training.builders import OWN_LOSS, build_loss, build_network
from utils.config import Config
from utils.config_loader import load_config
from utils.contracts import SegOutput
from utils.progress import Progress

REFERENCE = "unet"  # which the others are timed against

Row = dict[str, Any]


class Entry:
    """A network of the table, as long as nothing is computed with it.

    Args:
        name: Of models.MODELS.
        size: Side of the slices in px.
        overrides: 'training.*=value' pairs.

    Raises:
        UserError: The network does not take this size, or a pair is wrong.
    """

    def __init__(self, name: str, size: int, overrides: Sequence[str]) -> None:
        own = {"model.name": name, "loss.function": OWN_LOSS, "data.image_size": size}
        pairs = [f"{key}={value}" for key, value in own.items()]
        self.name, self.size = name, size
        self.config: Config = load_config(overrides=[*overrides, *pairs])
        with torch.device("meta"):
            # Some libraries make a part of their networks on the CPU all the same.
            self._network = build_network(self.config).to("meta")
        self.loss: nn.Module = build_loss(self.config, self._network)

    def describe(self) -> Row:
        """Parameters, arithmetic, outputs, loss, source."""
        image = torch.empty(1, 1, self.size, self.size, device="meta")
        network = self._network.eval()
        with torch.no_grad():
            gflop = count_flops(lambda: network(image)) / 1e9
            output = network(image)
        return {
            "name": self.name,
            "title": network.title,
            "paper": network.paper,
            "reference_licence": network.reference_licence,
            "num_parameters": sum(p.numel() for p in network.parameters()),
            "gflop_forward": gflop,
            "outputs": describe_outputs(output),
            "own_loss": network.own_loss,
        }


def describe_outputs(output: SegOutput) -> str:
    """Such as: mask, 2 edge, 3 semantic."""
    sides = {"edge": len(output.edge), "semantic": len(output.semantic)}
    parts = ["mask", *(f"{count} {kind}" for kind, count in sides.items() if count)]
    return ", ".join([*parts, *(["lung"] if output.lung is not None else [])])


def measure(
    entries: Sequence[Entry], reference: Entry, variant: Variant, num_rounds: int
) -> list[Row]:
    """What each network is, and peak memory and time of its training step; or a note.

    Each network takes turns with the reference, so that other work on the machine hits both alike,
    and no more than two networks are in memory.

    Args:
        entries: The networks.
        reference: What they are compared with.
        variant: Device, precision, memory format.
        num_rounds: Timed rounds, after the warm-up.
    """
    # Memory first: a process inherits the peak of the one that starts it.
    rows = [
        entry.describe() | try_variant(entry.config, entry.loss, variant)
        for entry in Progress(entries, "peak memory")
    ]
    standard = warm_step(reference.config, reference.loss, variant)
    for entry, row in zip(Progress(entries, "time"), rows, strict=True):
        if "note" not in row:
            with noting_failure(row):
                is_standard = entry.name == reference.name
                step = standard if is_standard else warm_step(entry.config, entry.loss, variant)
                row |= _compare(step, standard, num_rounds)
    return rows


def _compare(step: TimedStep, standard: TimedStep, num_rounds: int) -> Row:
    """Milliseconds of a step, and its speed over the standard's in the same rounds."""
    rounds = [(step.run(), standard.run()) for _ in range(num_rounds)]
    speeds = [other / seconds for seconds, other in rounds]
    return {
        "milliseconds_median": 1e3 * median(seconds for seconds, _ in rounds),
        "speed_ratio_to_unet": 1.0 if step is standard else median(speeds),
    }
