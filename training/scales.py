"""Multi-scale training: the batch of a step at several sizes, one optimizer step each."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from models.parts.checks import describe_sizes, fitting_size
from models.parts.network import SegmentationNetwork
from utils.contracts import Batch
from utils.errors import UserError

Size = tuple[int, int]


def scaled_sizes(size: Size, scales: Sequence[float], network: SegmentationNetwork) -> list[Size]:
    """The sizes (H, W) in px that a network is trained at, in the order of the scales.

    Sides are rounded to the nearest multiple of the network's stride. Inf-Net takes any size here,
    so that 352 px at 0.75, 1 and 1.25 are 264, 352 and 440 px; its released script rounds to
    multiples of 32 px: 256, 352 and 448 px.

    Args:
        size: Of the slices, which the network takes.
        scales: Factors of the sides.
        network: With its stride and least size.

    Raises:
        UserError: A scale gives a size that the network does not take.
    """
    stride, sizes = network.stride, []
    for scale in scales:
        height, width = (round(side * scale / stride) * stride for side in size)
        if fitting_size(network, height, width) != (height, width):
            raise UserError(
                f"training.scales: {scale:g} makes slices of {size[0]} x {size[1]} px "
                f"{height} x {width} px, which do not fit the network: {describe_sizes(network)}; "
                "take a larger scale or data.image_size"
            )
        sizes.append((height, width))
    return sizes


def resize_batch(batch: Batch, size: Size) -> Batch:
    """The batch at another size; itself where it has that size.

    As when slices are read: images bilinearly with antialiasing, masks by nearest neighbour, all
    by the centres of their pixels. An edge, a line of few px, is taken wherever an output pixel
    touches it, so that no size breaks it. The z-score is not taken anew.

    Deviation: Inf-Net's released script resizes images, masks and edges bilinearly, with corners
    aligned, which leaves targets between 0 and 1.

    Args:
        batch: On any device.
        size: (H, W) in px.
    """
    former = batch["image"].shape[-2:]
    if tuple(former) == tuple(size):
        return batch
    return {
        key: _resize(key, value, size)
        if isinstance(value, Tensor) and value.shape[-2:] == former
        else value
        for key, value in batch.items()
    }


def _resize(key: str, values: Tensor, size: Size) -> Tensor:
    """(B, C, H, W) float, or (B, H, W) numbers of classes."""
    if key == "image":
        return F.interpolate(values, size, mode="bilinear", antialias=True)
    if key == "edge":
        return F.adaptive_max_pool2d(values, size)
    planes = values if values.dim() == 4 else values[:, None]
    resized = F.interpolate(planes.float(), size, mode="nearest-exact").to(values.dtype)
    return resized if values.dim() == 4 else resized[:, 0]
