"""Cases of a split as their files hold them, and what a network makes of them at that size."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from datasets.loader import SliceKey, create_loader
from utils.config import Config
from utils.contracts import Batch, SegOutput
from utils.figures.paper import LOGIT_MAPS, Prediction, ShownCase, SideMap
from utils.figures.side_outputs import list_side_outputs
from utils.loaders import Split, build_dataset
from utils.prediction import check_prediction, predict, resize_prob
from utils.runtime import Runtime


def read_cases(config: Config, split: Split, picked: Sequence[int]) -> list[ShownCase]:
    """Slices as stored, by their indices."""
    dataset = build_dataset(config.data, split, augment=False)
    return [ShownCase(split.slices[index].name, *dataset.original(index)) for index in picked]


def lesion_areas(config: Config, split: Split) -> list[int]:
    """Lesion px of every slice of a split, as stored."""
    dataset = build_dataset(config.data, split, augment=False)
    return [
        int(dataset.original(index)[1].sum()) if has_lesion else 0
        for index, has_lesion in enumerate(split.scan.has_lesion)
    ]


def predict_cases(
    config: Config,
    network: nn.Module,
    split: Split,
    runtime: Runtime,
    picked: Sequence[int],
    cases: Sequence[ShownCase],
) -> list[Prediction]:
    """What a network makes of some slices, one at a time.

    Args:
        config: How the slices are read.
        network: Prepared by the runtime.
        split: Where they are.
        runtime: Device, precision, memory format.
        picked: Their indices.
        cases: The same slices at their own size, to which the maps are resized bilinearly.

    Raises:
        NonFiniteError: A prediction holds NaN; names the slice.
    """
    dataset = build_dataset(config.data, split, augment=False)
    loader = create_loader(dataset, [[SliceKey(index)] for index in picked], num_workers=0)
    stages = getattr(network, "side_outputs", None)
    predictions = []
    outputs = predict(network, loader, runtime, with_maps=True)
    for case, (batch, output) in zip(cases, outputs, strict=True):
        prediction = _prediction(batch, output, stages, case.image.shape)
        check_prediction(prediction.prob, case.name)
        predictions.append(prediction)
    return predictions


def _prediction(
    batch: Batch,
    output: SegOutput,
    stages: dict[str, tuple[str, ...]] | None,
    size: tuple[int, int],
) -> Prediction:
    """The maps of a batch of one slice, resized."""

    def resized(values: Tensor) -> np.ndarray:
        return resize_prob(values[0, 0].float(), size).cpu().numpy()

    def probability(logits: Tensor) -> np.ndarray:
        return resized(torch.sigmoid(logits.float()))

    return Prediction(
        prob=probability(output.mask),
        edge=resized(batch["edge"]),
        sides=[
            SideMap(side.name, side.module, side.is_edge, probability(side.logits))
            for side in list_side_outputs(output, stages)
        ],
        maps={
            name: probability(values) if name in LOGIT_MAPS else resized(values)
            for name, values in output.maps.items()
        },
    )
