"""The contract of every network, said once."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from utils.contracts import SegOutput


class SegmentationNetwork(nn.Module):
    """Slices to logits; a subclass states its source, its loss, and what differs from here.

    The constructor takes keywords alone. A network describes those of its own; these mean the same
    in all of them:

        in_channels: Channels of the image.
        num_classes: Channels of the mask logits; 1 means one sigmoid map. How many the side
            outputs have, SegOutput says.
        pretrained: Weights of an encoder that a library has: None for random ones, "imagenet" for
            the library's own, fetched once, or a file with a state_dict by the library's names;
            torchvision's, where the network does not say otherwise.

    Attributes:
        title: The network as its paper prints it.
        paper: First author, venue, year.
        reference_licence: Of the implementation whose outputs the tests compare with. The code
            here is written anew.
        own_loss: Name of its paper's loss.
        own_loss_args: Arguments of that loss, where there are any.
        heads: The fields of SegOutput that it fills.
        stride: Input sides are multiples of it, in px; 1 where any size runs.
        min_size: Smallest side in px at which two slices train; smaller images are refused. A
            network that names a larger one than would run says why.
        segments: The parts that may be computed again in the backward pass, to save memory.

    Raises:
        UserError: An argument out of its range, a choice that does not exist, or weights that are
            not there or do not fit; the message names the argument.
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    reference_licence: ClassVar[str]
    own_loss: ClassVar[str]
    # Those below are attributes of the class, properties, or set by the constructor where its
    # arguments decide.
    own_loss_args: ClassVar[dict[str, Any]] = {}
    heads: frozenset[str] = frozenset({"mask"})
    stride: int = 1
    min_size: int = 1
    segments: Sequence[nn.Module] = ()

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """Segment a batch of slices.

        Args:
            image: (B, in_channels, H, W), z-scored per slice; H and W are multiples of the stride
                and at least min_size.
            with_maps: Fill SegOutput.maps with inner maps, where the network has any to show.

        Returns:
            Logits at H x W, at whatever resolution the network works.

        Raises:
            UserError: A size that does not fit; see models.parts.checks.check_size.
        """
        raise NotImplementedError
