"""The two shapes that every network, loss, dataset and metric agrees on: SegOutput and Batch."""

from typing import NamedTuple, TypedDict

import torch


class SegOutput(NamedTuple):
    """What every network returns; all maps are logits at the input's height and width.

    Attributes:
        mask: (B, K, H, W); K = 1 (sigmoid) or the number of classes (softmax).
        edge: Edge side outputs, each (B, 1, H, W), shallowest first, encoder before decoder.
        semantic: Semantic side outputs, each (B, 1, H, W), in the same order.
        lung: (B, 1, H, W), or None for a network without a lung head.
        maps: Inner maps by name, for figures; empty unless asked for.
    """

    mask: torch.Tensor
    edge: tuple[torch.Tensor, ...] = ()
    semantic: tuple[torch.Tensor, ...] = ()
    lung: torch.Tensor | None = None
    maps: dict[str, torch.Tensor] = {}  # noqa: RUF012 - a NamedTuple default; nobody mutates it


class Batch(TypedDict):
    """What every dataset yields, collated.

    Attributes:
        image: (B, 1, H, W) float32, z-scored per slice.
        mask: (B, 1, H, W) float32, 0 or 1.
        edge: (B, 1, H, W) float32, 0 or 1.
        lung: (B, 1, H, W) float32, 0 or 1; all 0 where has_lung is False.
        has_lung: (B,) bool, whether the case comes with a lung mask.
        name: File stem of each slice.
        patient: Patient of each slice.
    """

    image: torch.Tensor
    mask: torch.Tensor
    edge: torch.Tensor
    lung: torch.Tensor
    has_lung: torch.Tensor
    name: list[str]
    patient: list[str]
