"""What the side outputs of a network are called."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from utils.contracts import SegOutput

# The paper's modules, which supervise the stages that a network names.
_MODULES = {"edge": "ESM", "semantic": "ASSM"}


class SideOutput(NamedTuple):
    """One side output of a batch.

    Attributes:
        name: The stage, such as S1, or S1* in the decoder.
        module: What supervises it; empty where the network names no stages.
        is_edge: Whether its target is the edge, or else the mask.
        prob: (B, 1, H, W), probabilities.
    """

    name: str
    module: str
    is_edge: bool
    prob: Tensor


def list_side_outputs(
    output: SegOutput, stages: Mapping[str, Sequence[str]] | None
) -> list[SideOutput]:
    """The side outputs with their names: the encoder's from shallow to deep, then the decoder's.

    Args:
        output: Of a network, logits turned into probabilities.
        stages: The network's property side_outputs; None for one that names no stages, whose side
            outputs are edge 1, ..., semantic 1, ... in the network's order.
    """
    sides = []
    for kind, probs in (("edge", output.edge), ("semantic", output.semantic)):
        if stages is None:
            names: Sequence[str] = [f"{kind} {i}" for i in range(1, len(probs) + 1)]
        else:
            names = stages.get(kind, ())
        module = "" if stages is None else _MODULES[kind]
        sides += [
            SideOutput(name, module, kind == "edge", side)
            for name, side in zip(names, probs, strict=True)
        ]
    if stages is not None:
        sides.sort(key=lambda side: (side.name.endswith("*"), side.name))
    return sides


def symbol(name: str) -> str:
    """A map's name as the paper sets it: S1* as S with an index and a star; others as they are."""
    if not re.fullmatch(r"(1 - )?[A-Z]_?[0-9a-z]\*?", name):
        return name
    return "$" + re.sub(r"([A-Z])_?([0-9a-z])", r"\1_\2", name).replace("*", "^*") + "$"
