"""Checks of constructor arguments and input sizes that networks share."""

from collections.abc import Sequence

from torch import Tensor

from models.parts.network import SegmentationNetwork
from utils.errors import UserError


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Refuse a value that is not one of the choices."""
    if value not in choices:
        known = ", ".join(map(str, choices))
        raise UserError(f"model.args.{name}: {value!r} is not one of {known}")


def check_positive(**counts: int) -> None:
    """Refuse a count that is not a positive integer; each by the name of its argument."""
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise UserError(f"model.args.{name}: must be an integer of at least 1, not {value!r}")


def check_even(name: str, value: int) -> None:
    """Refuse a count that is not a positive even integer."""
    if not isinstance(value, int) or value < 2 or value % 2:
        raise UserError(f"model.args.{name}: must be an even integer of at least 2, not {value!r}")


def check_stages(
    edge_name: str,
    edge_stages: Sequence[int],
    semantic_name: str,
    semantic_stages: Sequence[int],
    num_stages: int,
) -> None:
    """Refuse stages that do not exist, stand twice, or carry both kinds of supervision."""
    for name, stages in ((edge_name, edge_stages), (semantic_name, semantic_stages)):
        known = range(1, num_stages + 1)
        if not isinstance(stages, Sequence) or any(stage not in known for stage in stages):
            raise UserError(
                f"model.args.{name}: must be a list of stages 1 to {num_stages}, not {stages!r}"
            )
        if list(stages) != sorted(set(stages)):
            raise UserError(f"model.args.{name}: must rise without repetition, not {stages!r}")
    both = sorted(set(edge_stages) & set(semantic_stages))
    if both:
        raise UserError(f"model.args: stages {both} stand in both {edge_name} and {semantic_name}")


def fitting_size(network: SegmentationNetwork, height: int, width: int) -> tuple[int, int]:
    """The smallest (H, W) in px that the network takes and that holds an image of that size."""
    stride = network.stride
    height, width = (-(-max(s, network.min_size) // stride) * stride for s in (height, width))
    return height, width


def describe_sizes(network: SegmentationNetwork) -> str:
    """What sides the network takes, in words."""
    limits = [f"multiples of {network.stride}"] * (network.stride > 1)
    limits += [f"at least {network.min_size} px"] * (network.min_size > network.stride)
    return f"height and width must be {' and '.join(limits)}"


def check_size(network: SegmentationNetwork, image: Tensor) -> tuple[int, int]:
    """The (H, W) of an image that the network takes.

    Raises:
        UserError: A side is no multiple of network.stride, or below network.min_size; the message
            names the network, and the size to pad to.
    """
    height, width = image.shape[-2:]
    stride, smallest = network.stride, network.min_size
    if height % stride or width % stride or height < smallest or width < smallest:
        fit = fitting_size(network, height, width)
        raise UserError(
            f"an image of {height} x {width} px does not fit {type(network).__name__}: "
            f"{describe_sizes(network)}; pad it to {fit[0]} x {fit[1]}"
        )
    return int(height), int(width)
